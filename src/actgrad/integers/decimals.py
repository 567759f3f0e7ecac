"""The operations of the vocabulary on decimal numbers of 120 digits, with IEEE's zeros and infinities."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from decimal import Decimal
from functools import cache, wraps

import numpy as np

from actgrad.language.ops import OPS

Function = Callable[..., Decimal]

DIGITS = 120
_MOST = 500  # guard digits, beyond which a small number is a function's own first term


FUNCTIONS: dict[str, Function] = {
    "neg": lambda x: x.copy_negate(),
    "abs": lambda x: x.copy_abs(),
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "copysign": lambda x, y: x.copy_sign(y),
    "sqrt": lambda x: x.sqrt(),
    "exp": lambda x: x.exp(),
    "log": lambda x: x.ln(),
    "log10": lambda x: x.log10(),
}
"""By name; below and in `special` are more. What is nowhere is a decision: a comparison, a step, a table."""


def context(digits: int = DIGITS) -> decimal.Context:
    """Without traps: 1 / -0 is -Infinity, as in IEEE's arithmetic."""
    return decimal.Context(
        prec=digits, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, rounding=decimal.ROUND_HALF_EVEN,
        traps=[],
    )  # fmt: skip


def ieee(op: str, *args: Decimal) -> Decimal:
    with np.errstate(all="ignore"):
        return Decimal(float(OPS[op].numpy(*(np.float64(float(x)) for x in args))))


