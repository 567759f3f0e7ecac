"""All 65,536 numbers of float16 and of bfloat16: each unary operation's value and derivative, in every
framework, is one of the two numbers of the dtype between which the exact one lies.

The exact one comes from NumPy and SciPy in float64, which has 42 bits more than float16 and 45 more than
bfloat16. mpmath would take an hour for six million values; it checks a sample of them here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest

from actgrad import Activation
from actgrad.language.expression import make, var
from actgrad.language.ops import OPS
from actgrad.language.program import Program
from tests.language import test_ops
from tests.sample import exhaustive_but

jax = pytest.importorskip("jax")
tf = pytest.importorskip("tensorflow")
torch = pytest.importorskip("torch")
special = pytest.importorskip("scipy.special")
ml_dtypes = pytest.importorskip("ml_dtypes")

DTYPES = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
PART = 16_384
"""Fewer numbers than PyTorch compiles a loop for."""
Array = Any


# The exact values.


def _sine_of_pi(x: Array) -> Array:
    whole = np.rint(x)
    return np.where(whole % 2 == 0, 1, -1) * np.sin(np.pi * (x - whole))


def _cosine_of_pi(x: Array) -> Array:
    whole = np.rint(x)
    return np.where(whole % 2 == 0, 1, -1) * np.cos(np.pi * (x - whole))


def _lgamma(x: Array) -> Array:
    return np.where(x == -np.inf, np.inf, special.gammaln(x))


def _trigamma(x: Array) -> Array:
    mirrored = (np.pi / _sine_of_pi(x)) ** 2 - special.polygamma(1, np.where(x < 0, 1 - x, 1.0))
    return np.where(x < 0, mirrored, special.polygamma(1, np.where(x < 0, 1.0, x)))


def _second_of_digamma(x: Array) -> Array:
    mirrored = special.polygamma(2, np.where(x < 0, 1 - x, 1.0))
    mirrored = mirrored - 2 * np.pi**3 * _cosine_of_pi(x) / _sine_of_pi(x) ** 3
    return np.where(x < 0, mirrored, special.polygamma(2, np.where(x < 0, 1.0, x)))


def _erfcx_slope(x: Array) -> Array:
    v = 1 / (x * x)
    far = -v / np.sqrt(np.pi) * (1 - 1.5 * v * (1 - 2.5 * v * (1 - 3.5 * v * (1 - 4.5 * v))))
    return np.where(x > 60, far, 2 * x * special.erfcx(x) - 2 / np.sqrt(np.pi))


def _bessel_slope(order: int) -> Callable[[Array], Array]:
    """By the asymptotic series where the difference of two equal numbers would be left."""

    def slope(x: Array) -> Array:
        size, sign = np.abs(x), np.sign(x)
        v = 1 / (8 * size)
        if order == 0:
            near = special.i1e(x) - sign * special.i0e(x)
            far = -sign * np.sqrt(v / np.pi) * 8 * v * (1 + 3 * v)
        else:
            with np.errstate(all="ignore"):
                ratio = np.where(size < 1e-9, 0.5, special.i1e(x) / x)
            near = special.i0e(x) - sign * special.i1e(x) - ratio
            far = -np.sqrt(v / np.pi) * 8 * v * (1 - 9 * v)
        return np.where(size > 3000, far, near)

    return slope


_GAUSS = 2 / np.sqrt(np.pi)
EXACT: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "neg": (lambda x: -x, lambda x: -1 + 0 * x),
    "abs": (np.abs, np.sign),
    **{op: (getattr(np, op), lambda x: 0 * x) for op in ("floor", "ceil", "trunc")},
    "round": (np.rint, lambda x: 0 * x),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "cbrt": (np.cbrt, lambda x: 1 / (3 * np.cbrt(x) ** 2)),
    "exp": (np.exp, np.exp),
    "exp2": (np.exp2, lambda x: np.log(2) * np.exp2(x)),
    "expm1": (np.expm1, np.exp),
    "log": (np.log, lambda x: 1 / x),
    "log2": (np.log2, lambda x: 1 / (x * np.log(2))),
    "log10": (np.log10, lambda x: 1 / (x * np.log(10))),
    "log1p": (np.log1p, lambda x: 1 / (1 + x)),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda x: -np.sin(x)),
    "tan": (np.tan, lambda x: 1 / np.cos(x) ** 2),
    "asin": (np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x))),
    "acos": (np.arccos, lambda x: -1 / np.sqrt((1 - x) * (1 + x))),
    "atan": (np.arctan, lambda x: 1 / (1 + x * x)),
    "sinh": (np.sinh, np.cosh),
    "cosh": (np.cosh, np.sinh),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "asinh": (np.arcsinh, lambda x: 1 / np.sqrt(1 + x * x)),
    "acosh": (np.arccosh, lambda x: 1 / np.sqrt((x - 1) * (x + 1))),
    "atanh": (np.arctanh, lambda x: 1 / ((1 - x) * (1 + x))),
    "sigmoid": (special.expit, lambda x: special.expit(x) * special.expit(-x)),
    "softplus": (lambda x: np.logaddexp(x, 0.0), special.expit),
    "erf": (special.erf, lambda x: _GAUSS * np.exp(-x * x)),
    "erfc": (special.erfc, lambda x: -_GAUSS * np.exp(-x * x)),
    "gamma": (special.gamma, lambda x: special.gamma(x) * special.psi(x)),
    "lgamma": (_lgamma, special.psi),
    "digamma": (special.psi, _trigamma),
    "trigamma": (_trigamma, _second_of_digamma),
    "erfinv": (special.erfinv, lambda x: np.exp(special.erfinv(x) ** 2) / _GAUSS),
    "ndtri": (special.ndtri, lambda x: np.sqrt(2 * np.pi) * np.exp(special.ndtri(x) ** 2 / 2)),
    "erfcx": (special.erfcx, _erfcx_slope),
    "i0e": (special.i0e, _bessel_slope(0)),
    "i1e": (special.i1e, _bessel_slope(1)),
}
NEAR_ZEROS = {"lgamma", "digamma", "gamma", "trigamma"}
"""Of a negative number these cross zero where float64 does not say where: there, in units of 1."""
CANCELLED = {("tensorflow", "i1e"): 2.0**-23}
"""What float32 leaves of a slope that is a difference of numbers, here near 0.36: TensorFlow's own
`bessel_i0e` is wrong by 1.5 units in the last place."""


@cache
def numbers(dtype: str) -> Array:
    return np.arange(65_536, dtype=np.uint16).view(DTYPES[dtype])


@cache
def exact(op: str, dtype: str) -> tuple[Array, Array]:
    """Value and derivative in float64; the latter is nan where there is no value, or no slope."""
    with np.errstate(all="ignore"):
        x = numbers(dtype).astype(np.float64)
        value, slope = (np.asarray(function(x)) for function in EXACT[op])
        slope = np.where(np.isfinite(value) & np.isfinite(x), slope, np.nan)
    return value, slope


# What each framework makes of it.


def in_numpy(f: Activation, x: Array) -> tuple[Array, Array]:
    return f(x), f.derivative(x)


def in_torch(f: Activation, x: Array) -> tuple[Array, Array]:
    dtype = torch.float16 if x.dtype == np.float16 else torch.bfloat16
    given = torch.from_numpy(x.view(np.int16).copy()).view(dtype).requires_grad_()
    y = f(given)
    (slope,) = torch.autograd.grad(y.sum(), given)
    return y.detach().double().numpy(), slope.double().numpy()


def in_tensorflow(f: Activation, x: Array) -> tuple[Array, Array]:
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = f(given)
    return y.numpy(), tape.gradient(y, given).numpy()


def in_jax(f: Activation, x: Array) -> tuple[Array, Array]:
    @jax.jit
    def both(x: Any) -> Any:
        y, pull = jax.vjp(f, x)
        return y, *pull(jax.numpy.ones_like(y))

    y, slope = both(jax.numpy.asarray(x))
    return np.asarray(y), np.asarray(slope)


WAYS = {"numpy": in_numpy, "torch": in_torch, "tensorflow": in_tensorflow, "jax": in_jax}


def computed(way: str, op: str, x: Array) -> tuple[Array, Array]:
    f = Activation(Program(op, ("x",), (), make(op, var("x"))))
    with np.errstate(all="ignore"):
        parts = [WAYS[way](f, x[i : i + PART]) for i in range(0, len(x), PART)]
        value, slope = (np.concatenate(p).astype(np.float64) for p in zip(*parts, strict=True))
    return value, slope


def wrong(
    op: str, dtype: str, x: Array, got: Array, true: Array, cancelled: float = 0.0
) -> list[tuple[float, ...]]:
    """Where it is neither of the two numbers of the dtype beside the true one, or beside what float32 leaves
    of that."""
    kind = ml_dtypes.finfo(DTYPES[dtype])
    tiny, most, bits = float(kind.tiny), float(kind.max), kind.nmant
    with np.errstate(all="ignore"):
        x = x.astype(np.float64)
        size = np.where((x < 0) & (op in NEAR_ZEROS), np.maximum(np.abs(true), 1), np.abs(true))
        unit = np.exp2(np.floor(np.log2(np.clip(size, tiny, most))) - bits)
        right = np.abs(got - true) <= np.maximum(unit, unit / 2 + cancelled)
        right |= (got == true) | (np.isnan(got) & np.isnan(true))
        right |= (np.abs(true) > most) & (np.abs(got) >= most) & (np.sign(got) == np.sign(true))
        if dtype == "bfloat16":
            # Its range is float32's, in which it is computed. XLA and TensorFlow take subnormal numbers for
            # zero, also on the way: 1 / x**2 is inf, and exp(-x)**2 is 0, a little early.
            right |= (np.abs(true) < 4 * tiny) & (np.abs(got) < 4 * tiny)
            right |= (np.abs(true) > most / 4) & np.isinf(got) & (np.sign(got) == np.sign(true))
            right |= np.abs(x) < tiny
    return [(float(x[i]), float(got[i]), float(true[i])) for i in np.flatnonzero(~right)]


OPERATIONS = [name for name, op in OPS.items() if op.arity == 1 and op.partials]
CHOSEN = ("tanh", "sqrt", "lgamma", "i0e")


def test_every_unary_operation_is_here() -> None:
    assert set(EXACT) == set(OPERATIONS)


def check(way: str, op: str, dtype: str, every: int) -> None:
    x = numbers(dtype)[::every]
    value, slope = (true[::every] for true in exact(op, dtype))
    got, got_slope = computed(way, op, x)
    assert wrong(op, dtype, x, got, value) == []
    known = np.isfinite(slope)
    cancelled = CANCELLED.get((way, op), 0.0)
    assert wrong(op, dtype, x[known], got_slope[known], slope[known], cancelled) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("op", CHOSEN)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sample_of_the_numbers(way: str, op: str, dtype: str) -> None:
    check(way, op, dtype, 37)


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("way", WAYS)
def test_all_numbers(way: str, op: str, dtype: str) -> None:
    check(way, op, dtype, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", exhaustive_but(CHOSEN, OPERATIONS))
def test_what_is_taken_for_exact_is(op: str, dtype: str) -> None:
    """In a sample, against mpmath: to a thousandth of a unit of float16, so that rounding is decided."""
    if op in test_ops.STEPS:
        return
    function, _ = test_ops.UNARY[op]
    value, slope = exact(op, dtype)
    with np.errstate(invalid="ignore"):
        x = numbers(dtype).astype(np.float64)
    for i in np.random.default_rng(1).choice(len(x), 150, replace=False):
        if not np.isfinite(slope[i]) or not 1e-4 < abs(x[i]) < 300:
            continue
        with mpmath.workdps(40):
            true = function(mpmath.mpf(x[i]))
            true_slope = mpmath.diff(function, mpmath.mpf(x[i]), h=mpmath.mpf(10) ** -15)
        for ours, theirs in ((value[i], true), (slope[i], true_slope)):
            size = max(abs(theirs), 1.0 if x[i] < 0 and op in NEAR_ZEROS else 0.0)
            # (less than 1e-42 is nothing in either dtype)
            assert abs(ours - theirs) <= 1e-7 * size + 1e-42, (
                float(x[i]),
                float(ours),
                float(theirs),
            )


def test_one_wrong_number_is_told() -> None:
    x = numbers("float16")
    value, _ = exact("tanh", "float16")
    got = value.astype(np.float16).astype(np.float64)
    assert wrong("tanh", "float16", x, got, value) == []
    got[0x3C01] += 2 * 2.0**-11
    assert [at for at, *_ in wrong("tanh", "float16", x, got, value)] == [float(x[0x3C01])]
