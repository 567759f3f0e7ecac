"""Parts of a row: slices, halves, places; and its extremes as PyTorch has them."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any, NoReturn

import numpy as np

from actgrad.language.expression import as_row, carried, make
from actgrad.language.length import ONE, Length, Turn
from actgrad.language.rows import is_order
from actgrad.reading.forms import one_row
from actgrad.reading.libraries import stacks
from actgrad.reading.libraries.arrays import as_mask
from actgrad.reading.libraries.meanings import equal, negative, where
from actgrad.reading.libraries.row_numbers import (
    Number,
    along,
    argmax,
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
from actgrad.reading.symbol import Symbol, number, of_row, truth


def part_of(x: Symbol, key: object) -> Any:
    """`x[1]`, `x[-1]`, `x[: n // 2]`, `x[::2]`, `x[::-1]`, `x[..., 0]`; `x[i]` with a place that was
    computed, and `x[mask]`, which only chooses where to write."""
    if isinstance(key, tuple) and len(key) == 2 and key[0] is Ellipsis:
        key = key[1]
    if isinstance(key, tuple) and len(key) == 1:
        key = key[0]
    places = _places(key)
    if len(places) == 1:
        return Symbol(part_of(x, places[0]).expr, ONE)
    if places:
        parts = [as_row(part_of(x, place).expr, ONE) for place in places]
        return kept(make("concat", *parts), Length(0, len(parts)))
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
    if x.form == ONE and key in (0, -1):
        return Symbol(x.expr, None)
    start = _bound(key, x.form)
    return kept(make("slice", as_row(x.expr, x.form), value=(start, 1, ONE)), None)


def _places(key: object) -> list[int]:
    """The places in an index such as `[0, 2]`, an array or a tensor of them; none for any other index."""
    if isinstance(key, list):
        return key if all(type(place) is int for place in key) else []
    if isinstance(key, Symbol) or not hasattr(key, "__array__"):
        return []
    places = np.asarray(key)
    if places.ndim and (places.ndim > 1 or places.dtype.kind not in "iu"):
        refuse(
            f"a row indexed by an array of the shape {places.shape} and the dtype {places.dtype}",
            "Index it by places, `x[[0, 2]]`, or choose with `np.where(condition, x, 0.0)`.",
        )
    return list(map(int, places)) if places.ndim else []


def set_part(x: Symbol, key: object, value: object) -> bool:
    """`y[: n // 2] = value`, and `y[i] = value` in a loop over all places. Whether it was one of these."""
    if isinstance(key, Symbol) and isinstance(key.form, Turn):
        if key.expr is not position(x.form).expr:
            return False
        x.assign(kept(number(value).expr, x.form))
        return True
    if not isinstance(key, slice):
        return False
    part, value = number(_slice(x, key)), number(value)
    if part.expr.op != "slice":
        return False
    if of_row(value) and value.form != ONE:
        one_row({(value.form, None), (part.form, None)})
    start, step, size = carried(part.expr)
    there, new = (
        row("place", Symbol(each.expr, size), form=x.form, value=(start, step, x.form))
        for each in (number(1.0), value)
    )
    x.assign(where(equal(there, 1.0), new, x))
    return True


def place_of(x: Symbol, key: Number) -> Symbol | None:
    """Where `y[0] = value` and `y[np.argmax(x)] = value` write; or the condition."""
    at = Size.of(x.form) + key if type(key) is int and key < 0 else key
    is_number = isinstance(key, Symbol) and not of_row(key) and not key.expr.boolean
    if type(key) is int or is_number:
        return truth(equal(position(x.form), at))
    return as_mask(key)


def _reordered(x: Symbol, order: Symbol) -> Symbol:
    """`x[np.argsort(y)]`: each place once."""
    if order.expr is position(x.form).expr:  # `[x[i] for i in range(len(x))]`
        return Symbol(x.expr, order.form)
    if order.form == ONE:  # a place that was computed with `keepdim=True`
        return Symbol(part_of(x, Symbol(order.expr, None)).expr, ONE)
    if not is_order(order.expr) or order.form != x.form:
        refuse("a row indexed by a row that is no whole order of it", "Index by `np.argsort(x)`.")
    return row("take", x, order, form=x.form)


def taken(x: Symbol, order: object, axis: object = -1) -> Number:
    """`np.take_along_axis(x, np.argsort(x), -1)`, and `np.take(x, 0)`."""
    along(axis, "take")
    return part_of(x, order)


def gathered(x: Symbol, axis: object, index: object) -> Number:
    """PyTorch's `x.gather(-1, order)` and `x.index_select(-1, order)`."""
    return taken(x, index, axis)


