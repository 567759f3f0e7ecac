"""Parts of a row, and rows made of others: slices, halves, sorted rows, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

from actgrad.language.expression import as_row, make
from actgrad.language.length import ONE, Length
from actgrad.language.rows import is_order
from actgrad.reading.libraries import stacks
from actgrad.reading.libraries.meanings import (
    Number,
    add,
    ceil,
    divide,
    equal,
    floor,
    less,
    multiply,
    negative,
    sigmoid,
    subtract,
    where,
)
from actgrad.reading.libraries.row_numbers import (
    along,
    argmax,
    argsort,
    ascending,
    flip,
    largest,
    position,
    row,
    smallest,
    total,
    whole,
)
from actgrad.reading.libraries.sizes import Size, kept
from actgrad.reading.reader import reader
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, number, of_row


def shape_of(x: Any) -> object:
    return x.shape


def rank_of(x: object) -> int:
    return 1


def part_of(x: Symbol, key: object) -> Any:
    """`x[1]`, `x[-1]`, `x[: n // 2]`, `x[::2]`, `x[::-1]`, `x[..., 0]`; `x[i]` with a place that was
    computed, and `x[mask]`, which only chooses where to write."""
    if isinstance(key, tuple) and len(key) == 2 and key[0] is Ellipsis:
        key = key[1]
    if isinstance(key, tuple) and len(key) == 1:
        key = key[0]
    mask = isinstance(key, Symbol) and key.expr.boolean
    if (
        key is Ellipsis
        or mask
        or not isinstance(key, (int, Symbol, slice))
        or isinstance(key, bool)
    ):
        return reader().method("element")(x, key)  # type: ignore[misc]
    x = whole(x, "x[...]")
    if isinstance(key, slice):
        return _slice(x, key)
    if isinstance(key, Symbol) and not isinstance(key, Size):
        reader().settle(key.expr)
        if of_row(key):
            return _reordered(x, key)
        return total(where(equal(position(x.form), key), x, 0.0))
    start = _bound(key, x.form)
    return kept(make("slice", as_row(x.expr, x.form), value=(start, 1, ONE)), None)


def _reordered(x: Symbol, order: Symbol) -> Symbol:
    """`x[np.argsort(y)]`: each place once."""
    if order.expr is position(x.form).expr:  # `[x[i] for i in range(len(x))]`
        return x
    if not is_order(order.expr) or order.form != x.form:
        refuse("a row indexed by a row that is no whole order of it", "Index by `np.argsort(x)`.")
    return row("take", x, order, form=x.form)


def taken(x: Any, order: object, axis: object = -1) -> Number:
    """`np.take_along_axis(x, np.argsort(x), -1)`, and `np.take(x, 0)`."""
    along(axis, "take")
    return part_of(x, order)


def gathered(x: object, axis: object, index: object) -> Number:
    """PyTorch's `x.gather(-1, order)`."""
    return taken(x, index, axis)


def _bound(value: Any, length: Length) -> Length:
    if isinstance(value, Symbol) and not isinstance(value, Size):
        reader().settle(value.expr)
        refuse(
            "a part of a row whose bounds depend on its numbers",
            "Use whole numbers, or parts of the row's length: `x[: n // 2]` with `n = len(x)`.",
        )
    bound = value.length if isinstance(value, Size) else Length(0, int(value))
    from_end = bound.per <= 0 and not bound.parts and bound.at(1) < 0
    return length + bound if from_end else bound


def _slice(x: Symbol, key: slice) -> object:
    step = 1 if key.step is None else key.step
    if not isinstance(step, int) or step == 0:
        refuse("a row in steps that are no whole number", "Use a step as in `x[::2]`.")
    if step < 0:
        if key.start is not None or key.stop is not None:
            refuse("a part of a row backward", "Turn it first: `x[::-1][a:b]`.")
        turned = flip(x)
        return turned if step == -1 else _slice(turned, slice(None, None, -step))
    start = Length(0) if key.start is None else _bound(key.start, x.form)
    stop = x.form if key.stop is None else _bound(key.stop, x.form)
    if start == Length(0) and stop == x.form and step == 1:
        return x
    try:
        size = stop - start if step == 1 else (stop - start + (step - 1)) // step
    except ValueError:
        _too_involved(f"{start}:{stop}:{step}")
    return kept(make("slice", as_row(x.expr, x.form), value=(start, step, size)), size)


def _too_involved(text: str) -> NoReturn:
    refuse(f"a part of a row whose bounds are too involved: {text}", "Use simpler bounds.")


