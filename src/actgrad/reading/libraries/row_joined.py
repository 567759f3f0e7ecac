"""Rows that are made of others and of numbers: joined, padded, repeated, filled, counted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from actgrad.common.types import Function
from actgrad.language.expression import as_row, make
from actgrad.language.length import ONE, Length
from actgrad.reading.libraries import casts
from actgrad.reading.libraries.formulas import maximum
from actgrad.reading.libraries.meanings import (
    Number,
    add,
    divide,
    equal,
    less,
    multiply,
    negative,
    sigmoid,
    subtract,
    where,
)
from actgrad.reading.libraries.row_numbers import along, flip, position, row, whole
from actgrad.reading.libraries.row_parts import part_of, split
from actgrad.reading.libraries.sizes import Size, kept
from actgrad.reading.outputs import in_line
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, number, of_row, row_of


def padded(
    x: Symbol, width: Number, mode: object = "constant", constant_values: object = None, **_: object
) -> Symbol:
    """Numbers before and after the row, as `np.pad` puts them: `1`, `(1, 2)` or `((1, 2),)`. Negative
    widths cut it, as PyTorch's do."""
    while isinstance(width, (tuple, list)) and len(width) == 1:
        (width,) = width
    before, after = width if isinstance(width, (tuple, list)) else (width, width)
    values = 0.0 if constant_values is None else constant_values
    first, last = values if isinstance(values, (tuple, list)) else (values, values)
    if str(mode).lower() != "constant" or not all(type(n) is int for n in (before, after)):
        refuse(
            "a row padded otherwise than by fixed numbers of a constant",
            "Concatenate what stands before and after: `np.concatenate([x[:1], x, x[-1:]])`.",
        )
    cut = part_of(x, slice(max(0, -before) or None, min(0, after) or None))
    ends = [(before, first), (after, last)]
    left, right = (
        [kept(number(value).expr, Length(0, size))] if size > 0 else [] for size, value in ends
    )
    return joined([*left, cut, *right])


def tiled(x: Symbol, reps: Number) -> Symbol:
    """The row so many times, one after another."""
    times = reps[0] if isinstance(reps, (tuple, list)) and len(reps) == 1 else reps
    return joined([whole(x, "tile")] * _few(times, "tile"))


def repeated(x: Symbol, repeats: object, axis: object = None) -> Symbol:
    """Each number so many times."""
    along(axis, "repeat")
    x = whole(x, "repeat")
    times = _few(repeats, "repeat")
    size = x.form * times
    parts = [row("place", x, form=size, value=(Length(0, i), times, size)) for i in range(times)]
    return number(reduce(add, parts))


def _few(times: object, name: str) -> int:
    if type(times) is not int or not 0 < times <= 64:
        refuse(f"`{name}` by {times!r:.60}", "Give a whole number, of 64 at most.")
    return times


def scattered(x: Symbol, axis: object, index: Number, value: Number) -> Number:
    """PyTorch's `x.scatter(-1, places, number)`: one place, or those of `topk`."""
    along(axis, "scatter")
    width = index.form if isinstance(index, Symbol) and index.form != ONE else None
    unequal = of_row(value) and value.form not in (ONE, width)
    if unequal or not isinstance(index, Symbol) or (width and (width.per or width.parts)):
        refuse(
            "`scatter` to other places than a fixed number of them",
            "Choose with `torch.where(condition, x, 0.0)`.",
        )
    places = [part_of(index, i) for i in range(width.at(1))] if width else [index]
    several = width is not None and of_row(value) and value.form == width
    at, found = position(x.form), x
    for i, place in enumerate(places):
        found = where(equal(at, place), part_of(value, i) if several else value, found)
    return found


def running(of: Function, start: float) -> Function:
    """TensorFlow's and JAX's `cumsum` and `cumprod`, also from the end, or without the number itself."""

    def call(
        x: object, axis: object = None, *, exclusive: bool = False, reverse: bool = False
    ) -> Number:
        found = number(of(flip(x) if reverse else x, axis))
        if exclusive:
            found = joined([Symbol(number(start).expr, ONE), part_of(found, slice(None, -1))])
        return flip(found) if reverse else found

    return call


def concatenated(values: Sequence[object], axis: object = 0) -> Symbol:
    """Rows one after another; numbers are rows of length 1."""
    along(axis, "concatenate")
    parts = [_part(value) for value in values]
    if any(part.form is None for part in parts):
        refuse("a concatenation of numbers", "Make a row of them first: `np.stack([a, b])`.")
    return joined(parts)


def _part(value: object) -> Symbol:
    """A row, or a list of numbers as one."""
    if not isinstance(value, (list, tuple, np.ndarray)) or not len(value):
        return number(value)
    if casts.any_symbol(list(value)):
        return stacked(value)
    return joined([Symbol(number(each).expr, ONE) for each in value])


def appended(x: object, values: object, axis: object = None) -> Symbol:
    """`np.append`, of numbers too."""
    along(axis, "append")
    return joined([Symbol(p.expr, p.form or ONE) for p in map(number, (x, values))])


def joined(parts: Sequence[Symbol]) -> Symbol:
    length = sum((part.form for part in parts), Length(0))
    rows = [whole(part, "concatenate") for part in parts]
    expressions = [as_row(part.expr, part.form) for part in rows]
    return kept(make("concat", *expressions), length) if len(rows) > 1 else rows[0]


