"""The oracle of the language: the user's own Python function."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from actgrad.errors import ActgradWarning
from actgrad.reading.define import define

_MAGNITUDES = (
    0.0,
    5e-324,
    1e-9,
    0.1,
    0.25,
    0.5,
    0.7,
    1.0,
    1.25,
    1.5,
    2.0,
    2.5,
    3.0,
    3.5,
    4.0,
    5.0,
    6.75,
)
_MAGNITUDES += (9.3, 31.0)
GRID = tuple(sign * x for x in _MAGNITUDES for sign in (1.0, -1.0))
_BETWEEN = (0.0317, 0.2231, 0.4447, 0.6123, 0.8891, 1.3313, 2.2219, 3.7177, 6.1119)
SMOOTH = tuple(sign * x for x in _BETWEEN for sign in (1.0, -1.0))


def read(function: Callable[..., Any], **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        return define(function, **options)


def python(function: Callable[..., Any], *x: float) -> float | None:
    """What Python answers, or None where it raises or leaves the real numbers."""
    try:
        result = function(*x)
        return None if isinstance(result, complex) else float(result)
    except (ArithmeticError, ValueError, AssertionError, RuntimeError):
        return None


def same(a: float, b: float, tolerance: float) -> bool:
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if tolerance == 0:
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return a == b or abs(a - b) <= tolerance * max(abs(a), abs(b), 1e-3)


def _mismatches(
    function: Callable[..., Any], points: Sequence[float], tolerance: float
) -> list[Any]:
    program = read(function)
    own = [(x, python(function, x)) for x in points]
    rows = [(x, y, float(program.evaluate(x))) for x, y in own if y is not None]
    assert len(rows) >= 3, "the oracle answers almost nowhere"
    return [row for row in rows if not same(row[1], row[2], tolerance)]


def slope(function: Callable[..., Any], x: float) -> float | None:
    """The central difference, where both sides agree that there is one."""
    h = 1e-5 * max(1.0, abs(x))
    values = [python(function, x + k * h) for k in (-2, -1, 0, 1, 2)]
    if any(value is None or not math.isfinite(value) for value in values):
        return None
    a, b, c, d, e = values
    left, right, central = (c - b) / h, (d - c) / h, (8 * (d - b) - (e - a)) / (12 * h)
    return central if abs(left - right) <= 1e-3 * (1 + abs(left) + abs(right)) else None


def _wrong_slopes(function: Callable[..., Any]) -> list[Any]:
    program = read(function)
    derivative = program.partial(program.inputs[0])
    rows = [(x, slope(function, x)) for x in SMOOTH]
    rows = [(x, s, float(derivative.evaluate(x))) for x, s in rows if s is not None]
    assert len(rows) >= 3, "no place to differentiate"
    return [row for row in rows if not abs(row[1] - row[2]) <= 1e-5 * (1 + abs(row[1]))]


@pytest.fixture
def reads_as_python() -> Callable[..., None]:
    """Assert that a function of one number is read as what Python computes: values on a grid with the
    kinks, bit for bit unless a tolerance is given, and slopes away from them."""

    def check(
        function: Callable[..., Any], tolerance: float = 0.0, points: Sequence[float] = GRID
    ) -> None:
        __tracebackhide__ = True
        assert _mismatches(function, points, tolerance) == [], "(x, Python, read)"
        assert _wrong_slopes(function) == [], "(x, difference, derived)"

    return check