def split(x: Any, parts: object, axis: object = -1, num: object = None) -> list[Any]:
    """Equal parts, or NumPy's list of places where the next part starts."""
    along(axis, "split")
    if isinstance(parts, Symbol) and not isinstance(parts, Size):
        reader().settle(parts.expr)
    if isinstance(parts, (list, tuple)):
        bounds = [0, *parts, None]
        return [part_of(x, slice(a, b)) for a, b in pairwise(bounds)]
    if isinstance(parts, bool) or not isinstance(parts, int) or parts < 1:
        refuse(f"a split into {parts!r} parts", "Give a whole number of equal parts.")
    size = x.form // parts
    ends = [*(size * i for i in range(parts)), x.form]
    return [part_of(x, slice(Size.of(a), Size.of(b))) for a, b in pairwise(ends)]


def split_by_size(x: Any, size: object, axis: object = 0) -> list[object]:
    """PyTorch's `split`: parts of a size, such as half of the length; or a list of sizes."""
    along(axis, "split")
    if isinstance(size, Size):
        for parts in range(1, 9):
            if (size.length * parts).agrees_with(x.form):
                return split(x, parts)
    if isinstance(size, (list, tuple)):
        bounds, start = [], 0
        for each in size[:-1]:
            start = each + start
            bounds.append(start)
        return split(x, bounds)
    refuse("a split into parts of a fixed size", "Split by `len(x) // 2`, or into a list of sizes.")


def concatenated(values: Sequence[object], axis: object = 0) -> Symbol:
    """Rows one after another; numbers are rows of length 1."""
    along(axis, "concatenate")
    parts = [number(value) for value in values]
    if any(part.form is None for part in parts):
        refuse("a concatenation of numbers", "Make a row of them first: `np.stack([a, b])`.")
    return joined(parts)


def joined(parts: Sequence[Symbol]) -> Symbol:
    length = sum((part.form for part in parts), Length(0))
    rows = [whole(part, "concatenate") for part in parts]
    expressions = [as_row(part.expr, part.form) for part in rows]
    return kept(make("concat", *expressions), length) if len(rows) > 1 else rows[0]


def stacked(values: Sequence[object], axis: object = 0) -> Symbol:
    """A row of numbers."""
    along(axis, "stack")
    parts = [number(value) for value in values]
    if len(parts) == 1 and of_row(parts[0]):
        return whole(parts[0], "stack")
    if any(part.form is not None for part in parts):
        refuse(
            "rows on top of each other, which make a matrix", "Concatenate them: `np.concatenate`."
        )
    return joined([Symbol(part.expr, ONE) for part in parts])


def same(x: object, *_: object, **__: object) -> Any:
    return x


def reshaped(x: Any, *shape: object) -> object:
    """`x.reshape(-1)`, and to the shape of a row of this length."""
    target = shape[0] if len(shape) == 1 else shape
    target = target if isinstance(target, (tuple, list)) else (target,)
    length = target[0].length if len(target) == 1 and isinstance(target[0], Size) else None
    if len(target) == 1 and (target[0] == -1 if length is None else length == x.form):
        return x
    refuse(
        "a row in another shape",
        "Take its parts: `np.split(x, 2)`, `x[: n // 2]`, `x[::2]`.",
    )


def squeezed(x: Any, axis: object = None) -> object:
    along(axis, "squeeze")
    return Symbol(x.expr, None) if x.form == ONE else x


def filled(shape: object, value: object = 0.0, *_: object, **__: object) -> Symbol:
    """`np.full(len(x), value)`."""
    parts = shape if isinstance(shape, (tuple, list)) else (shape,)
    if len(parts) == 1 and isinstance(parts[0], Size):
        return kept(number(value).expr, parts[0].length)
    refuse(
        "an array of another shape than a row", "Make it of the row's length: `np.zeros(len(x))`."
    )


def spread(x: Any, *shape: object) -> Symbol:
    """`np.broadcast_to(number, x.shape)`."""
    target = shape[0] if len(shape) == 1 else shape
    if isinstance(target, Symbol) and not isinstance(target, Size):
        return kept(number(x).expr, number(x).form or target.form)
    return x if of_row(x) and x.form != ONE else filled(target, x)


def differences(x: Any, n: int = 1, axis: object = -1) -> Number:
    along(axis, "diff")
    if n != 1:
        refuse("differences of a higher order", "Take them one after another.")
    return subtract(part_of(x, slice(1, None)), part_of(x, slice(None, -1)))


def glu(x: object, axis: object = -1) -> Number:
    a, b = split(x, 2, axis)
    return multiply(a, sigmoid(b))