def _bound(value: Number, length: Length) -> Length:
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
        involved = f"a part of a row whose bounds are too involved: {start}:{stop}:{step}"
        refuse(involved, "Use simpler bounds.")
    return kept(make("slice", as_row(x.expr, x.form), value=(start, step, size)), size)


def split(x: Symbol, parts: object, axis: object = -1, num: object = None) -> list[Symbol]:
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


def split_unequally(x: Symbol, parts: object, axis: object = 0) -> list[Symbol]:
    """NumPy's `array_split`: the first parts have one number more where they cannot be equal."""
    if not isinstance(parts, int) or isinstance(parts, bool) or parts < 1:
        return split(x, parts, axis)
    along(axis, "array_split")
    sizes = [(x.form + (parts - 1 - i)) // parts for i in range(parts)]
    return split(x, [Size.of(end) for end in accumulate(sizes)][:-1])


def split_by_size(x: Symbol, size: object, axis: object = 0) -> list[Symbol]:
    """PyTorch's `split`: parts of a size, such as half of the length; or a list of sizes."""
    along(axis, "split")
    if isinstance(size, Size):
        for parts in range(1, 9):
            if (size.length * parts).agrees_with(x.form):
                return split(x, parts)
    if isinstance(size, (list, tuple)):
        return _split_by_sizes(x, list(size))
    refuse("a split into parts of a fixed size", "Split by `len(x) // 2`, or into a list of sizes.")


def split_of_tensorflow(
    x: Symbol, parts: object, axis: object = 0, num: object = None
) -> list[Symbol]:
    """Into a number of equal parts, or by their sizes."""
    along(axis, "split")
    return _split_by_sizes(x, list(parts)) if isinstance(parts, (list, tuple)) else split(x, parts)


def _split_by_sizes(x: Symbol, sizes: list[Number]) -> list[Symbol]:
    n = Size.of(x.form)
    if sizes.count(-1) == 1:  # what is left
        at = sizes.index(-1)
        sizes[at] = n - sum(sizes[:at] + sizes[at + 1 :])
    ends = [*accumulate(sizes)]
    if not (isinstance(ends[-1], Size) and ends[-1].length == x.form):
        refuse(
            f"a split into parts of the sizes {sizes}, which are not as long as the row together",
            "Let the last one be what is left: `[2, x.shape[-1] - 2]`.",
        )
    return split(x, ends[:-1])


def unstacked(x: object, axis: object = 0, num: object = None) -> NoReturn:
    refuse(
        "a row taken apart into its numbers, of which there may be any number",
        "Take those that you need: `x[0]`, `x[1]`, `x[-1]`; or halves: `np.split(x, 2)`.",
    )


def narrowed(x: Symbol, axis: object, start: Number, length: Number) -> object:
    """PyTorch's `x.narrow(-1, start, length)`."""
    along(axis, "narrow")
    return part_of(x, slice(start, start + length))


def same(x: object, *_: object, **__: object) -> object:
    return x


def reshaped(x: Symbol, *shape: object) -> object:
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


def squeezed(x: Symbol, axis: object = None) -> object:
    along(axis, "squeeze")
    return Symbol(x.expr, None) if x.form == ONE else x


class Extreme(Symbol):
    """What a tensor's method `x.max(-1)` returns: NumPy's number, or PyTorch's pair."""

    __slots__ = ("indices",)
    indices: object

    @property
    def values(self) -> Symbol:
        return Symbol(self.expr, self.form)

    def __getitem__(self, key: Number) -> object:
        return (self.values, self.indices)[key]

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Any:
        return iter((self.values, self.indices))


def largest_of(
    x: Symbol, other: object = None, axis: object = None, keepdims: bool = False
) -> object:
    """PyTorch's `max`: of two tensors, or of a row."""
    return _largest_of(x, other, axis, keepdims, 1.0)


def smallest_of(
    x: Symbol, other: object = None, axis: object = None, keepdims: bool = False
) -> object:
    return _largest_of(x, other, axis, keepdims, -1.0)


def _largest_of(x: Symbol, other: object, axis: object, keepdims: bool, sign: float) -> object:
    if isinstance(other, int) and not isinstance(other, bool):
        other, axis, keepdims = None, other, keepdims or axis is True  # `x.max(-1, True)`
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
