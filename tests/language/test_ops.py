"""Each operation's meaning and derivative, against mpmath's 50 digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp

from actgrad.language.derive import derive
from actgrad.language.expression import evaluate, make, var
from actgrad.language.ops import OPS

SCALES = [1e-300, 1e-20, 1e-8, 3e-4, 0.02, 0.3, 0.7, 0.99, 1.1, 2.5, 7.0, 19.0, 36.0, 90.0, 700.0]
FAR = [1e4, 1e9, 1e160]
LINE = [-x for x in reversed(SCALES)] + SCALES
WIDE = [-x for x in reversed(FAR)] + LINE + FAR
INSIDE = [x for x in LINE if abs(x) < 1] + [1 - 1e-10, -1 + 1e-10]
ABOVE_ONE = [1 + 1e-12, 1.001, 1.5, 4.0, 1e3, 1e9, 1e160]
POSITIVE = SCALES + FAR
MILD = [x for x in LINE if abs(x) < 40]
CURVED = [x for x in LINE if abs(x) < 1e3]
OFF_POLES = [-19.3, -2.6, -1.2, -0.7, -0.4, -1e-8, 1e-20, 3e-4, 0.3, 0.5, 0.99, 1 + 1e-6, 1.3,
             1.4616, 1.5, 1.7, 2 - 1e-6, 2 + 1e-9, 2.5, 7.0, 8.499, 8.5, 19.0, 36.0, 160.0, 1e9]  # fmt: skip
BESSEL = [
    s * x
    for x in (1e-20, 1e-8, 0.02, 0.3, 0.6, 2.5, 7.9, 8.0, 19.0, 31.0, 700.0, 1e6)
    for s in (1, -1)
]

UNARY: dict[str, tuple[Callable[[Any], Any], list[float]]] = {
    "neg": (lambda x: -x, WIDE),
    "abs": (abs, WIDE),
    "sqrt": (mpmath.sqrt, POSITIVE),
    "cbrt": (lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), WIDE),
    "exp": (mpmath.exp, CURVED),
    "exp2": (lambda x: mpmath.mpf(2) ** x, CURVED),
    "expm1": (mpmath.expm1, CURVED),
    "log": (mpmath.log, POSITIVE),
    "log2": (lambda x: mpmath.log(x, 2), POSITIVE),
    "log10": (mpmath.log10, POSITIVE),
    "log1p": (mpmath.log1p, [x for x in WIDE if x > -1]),
    "sin": (mpmath.sin, MILD),
    "cos": (mpmath.cos, MILD),
    "tan": (mpmath.tan, [x for x in MILD if abs(x) < 3]),
    "asin": (mpmath.asin, INSIDE),
    "acos": (mpmath.acos, INSIDE),
    "atan": (mpmath.atan, WIDE),
    "sinh": (mpmath.sinh, CURVED),
    "cosh": (mpmath.cosh, CURVED),
    "tanh": (mpmath.tanh, CURVED),
    "asinh": (mpmath.asinh, WIDE),
    "acosh": (mpmath.acosh, ABOVE_ONE),
    "atanh": (mpmath.atanh, INSIDE),
    "sigmoid": (lambda x: 1 / (1 + mpmath.exp(-x)), CURVED),
    "softplus": (lambda x: mpmath.log1p(mpmath.exp(x)), CURVED),
    "erf": (mpmath.erf, MILD),
    "erfc": (mpmath.erfc, [x for x in MILD if x < 26]),
    "gamma": (mpmath.gamma, [x for x in OFF_POLES if x < 170]),
    "lgamma": (lambda x: mpmath.log(abs(mpmath.gamma(x))), OFF_POLES),
    "digamma": (mpmath.digamma, OFF_POLES),
    "trigamma": (lambda x: mpmath.psi(1, x), OFF_POLES),
    "erfinv": (mpmath.erfinv, INSIDE),
    "ndtri": (
        lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1),
        [x for x in INSIDE if x > 0] + [1e-12, 0.05, 0.075, 0.5, 0.925],
    ),
    "erfcx": (lambda x: mpmath.exp(x * x) * mpmath.erfc(x), [x for x in MILD if x > -26] + [1e6]),
    "i0e": (lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x), BESSEL),
    "i1e": (lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x), BESSEL),
}
PAIRS = [
    (x, y)
    for x in (-1e160, -7.3, -0.4, -3e-9, 2e-5, 0.6, 3.1, 1e155)
    for y in (-1e150, -2.4, -1e-7, 0.35, 5.7, 1e158)
]
MILD_PAIRS = [(x, y) for x, y in PAIRS if 1e-10 < abs(x) < 1e9 and 1e-10 < abs(y) < 1e9]
BINARY: dict[str, tuple[Callable[[Any, Any], Any], list[tuple[float, float]]]] = {
    "add": (lambda x, y: x + y, PAIRS),
    "sub": (lambda x, y: x - y, PAIRS),
    "mul": (lambda x, y: x * y, MILD_PAIRS),
    "div": (lambda x, y: x / y, PAIRS),
    "pow": (lambda x, y: x**y, [(abs(x), y) for x, y in MILD_PAIRS]),
    "hypot": (mpmath.hypot, PAIRS),
    "atan2": (mpmath.atan2, PAIRS),
    "copysign": (lambda x, y: abs(x) * mpmath.sign(y), PAIRS),
    "mod": (lambda x, y: x - y * mpmath.floor(x / y), MILD_PAIRS),
}
STEPS = {"floor", "ceil", "trunc", "round", "floordiv"}


def slope(function: Callable[..., Any], at: tuple[float, ...], along: int) -> float:
    with mp.workdps(700):
        step = mpmath.mpf(10) ** -340

        def value(sign: int) -> Any:
            moved = [mpmath.mpf(x) for x in at]
            moved[along] += sign * step
            return function(*moved)

        return float((value(1) - value(-1)) / (2 * step))


def near(ours: float, true: float) -> bool:
    """To 1e-12, or beyond float64's normal numbers."""
    return (
        ours == true or abs(ours - true) <= 1e-12 * abs(true) or max(abs(ours), abs(true)) < 1e-307
    )