def crelu(x: object, axis: object = -1) -> Number:
    return concatenated([where(less(0.0, y), y, 0.0) for y in (x, negative(x))], axis)


def arange(start: object, stop: object = None, step: object = 1, dtype: object = None) -> Number:
    """`np.arange(len(x))`."""
    start, stop = (0, start) if stop is None else (start, stop)
    if start == 0 and step == 1 and isinstance(stop, Size):
        return position(stop.length)
    refuse("`arange` with other bounds than a row's length", "Write `start + step * np.arange(n)`.")


def one_hot(x: object, n: object, **_: object) -> Number:
    """1 at the place, 0 elsewhere."""
    if isinstance(n, Size) and isinstance(x, Symbol) and not of_row(x):
        return where(equal(position(n.length), x), 1.0, 0.0)
    refuse(
        "`one_hot` of other things than a place in a row",
        "Write `np.where(np.arange(n) == i, 1, 0)`.",
    )


def rolled(x: object, shift: object, axis: object = None) -> Any:
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


def median(x: object, axis: object = None, keepdims: bool = False) -> Any:
    """The middle of the sorted row; of an even number of them the mean of the two in the middle."""
    along(axis, "median")
    ordered = ascending(x)
    n = Size.of(ordered.form)
    low, high = (part_of(ordered, i) for i in ((n - 1) // 2, n // 2))
    found = divide(add(low, high), 2.0)
    return kept(found.expr, ONE) if keepdims else found


def median_of_torch(x: object, axis: object = None, keepdims: bool = False) -> Any:
    """The lower one of two in the middle; along an axis, with its place."""
    place = (Size.of(whole(x, "median").form) - 1) // 2
    found = [part_of(each, place) for each in (ascending(x), argsort(x))]
    if keepdims:
        found = [kept(each.expr, ONE) for each in found]
    if axis is None:
        return found[0]
    along(axis, "median")
    return Pair(found)


def quantile(
    x: object,
    q: object,
    axis: object = None,
    keepdims: bool = False,
    method: str = "linear",
    interpolation: str | None = None,
) -> Any:
    """Between two neighbours of the sorted row, in a straight line."""
    along(axis, "quantile")
    if (interpolation or method) != "linear" or isinstance(q, (list, tuple)) or of_row(q):
        refuse(
            "several quantiles at once, or one by another method than a straight line",
            "Give one number, and leave the method out; or take a place of the sorted row: `np.sort(x)[-2]`.",
        )
    ordered = ascending(x)
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
) -> Any:
    return quantile(x, divide(q, 100.0), axis, keepdims, method)


class Pair(tuple[Any, ...]):
    """What PyTorch's `sort` and `topk` return."""

    __slots__ = ()
    values = property(lambda self: self[0])
    indices = property(lambda self: self[1])


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
    ordered = ascending(x, descending=bool(largest))
    places = argsort(x, descending=bool(largest))
    return Pair((part_of(ordered, slice(None, k)), part_of(places, slice(None, k))))


class Extreme(Symbol):
    """What a tensor's method `x.max(-1)` returns: NumPy's number, or PyTorch's pair."""

    __slots__ = ("indices",)
    indices: object

    @property
    def values(self) -> Symbol:
        return Symbol(self.expr, self.form)

    def __getitem__(self, key: Any) -> object:
        return (self.values, self.indices)[key]

    def __iter__(self) -> Any:
        return iter((self.values, self.indices))


def largest_of(
    x: object, other: object = None, axis: object = None, keepdims: bool = False
) -> object:
    """PyTorch's `max`: of two tensors, or of a row."""
    return _largest_of(x, other, axis, keepdims, 1.0)


def smallest_of(
    x: object, other: object = None, axis: object = None, keepdims: bool = False
) -> object:
    return _largest_of(x, other, axis, keepdims, -1.0)


def _largest_of(x: Any, other: object, axis: object, keepdims: bool, sign: float) -> object:
    if isinstance(other, int) and not isinstance(other, bool):
        other, axis = None, other
    if other is not None:
        return (stacks.largest_of if sign > 0 else stacks.smallest_of)(x, other)
    if axis is None:
        return (largest if sign > 0 else smallest)(x, keepdims=keepdims)
    place = argmax(x if sign > 0 else negative(x), axis, keepdims)
    # PyTorch gives the derivative along an axis to the first of several that are equal.
    value = number(total(where(equal(position(x.form), place), x, 0.0), keepdims=keepdims))
    found = Extreme(value.expr, value.form)
    found.indices = place
    return found
