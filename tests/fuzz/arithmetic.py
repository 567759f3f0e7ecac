"""Other arithmetics for a function's text: IEEE's, which never raises, and 60 exact digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
from mpmath import mp

DIGITS = 60
HUGE = 1e5
"""Beyond exp of this, exact digits are of no use and take too long."""


class NotNeeded(Exception):
    """The exact arithmetic has no answer here."""


def ieee(*, first_zero: bool = False) -> dict[str, Any]:
    """Names under which a function computes with NumPy's float64: inf and nan, no exception.

    Which of 0.0 and -0.0 is the larger, IEEE leaves open. NumPy's maximum and minimum take the second that
    they are given, with `first_zero` the first.
    """
    names = {
        "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan",
        "atan2": "arctan2", "atanh": "arctanh", "pow": "power", "fabs": "abs",
    }  # fmt: skip
    same = """
        cbrt ceil copysign cos cosh degrees exp exp2 expm1 floor fmod hypot log log10 log1p log2
        radians sin sinh sqrt tan tanh trunc
    """.split()

    def call(name: str) -> Callable[..., Any]:
        function = getattr(np, name)
        return lambda *args: function(*map(np.float64, args))

    functions = {name: call(names.get(name, name)) for name in [*names, *same]}
    functions["erf"] = lambda x: np.float64(math.erf(x))
    functions["erfc"] = lambda x: np.float64(math.erfc(x))
    return {
        "math": SimpleNamespace(**functions),
        "np": SimpleNamespace(**{**vars(np), **_FIRST}) if first_zero else np,
        "int": lambda x: np.trunc(np.float64(x)),
        "float": np.float64,
        "round": lambda x, digits=0: np.rint(np.float64(x) * 10.0**digits) / 10.0**digits,
    }


_FIRST: dict[str, Any] = {
    "maximum": lambda x, y: x if x == y else np.maximum(x, y),
    "minimum": lambda x, y: x if x == y else np.minimum(x, y),
}


_answers: list[bool] = []
"""What was said to each question that a function asked about a number, in turn: the path that it took."""


def _noted(answer: Any) -> bool:
    _answers.append(bool(answer))
    return _answers[-1]


class Exact:
    """A real number of 60 digits under Python's operators."""

    __slots__ = ("of",)
    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None

    def __init__(self, of: Any) -> None:
        self.of = mpmath.mpf(of)

    def __bool__(self) -> bool:
        return _noted(self.of)

    def __neg__(self) -> Exact:
        return Exact(-self.of)

    def __abs__(self) -> Exact:
        return Exact(abs(self.of))

    def __eq__(self, other: object) -> bool:
        return _noted(self.of == _real(other))


def _real(x: Any) -> Any:
    return x.of if isinstance(x, Exact) else mpmath.mpf(x)


def _quotient(x: Any, y: Any) -> Any:
    if y == 0:
        raise NotNeeded
    return x / y


def _floor(x: Any) -> Any:
    """Beyond 2**53 a float has no fraction, and these digits soon have none either."""
    if abs(x) > 2**53:
        raise NotNeeded
    return mpmath.floor(x)


def _power(x: Any, y: Any) -> Any:
    if (x < 0 and y != int(y)) or (x == 0 and y < 0) or abs(y) > 1000:
        raise NotNeeded
    return x**y


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "truediv": _quotient,
    "floordiv": lambda x, y: _floor(_quotient(x, y)),
    "mod": lambda x, y: x - y * _floor(_quotient(x, y)),
    "pow": _power,
}
for _name, _operator in _OPERATORS.items():
    setattr(Exact, f"__{_name}__", lambda x, y, own=_operator: Exact(own(x.of, _real(y))))
    setattr(Exact, f"__r{_name}__", lambda x, y, own=_operator: Exact(own(_real(y), x.of)))
for _name, _test in {
    "lt": lambda x, y: x < y, "le": lambda x, y: x <= y, "gt": lambda x, y: x > y, "ge": lambda x, y: x >= y,
}.items():  # fmt: skip
    setattr(Exact, f"__{_name}__", lambda x, y, own=_test: _noted(own(x.of, _real(y))))
