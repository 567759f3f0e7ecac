"""Special functions in every framework, against mpmath: within the bound of all other operations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest

from actgrad import Activation
from actgrad.language.decomposed import DECOMPOSITIONS
from actgrad.language.expression import make, var
from actgrad.language.program import Program
from tests.sample import exhaustive_but

tf = pytest.importorskip("tensorflow")
jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")

ULP = 16
RANDOM = np.random.default_rng(0)
SIZES = np.exp(RANDOM.uniform(-18, 6, 60))
POSITIVE = np.concatenate(
    [SIZES, RANDOM.uniform(0, 20, 100), RANDOM.normal([[1], [1.4616], [2]], 1e-3, (3, 20)).ravel(),
     np.arange(1, 40) / 2, [160.3, 170.6]]
)  # fmt: skip
GAMMAS = np.concatenate([POSITIVE, -RANDOM.uniform(0, 20, 80)])
LINE = np.concatenate([RANDOM.uniform(-20, 20, 100), SIZES, -SIZES])
UNIT = np.concatenate([RANDOM.uniform(0, 1, 150), 1 - SIZES[:30] / 1e3, SIZES[:30] / 1e3])

EXACT: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "gamma": (mpmath.gamma, GAMMAS),
    "lgamma": (lambda x: mpmath.log(abs(mpmath.gamma(x))), GAMMAS),
    "digamma": (mpmath.digamma, GAMMAS),
    "trigamma": (lambda x: mpmath.psi(1, x), GAMMAS),
    "erfinv": (mpmath.erfinv, np.concatenate([UNIT, -UNIT])),
    "ndtri": (lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1), UNIT),
    "erfcx": (lambda x: mpmath.exp(x * x) * mpmath.erfc(x), LINE),
    "i0e": (lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x), LINE),
    "i1e": (lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x), LINE),
}
NEAR_ZEROS = {"lgamma", "digamma"}
"""Of a negative number near which the function is zero: the error is in units of 1."""

WAYS: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "NumPy": lambda f: f,
    "TensorFlow": lambda f: lambda x: f(tf.constant(x)),
    "XLA": lambda f: lambda x: tf.function(f, jit_compile=True)(tf.constant(x)),
    "JAX": lambda f: lambda x: f(jax.numpy.asarray(x)),
    "PyTorch": lambda f: lambda x: f(torch.from_numpy(x)),
}
DTYPES = ("float32", "float64")


def program(op: str) -> Program:
    return Program(op, ("x",), (), make(op, var("x")))


@cache
def oracle(op: str, dtype: str) -> tuple[Any, list[Any]]:
    function, points = EXACT[op]
    x = points.astype(dtype)
    if op in ("erfinv", "ndtri"):
        x = x[(np.abs(x) < 1) & (x != 0)]
    with mpmath.workdps(40):
        wanted = [function(mpmath.mpf(float(number))) for number in x]
    info = np.finfo(dtype)
    normal = [info.tiny < abs(w) < info.max for w in wanted]
    return x[normal], [w for w, kept in zip(wanted, normal, strict=True) if kept]


def far(
    op: str, x: Any, got: Any, wanted: list[Any], units: int = ULP
) -> list[tuple[float, float, float]]:
    """The points more than so many units away."""
    found = []
    for at, ours, true in zip(x, got, wanted, strict=True):
        size = max(abs(float(true)), 1.0 if op in NEAR_ZEROS and at < 0 else 0.0)
        unit = np.spacing(np.asarray(size, x.dtype))
        if not abs(mpmath.mpf(float(ours)) - true) <= units * float(unit):
            found.append((float(at), float(ours), float(true)))
    return found


def run(way: str, op: str, x: Any) -> Any:
    with jax.enable_x64(x.dtype == np.float64):
        return np.asarray(WAYS[way](Activation(program(op)))(x))


def compiled(ops: tuple[str, ...], order: tuple[str, str]) -> dict[tuple[str, str], Any]:
    """Functions in one graph, since each would take seconds; every second one in the other dtype."""
    cases = [(op, order[number % 2]) for number, op in enumerate(ops)]
    functions = [Activation(program(op)) for op, _ in cases]
    points = [torch.from_numpy(oracle(*case)[0]) for case in cases]
    together = torch.compile(lambda *given: [f(x) for f, x in zip(functions, given, strict=True)])
    return {case: y.numpy() for case, y in zip(cases, together(*points), strict=True)}


def test_every_special_function_is_here() -> None:
    assert set(EXACT) == set(DECOMPOSITIONS)


CASES = list(itertools.product(EXACT, WAYS, DTYPES))
ONE_DTYPE_EACH = [
    (op, way, DTYPES[(i + j) % 2]) for i, op in enumerate(EXACT) for j, way in enumerate(WAYS)
]


@pytest.mark.parametrize("case", exhaustive_but(ONE_DTYPE_EACH, CASES), ids="-".join)
def test_value(case: tuple[str, str, str]) -> None:
    op, way, dtype = case
    x, _ = oracle(op, dtype)
    # TensorFlow's power in float64 loses more digits the larger its exponent is.
    units = 2 * ULP if (op, way, dtype) == ("gamma", "TensorFlow", "float64") else ULP
    check_value(op, dtype, run(way, op, x), units)


OF_OTHER_FUNCTIONS = ("gamma", "digamma", "erfinv")
"""Made of powers, exponentials, tangents and logarithms: those in which compilers differ."""
OTHERS = tuple(op for op in EXACT if op not in OF_OTHER_FUNCTIONS)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "case",
    list(itertools.product([OF_OTHER_FUNCTIONS, OTHERS], [DTYPES, DTYPES[::-1]])),
    ids=lambda case: "-".join([case[0][0], *case[1]]),
)
def test_value_compiled(case: tuple[tuple[str, ...], tuple[str, str]]) -> None:
    for (op, dtype), got in compiled(*case).items():
        check_value(op, dtype, got)


def check_value(op: str, dtype: str, got: Any, units: int = ULP) -> None:
    x, wanted = oracle(op, dtype)
    assert got.dtype == x.dtype
    assert far(op, x, got, wanted, units) == []


INF, NAN = math.inf, math.nan
EDGES = {
    "gamma": [(0.0, INF), (-0.0, -INF), (-3.0, NAN), (INF, INF), (-INF, NAN), (1.0, 1.0), (6.0, 120.0),
              (400.0, INF)],
    "lgamma": [(0.0, INF), (-0.0, INF), (-3.0, INF), (INF, INF), (-INF, INF), (1.0, 0.0), (2.0, 0.0)],
    "digamma": [(0.0, -INF), (-0.0, INF), (-3.0, NAN), (INF, INF), (-INF, NAN)],
    "trigamma": [(0.0, INF), (-0.0, INF), (-3.0, INF), (INF, 0.0)],
    "erfinv": [(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN)],
    "ndtri": [(0.0, -INF), (0.5, 0.0), (1.0, INF), (1.5, NAN), (-0.1, NAN)],
    "erfcx": [(0.0, 1.0), (INF, 0.0), (-INF, INF), (-40.0, INF)],
    "i0e": [(0.0, 1.0), (INF, 0.0), (-INF, 0.0)],
    "i1e": [(0.0, 0.0), (-0.0, -0.0), (INF, 0.0), (-INF, -0.0)],
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("op", EDGES)
def test_zeros_poles_infinities_and_nan(op: str, way: str) -> None:
    x, wanted = np.array([*EDGES[op], (NAN, NAN)]).T
    got = run(way, op, x)
    np.testing.assert_array_equal(got, wanted)
    zero = wanted == 0
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(wanted[zero]))


def slopes(way: str, op: str, x: Any) -> Any:
    f = Activation(program(op))
    if way == "TensorFlow":
        at = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(at)
            y = f(at)
        return tape.gradient(y, at).numpy()
    if way == "JAX":
        with jax.enable_x64(True):
            return np.asarray(jax.jit(jax.vmap(jax.grad(f)))(x))
    at = torch.from_numpy(x).requires_grad_()
    f(at).sum().backward()
    return at.grad.numpy()


@pytest.mark.parametrize("way", ["TensorFlow", "JAX", "PyTorch"])
@pytest.mark.parametrize("op", EXACT)
def test_slope(op: str, way: str) -> None:
    """The rule itself is compared with mpmath in the language's tests."""
    x, _ = oracle(op, "float64")
    wanted = program(op).partial("x").evaluate(x)
    kept = np.isfinite(wanted) & (x > -1.5)
    got = slopes(way, op, x[kept])
    np.testing.assert_allclose(got, wanted[kept], rtol=1e-12, atol=1e-14)