def test_every_operation_with_a_derivative_is_here() -> None:
    assert {name for name, row in OPS.items() if row.partials} == set(UNARY) | set(BINARY) | STEPS


@pytest.mark.parametrize("op", UNARY)
def test_meaning_of_one_argument(op: str) -> None:
    true, points = UNARY[op]
    with mp.workdps(50):
        expected = [float(true(mpmath.mpf(x))) for x in points]
    found = evaluate(make(op, var("x")), {"x": points})
    assert [x for x, a, b in zip(points, found, expected, strict=True) if not near(a, b)] == []


@pytest.mark.parametrize("op", UNARY)
def test_derivative_of_one_argument(op: str) -> None:
    true, points = UNARY[op]
    found = evaluate(derive(make(op, var("x")), "x"), {"x": points})
    expected = [slope(true, (x,), 0) for x in points]
    wrong = [
        row
        for row in zip(points, np.broadcast_to(found, len(points)), expected, strict=True)
        if not near(*row[1:])
    ]
    assert wrong == []


@pytest.mark.parametrize("along", [0, 1])
@pytest.mark.parametrize("op", BINARY)
def test_derivative_of_two_arguments(op: str, along: int) -> None:
    true, points = BINARY[op]
    x, y = np.array(points).T
    found = evaluate(derive(make(op, var("x"), var("y")), "xy"[along]), {"x": x, "y": y})
    expected = [slope(true, point, along) for point in points]
    wrong = [
        row
        for row in zip(points, np.broadcast_to(found, len(points)), expected, strict=True)
        if not near(*row[1:])
    ]
    assert wrong == []


@pytest.mark.parametrize("op", sorted(STEPS))
def test_a_step_has_no_slope(op: str) -> None:
    node = make(op, *map(var, OPS[op].arguments.split()))
    assert evaluate(derive(node, "x"), {"x": 0.3, "y": 0.7}) == 0


EDGES = [
    ("abs", "x", (0.0,), 0.0),
    ("pow", "x", (0.0, 2.0), 0.0),
    ("pow", "x", (0.0, 1.0), 1.0),
    ("pow", "x", (0.0, 0.0), 0.0),
    ("pow", "x", (-2.0, 3.0), 12.0),
    ("pow", "x", (0.0, 0.5), np.inf),
    ("pow", "y", (0.0, 2.0), 0.0),
    ("pow", "y", (-2.0, 3.0), 0.0),
    ("hypot", "x", (0.0, 0.0), 0.0),
    ("hypot", "y", (0.0, 0.0), 0.0),
    ("atan2", "x", (0.0, 0.0), 0.0),
    ("atan2", "y", (0.0, 0.0), 0.0),
    ("atan2", "x", (0.0, -2.0), -0.5),
    ("copysign", "x", (-0.0, 3.0), -1.0),
    ("copysign", "x", (2.0, -0.0), -1.0),
    ("copysign", "y", (2.0, -0.0), 0.0),
    ("mod", "y", (-0.5, 1.0), 1.0),
    ("sigmoid", "x", (-1e4,), 0.0),
    ("sigmoid", "x", (1e4,), 0.0),
    ("softplus", "x", (1e4,), 1.0),
    ("tanh", "x", (-1e300,), 0.0),
    ("atan", "x", (1e300,), 0.0),
    ("asinh", "x", (0.0,), 1.0),
    ("sqrt", "x", (0.0,), np.inf),
    ("erf", "x", (1e200,), 0.0),
]


@pytest.mark.parametrize(("op", "by", "at", "slope"), EDGES)
def test_derivative_at_an_edge(op: str, by: str, at: tuple[float, ...], slope: float) -> None:
    names = OPS[op].arguments.split()
    found = derive(make(op, *map(var, names)), by)
    assert evaluate(found, dict(zip(names, at, strict=True))) == slope


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("op", UNARY)
def test_the_meaning_keeps_the_dtype(op: str, dtype: type[np.floating]) -> None:
    with np.errstate(all="ignore"):
        assert np.asarray(OPS[op].numpy(np.array([0.25, 0.5], dtype))).dtype == dtype