Exact.__divmod__ = lambda x, y: (x // y, x % y)  # type: ignore[attr-defined]


def _exact(
    function: Callable[..., Any], within: Callable[..., bool] = lambda *_: True
) -> Callable[..., Exact]:
    def call(*args: Any) -> Exact:
        numbers = [_real(arg) for arg in args]
        if not within(*numbers):
            raise NotNeeded
        return Exact(function(*numbers))

    return call


def _copysign(x: Any, y: Any) -> Any:
    return abs(x) if y >= 0 else -abs(x)


def exact() -> dict[str, Any]:
    """Names under which a function computes with `Exact` numbers."""
    small = lambda x: abs(x) < HUGE
    functions = {
        name: _exact(getattr(mpmath, name))
        for name in "atan asinh erf degrees radians tanh".split()
    }
    functions |= {
        name: _exact(getattr(mpmath, name), small)
        for name in "exp sinh cosh sin cos tan expm1 erfc".split()
    }
    functions |= {
        "log": _exact(mpmath.log, lambda x: x > 0),
        "log1p": _exact(mpmath.log1p, lambda x: x > -1),
        "log2": _exact(lambda x: mpmath.log(x, 2), lambda x: x > 0),
        "log10": _exact(mpmath.log10, lambda x: x > 0),
        "sqrt": _exact(mpmath.sqrt, lambda x: x >= 0),
        "asin": _exact(mpmath.asin, lambda x: abs(x) <= 1),
        "acos": _exact(mpmath.acos, lambda x: abs(x) <= 1),
        "acosh": _exact(mpmath.acosh, lambda x: x >= 1),
        "atanh": _exact(mpmath.atanh, lambda x: abs(x) < 1),
        "exp2": _exact(lambda x: mpmath.mpf(2) ** x, small),
        "cbrt": _exact(lambda x: _copysign(mpmath.cbrt(abs(x)), x)),
        "fabs": _exact(abs),
        "floor": _exact(_floor),
        "ceil": _exact(lambda x: -_floor(-x)),
        "trunc": _exact(lambda x: _copysign(_floor(abs(x)), x)),
        "pow": _exact(_power),
        "hypot": _exact(mpmath.hypot),
        "atan2": _exact(mpmath.atan2),
        "copysign": _exact(_copysign),
        "fmod": _exact(
            lambda x, y: _copysign(abs(x) - abs(y) * _floor(_quotient(abs(x), abs(y))), x)
        ),
    }
    math_names = SimpleNamespace(**functions)

    def rounded(x: Any, digits: int = 0) -> Exact:
        scale = mpmath.mpf(10) ** digits
        _floor(_real(x))
        return Exact(mpmath.nint(_real(x) * scale) / scale)

    clip = lambda x, low, high: min(max(x, low), high)
    arrays = SimpleNamespace(
        where=lambda condition, yes, no: yes if condition else no,
        maximum=max, minimum=min, clip=clip, abs=abs, absolute=abs, square=lambda x: x * x,
        sign=lambda x: Exact((x > 0) - (x < 0)), rint=rounded, arctan2=functions["atan2"],
        logical_or=lambda a, b: a or b,
        heaviside=lambda x, at: Exact(1 if x > 0 else 0) if x != 0 else Exact(at),
        **{name: functions[name] for name in ("exp", "log1p", "tanh", "sin", "floor", "hypot")},
    )  # fmt: skip
    return {
        "math": math_names, "np": arrays, "int": functions["trunc"], "round": rounded,
        "float": lambda x: Exact(_real(x)),
        "sum": lambda values: _total(list(values)),
    }  # fmt: skip


def _total(values: list[Any]) -> Any:
    total = Exact(0)
    for value in values:
        total = total + value
    return total


def slopes(function: Callable[..., Any], at: list[float], along: int) -> tuple[float, float] | None:
    """An exact function's first two derivatives; None at a kink, a jump, beyond its domain, and where a
    branch is taken at this number alone (`x if x == 1 else x * x` at 1)."""
    with mp.workdps(DIGITS):
        step = mpmath.mpf(10) ** -14

        def value(turns: int) -> Any:
            _answers.clear()
            moved = [Exact(x) for x in at]
            moved[along] = Exact(moved[along].of + turns * step)
            number = _real(function(*moved))
            paths.append(list(_answers))
            return number

        paths: list[list[bool]] = []
        try:
            left2, left, here, right, right2 = (value(turns) for turns in (-2, -1, 0, 1, 2))
        except (NotNeeded, ArithmeticError):
            return None
        if paths[2] != paths[1] and paths[2] != paths[3]:
            return None
        before, after = (here - left) / step, (right - here) / step
        bend = (after - before) / step
        bends = ((here - 2 * left + left2) / step**2, (here - 2 * right + right2) / step**2)
        if max(map(abs, (before, after, bend))) > 1e9:
            return None  # a jump, a kink, or too steep to tell
        if any(abs(bend - other) > 1e-6 * (1 + abs(bend)) for other in bends):
            return None  # a kink of the slope
        return float((right - left) / (2 * step)), float(bend)
