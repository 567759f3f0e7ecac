"""The length of a row while a function of it is read, and the symbols of operations on rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from actgrad.language.expression import Expr, make
from actgrad.language.length import Length
from actgrad.language.rows import WHOLE
from actgrad.reading.reader import is_detached, reader
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, apply, detached, number


def kept(expr: Expr, form: object) -> Symbol:
    """The symbol of an operation on a row, which is as long as said."""
    reader().count()
    if expr.op in WHOLE | {"concat"}:
        reader().mixes(expr)
    return Symbol(detached(expr) if is_detached() and not expr.boolean else expr, form)


class Size(Symbol):
    """The length of a row: a number, and a bound of its parts."""

    __slots__ = ("length",)
    length: Length

    @classmethod
    def of(cls, length: Length) -> Size:
        size = cls(make("length", value=length), None, writable=False)
        size.length = length
        return size

    def __call__(self, dim: int | None = None) -> object:
        """PyTorch's `x.size(-1)`."""
        return (self,) if dim is None else self

    def __index__(self) -> int:
        refuse(
            "a plain number is needed of a row's length, which is not known yet",
            "Compute with whole rows, without a loop over their numbers.",
        )

    def __neg__(self) -> Any:
        return Size.of(self.length * -1)

    def __add__(self, other: Any) -> object:
        if isinstance(other, Size):
            return Size.of(self.length + other.length)
        return Size.of(self.length + other) if _is_whole(other) else apply("add", self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Size):
            return Size.of(self.length - other.length)
        return Size.of(self.length - other) if _is_whole(other) else apply("sub", self, other)

    def __rsub__(self, other: object) -> object:
        return -self + other if _is_whole(other) else apply("sub", other, self)

    def __mul__(self, other: Any) -> object:
        if isinstance(other, list) and len(other) == 1:  # `[0.0] * len(x)`
            return kept(number(other[0]).expr, self.length)
        return Size.of(self.length * other) if _is_whole(other) else apply("mul", self, other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> object:
        if _is_whole(other) and other > 0:
            try:
                return Size.of(self.length // other)
            except ValueError:
                pass
        return apply("floordiv", self, other)

    def __hash__(self) -> int:
        return hash(self.length)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
