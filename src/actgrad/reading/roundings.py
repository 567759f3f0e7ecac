"""Rounding, remainders and whole quotients, which libraries cut at different places."""

from __future__ import annotations

from typing import Any

from actgrad.reading.meanings import (
    Number,
    absolute,
    add,
    copysign,
    divide,
    equal,
    floor,
    floor_divide,
    is_inf,
    less,
    mod,
    multiply,
    negative,
    rint,
    subtract,
    trunc,
    where,
)
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import whole


def round_decimals(x: Number, digits: int = 0) -> Number:
    """NumPy's and PyTorch's: a float, so a -0.0 stays; the product is rounded, not the digits."""
    if digits == 0:
        return rint(x)
    scale = 10.0 ** abs(digits)
    if digits < 0:
        return multiply(rint(divide(x, scale)), scale)
    return divide(rint(multiply(x, scale)), scale)


def python_round(x: Number, digits: int | None = None) -> Number:
    """Python's own: the decimal that is nearest to the exact value of x, and the even one of two."""
    if digits is None:
        return whole("round", x)
    if digits == 0:
        return rint(x)
    scale = 10.0 ** abs(digits)
    if digits < 0:
        quotient = divide(x, scale)
        below = floor(quotient)
        beyond = subtract(x, multiply(add(below, 0.5), scale))
        return multiply(_to_nearest(quotient, below, beyond), scale)
    product = multiply(x, scale)
    # The product is rounded, perhaps to a tie: its error, by parts of x short enough to be exact.
    part = divide(rint(multiply(x, 2048.0)), 2048.0)
    rest = multiply(subtract(x, part), scale)
    beyond = add(subtract(multiply(part, scale), product), rest)
    return divide(_to_nearest(product, floor(product), beyond), scale)


def _to_nearest(x: Number, below: Number, beyond: Number) -> Number:
    tie = equal(subtract(x, below), 0.5)
    up = where(less(0, beyond), add(below, 1), where(less(beyond, 0), below, rint(x)))
    return where(tie, up, rint(x))


def floor_divmod(x: Number, y: Number) -> tuple[Number, Number]:
    return floor_divide(x, y), mod(x, y)


def fmod(x: Number, y: Number) -> Number:
    """C's remainder, with the sign of x; its slope at zero is one, as beside it."""
    y = absolute(y)
    return where(less(absolute(x), y), x, copysign(mod(absolute(x), y), x))


def remainder_nearest(x: Number, y: Number) -> Number:
    """IEEE's remainder, by exact steps; of two nearest multiples the even one."""
    size, y = absolute(x), absolute(y)
    rest = mod(size, y)
    other = subtract(y, rest)
    even = subtract(rest, multiply(2.0, mod(multiply(0.5, subtract(size, rest)), y)))
    found = where(less(rest, other), rest, where(less(other, rest), negative(other), even))
    return where(is_inf(y), x, multiply(copysign(1.0, x), found))


def modf(x: Number) -> tuple[Number, Number]:
    """The part behind the point, with the sign of x, and the whole part."""
    whole = trunc(x)
    rest = where(less(x, 0), negative(subtract(whole, x)), subtract(x, whole))
    return where(less(absolute(x), 1.0), x, where(is_inf(x), copysign(0.0, x), rest)), whole


def fraction(x: Number) -> Number:
    return subtract(x, trunc(x))


def round_away(x: Number, rounding_method: Any = 0) -> Number:
    """JAX's `lax.round`: ties away from zero by default."""
    if int(rounding_method):
        return rint(x)
    # Not floor(|x| + 0.5), whose sum is rounded: 0.49999999999999994 is nearer to 0.
    size = absolute(x)
    below = floor(size)
    return copysign(where(less(subtract(size, below), 0.5), below, add(below, 1)), x)


def python_divide(x: Number, y: Number, rounding_mode: str | None = None) -> Number:
    """PyTorch's `div`: its "floor" is Python's `//`."""
    if rounding_mode is None:
        return divide(x, y)
    if rounding_mode == "floor":
        return floor_divide(x, y)
    if rounding_mode == "trunc":
        return trunc(divide(x, y))
    refuse(f"`rounding_mode={rounding_mode!r}`", 'Give None, "floor" or "trunc".')


def quotient_floor(x: Number, y: Number) -> Number:
    """TensorFlow's `floordiv`: the floor of the rounded quotient."""
    return floor(divide(x, y))


def truncate_divide(x: Number, y: Number) -> Number:
    return trunc(divide(x, y))


def is_integer(x: Number) -> Number:
    return equal(floor(x), x)