def stacked(values: Number, axis: object = 0) -> Symbol:
    """A row of numbers."""
    along(axis, "stack")
    row = in_line(values)
    if of_row(row):
        return whole(row, "stack")
    parts = [number(value) for value in values]
    if any(part.form is not None for part in parts):
        refuse(
            "rows on top of each other, which make a matrix",
            "Combine them as rows, as in `np.maximum(a, b)` for `np.stack([a, b]).max(0)`, or put one after "
            "the other: `np.concatenate([a, b])`.",
        )
    return joined([Symbol(part.expr, ONE) for part in parts])


def array_of(value: Number, *args: object, **options: object) -> object:
    """`np.array([a, b])` of numbers of the row."""
    several = isinstance(value, (list, tuple))
    if several and (casts.any_symbol(value) or row_of(value) is not value):
        return stacked(value)
    return casts.constant(value, *args, **options)


def with_axis(x: Symbol, axis: object = 0) -> Symbol:
    """One number as a row of length 1."""
    along(axis, "expand_dims")
    return whole(x, "expand_dims") if x.form == ONE else Symbol(number(x).expr, ONE)


def filled(shape: object, value: object) -> Symbol:
    """`np.full(len(x), value)`."""
    parts = shape if isinstance(shape, (tuple, list)) else (shape,)
    if len(parts) == 1 and isinstance(parts[0], Size):
        return kept(number(value).expr, parts[0].length)
    refuse(
        "an array of another shape than a row", "Make it of the row's length: `np.zeros(len(x))`."
    )


def spread(x: Symbol, *shape: object) -> Symbol:
    """`np.broadcast_to(number, x.shape)`."""
    target = shape[0] if len(shape) == 1 else shape
    if isinstance(target, Symbol) and not isinstance(target, Size):
        return kept(number(x).expr, number(x).form or target.form)
    return x if of_row(x) and x.form != ONE else filled(target, x)


def differences(
    x: Symbol, n: int = 1, axis: object = -1, prepend: object = None, append: object = None
) -> Number:
    along(axis, "diff")
    given = [number(part) for part in (prepend, x, append) if part is not None]
    x = joined([Symbol(part.expr, part.form or ONE) for part in given])
    for _ in range(n):
        x = subtract(part_of(x, slice(1, None)), part_of(x, slice(None, -1)))
    return x


def glu(x: Symbol, axis: object = -1) -> Number:
    a, b = split(x, 2, axis)
    return multiply(a, sigmoid(b))


def crelu(x: object, axis: object = -1) -> Number:
    return concatenated([where(less(0.0, y), y, 0.0) for y in (x, negative(x))], axis)


def arange(start: object, stop: object = None, step: object = 1, dtype: object = None) -> Number:
    """`np.arange(len(x))`, `np.arange(1, len(x) + 1)`, `np.arange(len(x), 0, -1)`."""
    start, stop = (0, start) if stop is None else (start, stop)
    size: Number = None
    if all(isinstance(end, (int, Size)) for end in (start, stop)) and step in (1, -1):
        size = (stop - start) * step  # type: ignore[operator]
    if not isinstance(size, Size):
        refuse(
            "`arange` with other bounds than a row's length", "Write `start + step * np.arange(n)`."
        )
    return add(multiply(position(size.length), step), start)


def linspace(start: object, stop: object, num: Number = 50, endpoint: bool = True) -> Number:
    """`np.linspace(0, 1, len(x))`."""
    if not isinstance(num, Size):
        refuse("`linspace` of another length than a row's", "Give it the row's own: `len(x)`.")
    steps = maximum(num - 1, 1.0) if endpoint else num
    return add(multiply(position(num.length), divide(subtract(stop, start), steps)), start)


def one_hot(x: object, n: object, **_: object) -> Number:
    """1 at the place, 0 elsewhere."""
    if isinstance(n, Size) and isinstance(x, Symbol) and not of_row(x):
        return where(equal(position(n.length), x), 1.0, 0.0)
    refuse(
        "`one_hot` of other things than a place in a row",
        "Write `np.where(np.arange(n) == i, 1, 0)`.",
    )


class Identity:
    """`np.eye(n)`, which is read one row at a time: `np.eye(len(x))[np.argmax(x)]`."""

    def __init__(self, n: object, **_: object) -> None:
        self._n = n

    def __getitem__(self, place: object) -> Number:
        return one_hot(place, self._n)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        refuse(
            "a matrix made of the row",
            "Write `np.where(np.arange(len(x)) == i, 1, 0)` for its rows.",
        )


def rolled(x: object, shift: object, axis: object = None) -> object:
    """Each number moved on by some places, the last ones to the front. The row must be longer."""
    along(axis, "roll")
    x = whole(x, "roll")
    shift = shift[0] if isinstance(shift, (tuple, list)) and len(shift) == 1 else shift
    if isinstance(shift, bool) or not isinstance(shift, (int, Size)):
        refuse(f"a row rolled by {shift!r:.60}", "Give a whole number, or a part of `len(x)`.")
    if isinstance(shift, int) and shift == 0:
        return x
    forward = isinstance(shift, Size) or shift > 0
    at = Size.of(x.form) - shift if forward else -shift
    return joined([part_of(x, slice(at, None)), part_of(x, slice(None, at))])