def guarded(op: str) -> Callable[[Function], Function]:
    """An operation with guard digits for the size of its arguments; infinities and nan are NumPy's."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def compute(*args: Decimal) -> Decimal:
            if not all(x.is_finite() for x in args):
                return ieee(op, *args)
            guard = max(min(abs(x.adjusted()), _MOST) if x else 0 for x in args)
            with decimal.localcontext(context(DIGITS + 30 + guard)):
                return function(*args)

        FUNCTIONS[op] = compute
        return compute

    return decorate


def odd(function: Function) -> Function:
    """f(-x) = -f(x), and f of a zero is that zero."""

    @wraps(function)
    def compute(x: Decimal) -> Decimal:
        if not x:
            return x
        return function(x) if x > 0 else function(-x).copy_negate()

    return compute


def series(term: Decimal, ratio: Callable[[int], Decimal]) -> Decimal:
    """The sum of terms, each the one before times ratio(n), until they no longer count."""
    total, n = term, 0
    while True:
        n += 1
        term = term * ratio(n)
        before, total = total, total + term
        if total == before:
            return total


@cache
def _pi(digits: int) -> Decimal:
    with decimal.localcontext(context(digits + 10)):
        return 16 * _arctan_series(1 / Decimal(5)) - 4 * _arctan_series(1 / Decimal(239))


def pi() -> Decimal:
    return _pi(decimal.getcontext().prec)


def _arctan_series(x: Decimal) -> Decimal:
    square = x * x
    return series(x, lambda n: -square * (2 * n - 1) / (2 * n + 1))


# Arithmetic.


def _pow(x: Decimal, y: Decimal) -> Decimal:
    if not (x.is_finite() and y.is_finite() and x and y):
        return ieee("pow", x, y)
    return x**y


@guarded("cbrt")
@odd
def _cbrt(x: Decimal) -> Decimal:
    root = (x.ln() / 3).exp()
    return root - (root - x / (root * root)) / 3


# Exponentials and logarithms.


@guarded("log2")
def _log2(x: Decimal) -> Decimal:
    whole = Decimal(math.frexp(float(x))[1] - 1) if x > 0 else x
    return whole if x > 0 and Decimal(2) ** whole == x else x.ln() / Decimal(2).ln()


def _softplus(x: Decimal) -> Decimal:
    if not x.is_finite():
        return ieee("softplus", x)
    return max(x, Decimal(0)) + FUNCTIONS["log1p"]((-abs(x)).exp())


# Circular functions.


def sine(x: Decimal, quarters: int) -> Decimal:
    """sin(x + quarters * pi / 2)."""
    half = pi() / 2
    turns = (x / half).to_integral_value()
    rest, quarter = x - turns * half, int((turns + quarters) % 4) % 4
    square = rest * rest
    if quarter % 2:
        value = series(Decimal(1), lambda n: -square / ((2 * n - 1) * 2 * n))
    else:
        value = series(rest, lambda n: -square / (2 * n * (2 * n + 1)))
    return -value if quarter >= 2 else value


@guarded("atan")
@odd
def _atan(x: Decimal) -> Decimal:
    if x > 1:
        return pi() / 2 - _atan(1 / x)
    for _ in range(3):
        x = x / (1 + (1 + x * x).sqrt())
    return 8 * _arctan_series(x)


@guarded("atan2")
def _atan2(y: Decimal, x: Decimal) -> Decimal:
    if not y:
        return (pi() if x.is_signed() else Decimal(0)).copy_sign(y)
    if not x:
        return (pi() / 2).copy_sign(y)
    angle = _atan(abs(y) / abs(x))
    return (pi() - angle if x < 0 else angle).copy_sign(y)


# Hyperbolic functions.


@guarded("tanh")
@odd
def _tanh(x: Decimal) -> Decimal:
    if x.adjusted() < -_MOST:
        return x
    less = (-2 * x).exp()
    return (1 - less) / (1 + less)


# The error function.


@guarded("erf")
@odd
def _erf(x: Decimal) -> Decimal:
    return 1 - _erfc(x) if x > 3 else _erf_series(x)


@guarded("erfc")
def _erfc(x: Decimal) -> Decimal:
    if x < 0:
        return 2 - _erfc(-x)
    if x > 25:
        return (-x * x).exp() * erfcx_far(x)
    with decimal.localcontext() as wide:
        wide.prec += int(x * x / 2) + 5  # erfc(x) is about 10 ** (-0.43 x²)
        return 1 - _erf_series(x)


def erfcx_far(x: Decimal) -> Decimal:
    """exp(x²) erfc(x), of x > 25."""
    scale = -1 / (2 * x * x)  # so small that the terms no longer count long before they grow
    return series(Decimal(1), lambda n: (2 * n - 1) * scale) / (x * pi().sqrt())


def _erf_series(x: Decimal) -> Decimal:
    square = 2 * x * x
    total = series(x, lambda n: square / (2 * n + 1))
    return 2 / pi().sqrt() * (-x * x).exp() * total


FUNCTIONS |= {"pow": _pow, "softplus": _softplus}

_GUARDED: dict[str, Function] = {
    "hypot": lambda x, y: (x * x + y * y).sqrt(),
    "exp2": lambda x: Decimal(2) ** x,
    "expm1": lambda x: x if x.adjusted() < -_MOST else x.exp() - 1 if x else x,
    "log1p": lambda x: x if not x or x.adjusted() < -_MOST else (1 + x).ln(),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "sin": lambda x: sine(x, 0) if x else x,
    "cos": lambda x: sine(x, 1),
    "tan": lambda x: sine(x, 0) / sine(x, 1) if x else x,
    "asin": odd(lambda x: _atan2(x, ((1 - x) * (1 + x)).sqrt())),
    "acos": lambda x: _atan2(((1 - x) * (1 + x)).sqrt(), x),
    "sinh": odd(lambda x: x if x.adjusted() < -_MOST else (x.exp() - (-x).exp()) / 2),
    "cosh": lambda x: (x.exp() + (-x).exp()) / 2,
    "asinh": odd(lambda x: x if x.adjusted() < -_MOST else (x + (x * x + 1).sqrt()).ln()),
    "acosh": lambda x: (x + ((x - 1) * (x + 1)).sqrt()).ln(),
    "atanh": odd(lambda x: x if x.adjusted() < -_MOST else ((1 + x) / (1 - x)).ln() / 2),
}
for _op, _function in _GUARDED.items():
    guarded(_op)(_function)
