"""Rounding to digits, and division with a mode."""

from __future__ import annotations

from actgrad.reading.formulas import to_nearest
from actgrad.reading.meanings import (
    Number,
    add,
    divide,
    floor,
    floor_divide,
    multiply,
    rint,
    subtract,
    trunc,
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
        beyond = subtract(x, multiply(add(floor(quotient), 0.5), scale))
        return multiply(to_nearest(quotient, beyond), scale)
    product = multiply(x, scale)
    # The product is rounded, perhaps to a tie: its error, by parts of x short enough to be exact.
    part = divide(rint(multiply(x, 2048.0)), 2048.0)
    rest = multiply(subtract(x, part), scale)
    beyond = add(subtract(multiply(part, scale), product), rest)
    return divide(to_nearest(product, beyond), scale)


def python_divide(x: Number, y: Number, rounding_mode: str | None = None) -> Number:
    """PyTorch's `div`: its "floor" is Python's `//`."""
    if rounding_mode is None:
        return divide(x, y)
    if rounding_mode == "floor":
        return floor_divide(x, y)
    if rounding_mode == "trunc":
        return trunc(divide(x, y))
    refuse(f"`rounding_mode={rounding_mode!r}`", 'Give None, "floor" or "trunc".')
