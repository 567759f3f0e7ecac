"""What libraries call by a name and is a short formula over the vocabulary: `lerp`, `xlogy`, `logit`."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from actgrad.reading.meanings import (
    Number,
    absolute,
    add,
    clip,
    copysign,
    divide,
    equal,
    erfc,
    exp2,
    hypot,
    is_finite,
    is_nan,
    is_neginf,
    is_posinf,
    less,
    log,
    log1p,
    logical_and,
    logical_not,
    multiply,
    negative,
    power,
    scaled,
    sin,
    sqrt,
    subtract,
    where,
)
from actgrad.reading.reader import mixes
from actgrad.reading.refusal import HOST, refuse
from actgrad.reading.symbol import Symbol, apply, given, is_symbolic, number

COMPENSATED_SUM: bool = sys.version_info >= (3, 12)


def python_sum(values: Any, start: Number = 0) -> Number:
    """Python's `sum`, which since 3.12 adds up what its roundings lose."""
    if isinstance(values, Symbol):
        mixes("sum")
    row = [start, *values]
    if not is_symbolic(row) or not COMPENSATED_SUM:
        return sum(row[1:], start)
    high: Number = 0.0
    low: Number = 0.0
    for value in row:
        together = add(high, value)
        lost = where(
            less(absolute(high), absolute(value)),
            add(subtract(value, together), high),
            add(subtract(high, together), value),
        )
        high, low = together, add(low, lost)
    compensated = add(high, where(is_finite(low), low, 0.0))
    symbols = [value for value in row if isinstance(value, Symbol)]
    return given(compensated, *(part for value in symbols for part in (number(value), 1.0)))


def dot(x: Any, y: Any) -> Number:
    if isinstance(x, Symbol) or isinstance(y, Symbol):
        mixes("dot")
    return np.dot(np.asarray(x, dtype=object), np.asarray(y, dtype=object))


def polyval(coefficients: Sequence[Number], x: Number) -> Number:
    """Highest power first, by Horner's rule."""
    return reduce(lambda value, c: value * x + c, coefficients, 0.0)


def nan_to_num(
    x: Number, nan: Number = 0.0, posinf: Number = None, neginf: Number = None
) -> Number:
    """Numbers in the place of nan and of the infinities; without them the largest of the dtype, which
    are float64's here: refuse to guess another."""
    nan = 0.0 if nan is None else nan
    largest = float(np.finfo(np.float64).max)
    high, low = (largest if posinf is None else posinf), (-largest if neginf is None else neginf)
    return where(is_nan(x), nan, where(is_posinf(x), high, where(is_neginf(x), low, x)))


def norm(*values: Number) -> Number:
    """`math.hypot` of any number of coordinates."""
    return reduce(hypot, values) if len(values) > 1 else absolute(*values)


def distance(x: Sequence[Number], y: Sequence[Number]) -> Number:
    return norm(*(subtract(a, b) for a, b in zip(x, y, strict=True)))


def sum_product(x: Iterable[Number], y: Iterable[Number]) -> Number:
    return reduce(add, (multiply(a, b) for a, b in zip(x, y, strict=True)), 0)


def angle(x: Number) -> Number:
    """Of a real number: 0, or pi where it is negative."""
    return where(less(x, 0), math.pi, where(is_nan(x), x, 0.0))


def angle_numpy(x: Number) -> Number:
    """Also pi at -0.0."""
    return where(is_nan(x), x, where(less(copysign(1, x), 0), math.pi, 0.0))


def degrees(x: Number) -> Number:
    return multiply(x, 180 / math.pi)


def radians(x: Number) -> Number:
    return multiply(x, math.pi / 180)


def fma(x: Number, y: Number, z: Number) -> Number:
    return add(multiply(x, y), z)


def addcmul(x: Number, a: Number, b: Number, value: Number = 1) -> Number:
    return add(x, scaled(multiply(a, b), value))


def addcdiv(x: Number, a: Number, b: Number, value: Number = 1) -> Number:
    return add(x, scaled(divide(a, b), value))


def ldexp(x: Number, exponent: Number) -> Number:
    return multiply(x, exp2(exponent))


def square(x: Number) -> Number:
    return multiply(x, x)


def cube(x: Number) -> Number:
    return multiply(multiply(x, x), x)


def reciprocal(x: Number) -> Number:
    return divide(1.0, x)


def rsqrt(x: Number) -> Number:
    return divide(1.0, sqrt(x))


def lerp(start: Number, end: Number, weight: Number) -> Number:
    return add(start, multiply(weight, subtract(end, start)))


def logaddexp(x: Number, y: Number) -> Number:
    return add(y, apply("softplus", subtract(x, y)))


def logaddexp2(x: Number, y: Number, scale: float = math.log(2.0)) -> Number:
    return add(y, divide(apply("softplus", multiply(scale, subtract(x, y))), scale))


def logaddexp2_keras(x: Number, y: Number) -> Number:
    """Keras's on TensorFlow, with the logarithm of 2 in float32."""
    return logaddexp2(x, y, float(np.float32(math.log(2.0))))


def xlogy(x: Number, y: Number) -> Number:
    return where(logical_and(equal(x, 0), logical_not(is_nan(y))), 0, multiply(x, log(y)))


def xlog1py(x: Number, y: Number) -> Number:
    return where(logical_and(equal(x, 0), logical_not(is_nan(y))), 0, multiply(x, log1p(y)))


def entropy_term(x: Number) -> Number:
    """-x log x, 0 at 0."""
    inside = where(equal(x, 0), 0.0, -math.inf)
    return where(is_nan(x), x, where(less(0, x), negative(multiply(x, log(x))), inside))


def sinc(x: Number) -> Number:
    """NumPy's sin(pi x) / (pi x), 1 at 0."""
    angle = multiply(math.pi, x)
    return where(equal(x, 0), 1, divide(sin(angle), angle))


def normal_cdf(x: Number) -> Number:
    return multiply(0.5, erfc(multiply(x, -math.sqrt(0.5))))


def logit(x: Number, eps: Number = None) -> Number:
    x = x if eps is None else clip(x, eps, subtract(1, eps))
    return subtract(log(x), log1p(negative(x)))


def exp10(x: Number) -> Number:
    return power(10.0, x)


def divide_no_nan(x: Number, y: Number) -> Number:
    return where(equal(y, 0), 0, divide(x, y))


def multiply_no_nan(x: Number, y: Number) -> Number:
    return where(equal(y, 0), 0, multiply(x, y))


def factorial(x: Number) -> Number:
    if isinstance(x, Symbol):
        refuse("`math.factorial` of an input cannot be read", "Compute it of constants. " + HOST)
    return math.factorial(x)


def reciprocal_no_nan(x: Number) -> Number:
    return divide_no_nan(1.0, x)


def divide_zero(x: Number, y: Number) -> Number:
    """TensorFlow's `xdivy`: 0 where x is 0."""
    return where(equal(x, 0), 0, divide(x, y))


def squared_difference(x: Number, y: Number) -> Number:
    return square(subtract(x, y))
