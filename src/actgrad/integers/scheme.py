"""How real numbers are stored as integers: scale, zero point, bits, rounding."""

from __future__ import annotations

import decimal
import math
import numbers
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from actgrad.errors import CallError
from actgrad.integers.decimals import context

Rounding = Literal["even", "away"]
Pair = tuple[float, int]
"""A scale and a zero point."""
Codes = npt.NDArray[Any]

_SURE = 1e-6
"""A float64 quotient this near to a tie, in steps of the output, is computed in decimals."""
_TIE = Decimal(10) ** -60


class Affine(NamedTuple):
    """The real number of an integer code is `(code - zero_point) * scale`."""

    scale: float
    zero_point: int = 0

    def formula(self, code: str) -> str:
        """The real number, as a text."""
        sign = "+" if self.zero_point < 0 else "-"
        return f"({code} {sign} {abs(self.zero_point)}) * {self.scale!r}"


@dataclass(frozen=True)
class Format:
    """The integers: how many bits, with a sign or without; `narrow` leaves out the lowest."""

    bits: int = 8
    signed: bool = True
    rounding: Rounding = "even"
    narrow: bool = False

    def __post_init__(self) -> None:
        if type(self.bits) is not int or self.bits not in (8, 16):
            raise CallError(f"bits={self.bits!r}: a table has 8 or 16 bits, as an integer")
        for name, flag in (("signed", self.signed), ("narrow", self.narrow)):
            if not isinstance(flag, bool):
                raise CallError(f"{name}={flag!r}: it should be True or False")
        if self.rounding not in ("even", "away"):
            raise CallError(
                f"rounding={self.rounding!r}: ties go to 'even' (NumPy, ONNX) or 'away' from zero (C, TFLite)"
            )

    @property
    def first(self) -> int:
        """The lowest code of an input."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def low(self) -> int:
        """The lowest code of an output."""
        return self.first + self.narrow

    @property
    def high(self) -> int:
        return self.first + (1 << self.bits) - 1

    @property
    def size(self) -> int:
        return 1 << self.bits

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"{'' if self.signed else 'u'}int{self.bits}")

    def affine(self, what: str, pair: Pair) -> Affine:
        """A pair (scale, zero point), checked, with the scale as float32, as ONNX and TFLite store it."""
        try:
            scale, zero_point = pair
            if any(isinstance(each, (bool, np.bool_)) for each in (scale, zero_point)):
                raise TypeError("a truth value is no number")
            with np.errstate(over="ignore"):  # inf is refused below
                scale, whole = float(np.float32(scale)), int(zero_point)
        except (TypeError, ValueError, OverflowError) as error:
            raise CallError(
                f"{what}={pair!r}: it should be a pair (scale, zero_point), such as (0.05, 0)"
            ) from error
        if not (math.isfinite(scale) and scale >= float(np.finfo(np.float32).tiny)):
            raise CallError(f"{what}={pair!r}: the scale should be a positive float32")
        if whole != zero_point or not self.first <= whole <= self.high:
            raise CallError(
                f"{what}={pair!r}: the zero point should be an integer from {self.first} to {self.high}"
            )
        return Affine(scale, whole)

    def range(self, what: str, low: float, high: float) -> Affine:
        """The scale and zero point with which the codes span [low, high], and 0 is exact."""
        widened = min(low, 0.0), max(high, 0.0)
        scale = (widened[1] - widened[0]) / (self.high - self.low)
        if not (low <= high and 0.0 < scale <= float(np.finfo(np.float32).max)):
            raise CallError(
                f"{what} range from {low!r} to {high!r}, and codes need two finite ends in order, not both "
                f"0\n  Choose the scales yourself: f.table(input=(0.05, 0), output=(0.05, 0))."
            )
        scale = max(float(np.float32(scale)), float(np.finfo(np.float32).tiny))
        zero_point = round(self.low - widened[0] / scale)
        return Affine(scale, min(max(zero_point, self.low), self.high))


def nearest(value: Decimal, scale: float, rounding: Rounding) -> int | None:
    """value / scale, rounded once; None for nan and beyond 32 bits in both directions ±2³¹."""
    if value.is_nan():
        return None
    with decimal.localcontext(context()):
        steps = value / Decimal(scale)
        if abs(steps) > 2**31:
            return 2**31 if steps > 0 else -(2**31)
        down = int(steps.to_integral_value(decimal.ROUND_FLOOR))
        rest = steps - down - Decimal("0.5")
        if abs(rest) < _TIE:
            even = rounding == "even"
            return down + (down % 2 if even else int(down >= 0))
        return down + (rest > 0)


def near_tie(value: Codes, bound: Codes, scale: float, farthest: int) -> npt.NDArray[np.bool_]:
    """Where float64 cannot tell to which integer value / scale is rounded; beyond `farthest`, anywhere."""
    with np.errstate(all="ignore"):
        steps, doubt = value / scale, 16 * bound / scale + _SURE
        apart = np.abs(steps - np.floor(steps) - 0.5)
        beyond = np.abs(steps) - doubt > farthest
        return np.asarray(~((apart > doubt) | beyond))


def ranges(data: object, percentile: float) -> tuple[float, float]:
    """The ends of data, or those of its middle `percentile` per cent."""
    try:
        found = np.asarray(data)
    except ValueError as error:  # rows of different lengths
        raise CallError(f"data to choose a scale from: {error}") from error
    if found.dtype.kind not in "biuf" or not found.size or not np.isfinite(found).all():
        raise CallError("data to choose a scale from should be finite real numbers, at least one")
    if not 0 < number("percentile", percentile) <= 100:
        raise CallError(f"percentile={percentile!r}: it should be above 0 and at most 100")
    rest = (100 - percentile) / 2
    ends = np.percentile(found.astype(np.float64), [rest, 100 - rest]).tolist()
    return ends[0], ends[1]


def number(name: str, value: object) -> float:
    """A number that was given by name."""
    if isinstance(value, numbers.Real) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return float(value)
    raise CallError(f"{name}={value!r}: it should be a number")
