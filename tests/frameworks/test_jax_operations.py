"""JAX: every operation of the vocabulary against its NumPy meaning, in units in the last place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from actgrad.language.decomposed import DECOMPOSITIONS
from actgrad.language.expression import const, make, var
from actgrad.language.ops import OPS
from actgrad.language.program import Program

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
ml_dtypes = pytest.importorskip("ml_dtypes")
from actgrad.frameworks.jax import native_rule

DTYPES = {"float32": np.float32, "float64": np.float64, "bfloat16": ml_dtypes.bfloat16}
ELSEWHERE = {"select", "gather", "given", "host", *DECOMPOSITIONS}
ARITHMETIC = {
    "neg", "abs", "add", "sub", "mul", "div", "floordiv", "mod", "copysign", "floor", "ceil",
    "trunc", "round", "sqrt", "lt", "le", "eq", "and", "or", "not",
}  # fmt: skip
EXACT = ARITHMETIC - {"floordiv"}
SPECIAL = [
    0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2, -2, 2.5, -2.5, 3, -3, 7, 8, 10, 100, 1000, 1024, 0.1,
    np.inf, -np.inf, np.nan, 1e-30, -1e-30, 1e30, -1e30,
]  # fmt: skip


def program(op: str) -> Program:
    """The operation alone; conditions as 1 and 0, of arguments that are numbers."""
    names = OPS[op].arguments.split()
    arguments = [var(name) for name in names]
    if op in ("and", "or", "not"):
        arguments = [make("lt", const(0.0), argument) for argument in arguments]
    value = make(op, *arguments)
    if OPS[op].boolean:
        value = make("select", value, const(1.0), const(0.0))
    return Program(op, tuple(names), (), value)


def points(arity: int, dtype: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    size = np.exp(rng.uniform(-25, 25, 300))
    some = [rng.normal(0, 1, 600), rng.normal(0, 20, 600), rng.uniform(-1, 1, 600), size, -size]
    column = np.concatenate([SPECIAL, *some, 2.0 ** np.arange(-40, 40)])
    if arity == 1:
        return [column.astype(dtype)]
    a, b = np.meshgrid(SPECIAL, SPECIAL)
    other = rng.permutation(column)
    return [np.concatenate(p).astype(dtype) for p in ([column, a.ravel()], [other, b.ravel()])]


def distance(got: Any, wanted: Any, dtype: Any) -> Any:
    """In units in the last place of what was wanted; XLA takes subnormal numbers for zero."""
    info = ml_dtypes.finfo(dtype)
    exact = np.asarray(wanted, np.float64)
    flushed = (np.abs(exact) < float(info.smallest_normal) * 1.01) & (got == 0)
    _, exponent = np.frexp(exact)
    unit = np.maximum(np.ldexp(float(info.eps), exponent - 1), float(info.smallest_normal))
    return np.where(flushed, 0.0, np.abs(np.asarray(got, np.float64) - exact) / unit)


def compare(
    function: Callable[..., Any], oracle: Program, dtype: Any, ulp: float, at: list[Any]
) -> None:
    wide = [np.asarray(x, np.float64) for x in at]
    with np.errstate(all="ignore"):
        exact = np.broadcast_to(oracle.evaluate(*wide), wide[0].shape)
        wanted = exact.astype(dtype)
    got = np.asarray(function(*map(jnp.asarray, at)))
    assert got.dtype == dtype
    wanted64, got64 = wanted.astype(np.float64), got.astype(np.float64)
    same = (wanted64 == got64) | (np.isnan(wanted64) & np.isnan(got64))
    finite = np.isfinite(wanted64) & np.isfinite(got64)
    shown = lambda mask: [
        (*(float(x[i]) for x in at), wanted64[i], got64[i]) for i in np.flatnonzero(mask)[:4]
    ]
    assert not (~finite & ~same).any(), f"nan or inf in other places: {shown(~finite & ~same)}"
    with np.errstate(all="ignore"):
        far = finite & (distance(got64, exact, dtype) > ulp)
    assert not far.any(), f"more than {ulp} ulp away (arguments, wanted, got): {shown(far)}"


@pytest.fixture(params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> Any:
    with jax.enable_x64(request.param == "float64"):
        yield DTYPES[request.param]


@pytest.mark.diagonal
@pytest.mark.parametrize("op", [op for op in OPS if op not in ELSEWHERE])
def test_value(op: str, dtype: Any) -> None:
    ulp = 0.51 if op in EXACT else 4.0 if op in ARITHMETIC else 8.0
    if op == "erfc":  # XLA takes exp(-x * x), which costs x * x units
        ulp = 800.0 if dtype == np.float64 else 90.0
    own = program(op)
    compare(native_rule(own), own, dtype, ulp, points(OPS[op].arity, dtype))


SIGNED_ZEROS = ["neg", "add", "sub", "mul", "div", "floordiv", "mod", "copysign", "floor", "ceil",
                "trunc", "round", "sqrt", "cbrt", "sin", "tan", "asin", "atan", "sinh", "tanh",
                "asinh", "atanh", "expm1", "log1p", "erf", "atan2"]  # fmt: skip


@pytest.mark.diagonal
@pytest.mark.parametrize("op", SIGNED_ZEROS)
def test_signed_zeros(op: str, dtype: Any) -> None:
    at = points(OPS[op].arity, dtype)
    with np.errstate(all="ignore"):
        wanted = program(op).evaluate(*(x.astype(np.float64) for x in at))
    got = np.asarray(native_rule(program(op))(*map(jnp.asarray, at))).astype(np.float64)
    zero = (wanted == 0) & (got == 0)
    assert zero.any()
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(wanted[zero]))


PARTIALS = [
    (op, name)
    for op in OPS
    if OPS[op].partials and op not in ELSEWHERE
    for name in OPS[op].arguments.split()
]


@pytest.mark.diagonal
@pytest.mark.parametrize(("op", "name"), PARTIALS)
def test_derivative(op: str, name: str, dtype: Any) -> None:
    """What jax.grad gives is the rule of the vocabulary, away from the edges of its domain."""
    own = program(op)
    low, high = {"acosh": (1.2, 4.0), "asin": (-0.9, 0.9), "acos": (-0.9, 0.9)}.get(op, (-4.0, 4.0))
    low, high = {"atanh": (-0.9, 0.9), "log1p": (-0.9, 4.0)}.get(op, (low, high))
    low = 0.1 if op in ("sqrt", "log", "log2", "log10", "pow") else low
    rng = np.random.default_rng(1)
    at = [rng.uniform(low, high, 400).astype(dtype) for _ in own.inputs]
    slope = jax.jit(jax.grad(lambda *xs: native_rule(own)(*xs).sum(), own.inputs.index(name)))
    compare(slope, own.partial(name), dtype, 16.0, at)


@pytest.mark.parametrize(("op", "base"), [("log2", 2.0), ("log10", 10.0), ("exp2", 2.0)])
def test_whole_powers_are_exact(op: str, base: float, dtype: Any) -> None:
    last = {
        "log2": 38,
        "exp2": 38,
        "log10": {"float64": 22, "float32": 10}.get(np.dtype(dtype).name, 2),
    }
    exponents = np.arange(0 if op == "log10" else -38, last[op] + 1)
    powers = base ** exponents.astype(np.float64)
    x, wanted = (exponents, powers) if op == "exp2" else (powers, exponents)
    got = jax.jit(native_rule(program(op)))(jnp.asarray(x.astype(dtype)))
    np.testing.assert_array_equal(np.asarray(got, np.float64), wanted)
