"""What libraries make of the order of a row: sorted rows, places in them, medians and quantiles."""

from __future__ import annotations

from functools import wraps
from typing import Any

import numpy as np

from actgrad.language.length import ONE
from actgrad.reading.libraries.meanings import (
    Number,
    add,
    ceil,
    divide,
    equal,
    floor,
    multiply,
    negative,
    subtract,
    where,
)
from actgrad.reading.libraries.row_numbers import (
    along,
    flip,
    largest,
    position,
    row,
    smallest,
    total,
    whole,
)
from actgrad.reading.libraries.row_parts import part_of
from actgrad.reading.libraries.sizes import Size, kept
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import number, of_row


class Pair(tuple[Any, ...]):
    """The numbers and their places, as PyTorch's `sort` and `topk` return them."""

    __slots__ = ()
    values = property(lambda self: self[0])
    indices = property(lambda self: self[1])


class Ends(tuple[Any, ...]):
    """What PyTorch's `aminmax` returns."""

    __slots__ = ()
    min = property(lambda self: self[0])
    max = property(lambda self: self[1])


def ends(x: object, *, axis: object = None, keepdims: bool = False) -> Ends:
    return Ends((smallest(x, axis, keepdims), largest(x, axis, keepdims)))


def argsort(
    x: object,
    axis: object = -1,
    *,
    descending: bool = False,
    stable: object = None,
    kind: object = None,
    direction: str = "ASCENDING",
) -> Number:
    """Where the sorted numbers stand; of equal ones the first one first, in either direction."""
    along(axis, "argsort")
    x = whole(x, "argsort")
    if descending or direction != "ASCENDING":
        x = number(negative(x))
    return row("order", x, form=x.form)


@wraps(argsort)
def ascending(x: object, axis: object = -1, **how: Any) -> Number:
    along(axis, "sort")
    x = whole(x, "sort")
    return row("take", x, number(argsort(x, **how)), form=x.form)


def ascending_in_jax(
    x: object, axis: object = -1, *, descending: bool = False, stable: object = None
) -> Number:
    """Turned over where it descends, so of equal numbers the last one is first."""
    found = ascending(x, axis)
    return flip(found) if descending else found


def partitioned(x: object, kth: object, axis: object = -1) -> Number:
    """`np.partition`: a sorted row is one, too."""
    return ascending(x, axis)


def argpartitioned(x: object, kth: object, axis: object = -1) -> Number:
    return argsort(x, axis)


def sorted_pair(
    x: object, axis: object = -1, descending: bool = False, *, stable: object = None
) -> Pair:
    return Pair(
        (
            ascending(x, axis, descending=descending),
            argsort(x, axis, descending=descending),
        )
    )


def top_k(
    x: object, k: object, axis: object = -1, largest: bool = True, sorted: bool = True
) -> Pair:
    """The largest numbers, the largest first, and where they stand."""
    along(axis, "top_k")
    ends = slice(None, k)
    return Pair(part_of(number(each), ends) for each in sorted_pair(x, -1, bool(largest)))


def kth_smallest(x: object, k: object, axis: object = -1, keepdims: bool = False) -> Pair:
    """PyTorch's `kthvalue`, which counts from 1."""
    along(axis, "kthvalue")
    place = (
        k - 1
        if isinstance(k, (int, Size))
        else refuse("a place that is no whole number", "Give one.")
    )
    return _at(x, place, keepdims)


def _at(x: object, place: object, keepdims: bool) -> Pair:
    """The number at a place of the sorted row, and where it stands."""
    found = [part_of(number(each), place) for each in sorted_pair(x)]
    return Pair(kept(each.expr, ONE) if keepdims else each for each in found)


def median(x: object, axis: object = None, keepdims: bool = False) -> object:
    """The middle of the sorted row; of an even number of them the mean of the two in the middle."""
    along(axis, "median")
    ordered = number(ascending(x))
    n = Size.of(ordered.form)
    low, high = (part_of(ordered, i) for i in ((n - 1) // 2, n // 2))
    found = number(divide(add(low, high), 2.0))
    return kept(found.expr, ONE) if keepdims else found


def median_of_torch(x: object, axis: object = None, keepdims: bool = False) -> object:
    """The lower one of two in the middle; along an axis, with its place."""
    along(axis, "median")
    found = _at(x, (Size.of(whole(x, "median").form) - 1) // 2, keepdims)
    return found.values if axis is None else found


def quantile(
    x: object,
    q: object,
    axis: object = None,
    keepdims: bool = False,
    method: str = "linear",
    interpolation: str | None = None,
) -> object:
    """Between two neighbours of the sorted row, in a straight line."""
    along(axis, "quantile")
    if isinstance(q, (list, tuple, np.ndarray)) and np.ndim(q) == 1:
        return [quantile(x, each, axis, keepdims, method, interpolation) for each in q]
    if (interpolation or method) != "linear" or of_row(q):
        refuse(
            "a quantile by another method than a straight line, or by a row",
            "Give numbers, and leave the method out; or take a place of the sorted row: `np.sort(x)[-2]`.",
        )
    ordered = number(ascending(x))
    at = multiply(Size.of(ordered.form) - 1, q)
    low = floor(at)
    share = subtract(at, low)
    places = position(ordered.form)
    down = total(where(equal(places, low), ordered, 0.0))
    up = total(where(equal(places, ceil(at)), ordered, 0.0))
    found = number(add(down, multiply(subtract(up, down), share)))
    return kept(found.expr, ONE) if keepdims else found


def percentile(
    x: object, q: object, axis: object = None, keepdims: bool = False, method: str = "linear"
) -> object:
    if isinstance(q, (list, tuple, np.ndarray)) and np.ndim(q) == 1:
        return [percentile(x, each, axis, keepdims, method) for each in q]
    return quantile(x, divide(q, 100.0), axis, keepdims, method)
