"""Several numbers side by side, made of the input: `torch.stack([x, -x], -1)`, `x[..., None] - centres`.

Each element of the input has such a row of its own, so a sum or a maximum along it mixes nothing. The row
remembers its axis: along another one the elements of the input would be mixed.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NoReturn

import numpy as np

from actgrad.common.types import Array, Function
from actgrad.reading.libraries.formulas import maximum, maximum_half, minimum, minimum_half, square
from actgrad.reading.libraries.meanings import (
    Number,
    absolute,
    add,
    divide,
    equal,
    exp,
    less,
    log,
    logical_and,
    logical_or,
    multiply,
    negative,
    sqrt,
    stop_gradient,
    subtract,
    where,
)
from actgrad.reading.libraries.shipped import relu
from actgrad.reading.reader import mixes, reader
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, apply, is_symbolic, of_row, refuse_forms
from actgrad.reading.tokens import Token


def over_arrays(op: str, args: tuple[object, ...]) -> object:
    """The operation on each number of an array of constants, or of a row."""
    boxes = list(args)
    axes = {arg.axis for arg in args if isinstance(arg, Row)}
    for i, arg in enumerate(args):
        if not isinstance(arg, Symbol):
            boxes[i] = np.asanyarray(arg) if getattr(arg, "ndim", 0) else arg
        elif of_row(arg):
            refuse(
                "the function combines its row with an array of constants, which has one length",
                "Make it an input: `def f(x, weights): ...`, called with `f(x, weights)`.",
            )
        elif arg.form and arg.form[-1] in _NEW_LAST:
            axes.add(-1)
            boxes[i] = Symbol(arg.expr, arg.form[:-1], arg.mask, writable=False)
    if len(axes) > 1:
        refuse_forms()
    results = np.frompyfunc(lambda *row: apply(op, *row), len(boxes), 1)(*map(_boxed, boxes))
    results = results.view(np.ndarray)
    return Row.of(list(results), axes.pop()) if axes and results.ndim == 1 else results


_NEW_LAST = (("axis", -1), ("index", ("...", "None")), ("index", (":", "None")))
"""The views that give each element an axis of its own."""


def _boxed(value: object) -> Array:
    """An array as it is; a number as an array without dimensions, which hides a symbol from NumPy."""
    if isinstance(value, np.ndarray):
        return value.view(np.ndarray)
    box = np.empty((), dtype=object)
    box[()] = value
    return box


class Row(np.ndarray):  # type: ignore[type-arg]
    """Several numbers for each element, along an axis of their own."""

    axis: object = None

    @classmethod
    def of(cls, values: list[object], axis: object) -> Row:
        row = np.empty(len(values), dtype=object)
        row[:] = values
        made = row.view(cls)
        made.axis = axis
        return made

    def __array_finalize__(self, source: object) -> None:
        self.axis = getattr(source, "axis", None)

    def view(self, *shape: object, **options: object) -> Any:
        """NumPy's own, with a class; PyTorch's, with a shape, is refused."""
        if shape and not isinstance(shape[0], type):
            mixes(".view")
        return super().view(*shape, **options)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return _method_of_a_row(name).__get__(self)


def _method_of_a_row(name: str) -> Callable[..., object]:
    """A method of a row by the table, which refuses what it does not know."""

    def call(row: Row, *args: object, **kwargs: object) -> object:
        found = reader().method(f"row.{name}")
        if found is not None:
            return found(row, *args, **kwargs)
        of_each = reader().method(name) if row.ndim == 1 else None
        if of_each is None or not _computes(name, of_each):
            mixes(f".{name}")
        plain = [a for a in (*args, *kwargs.values()) if not isinstance(a, (Symbol, Token))]
        if any(np.ndim(arg) for arg in plain):  # type: ignore[arg-type]
            return of_each(row, *args, **kwargs)
        return Row.of([of_each(value, *args, **kwargs) for value in row], row.axis)

    return call


_OF_EACH = frozenset(("detach", "clone", "float", "double", "to", "type_as", "contiguous"))
_NUMERIC = ("meanings", "formulas", "shipped")


def _computes(name: str, method: Callable[..., object]) -> bool:
    """Whether a method makes a number of each number, and looks at no shape."""
    home = str(inspect.unwrap(method).__module__).rpartition(".")[2]
    return name in _OF_EACH or (home in _NUMERIC and name not in ("where", "nonzero"))


_OF_ROWS = """
sum mean prod max min std var ptp argmax argmin argsort sort cumsum cumprod any all dot round
clip transpose reshape ravel flatten repeat take choose compress partition searchsorted squeeze
trace
"""

for _name in _OF_ROWS.split():
    setattr(Row, _name, _method_of_a_row(_name))


def stacked(values: Symbol | Sequence[object], axis: int = 0) -> object:
    """`stack` of every library."""
    if isinstance(values, Symbol) or not is_symbolic(values):
        mixes("stack")
    return Row.of(list(values), axis)


def crelu(x: object, axis: int = -1) -> object:
    """`relu` of x and of -x, side by side."""
    halves = (relu(x), relu(negative(x)))
    return concatenated(halves, axis)


def _is_axis(step: object, axis: int) -> bool:
    """Whether a view gave each element an axis of its own there."""
    return bool(step == ("axis", axis) or (axis == -1 and step in _NEW_LAST))


def concatenated(values: Sequence[object], axis: int = 0) -> object:
    """`cat` of parts that have an axis of their own: `torch.cat([x[..., None], y[..., None]], -1)`."""
    parts: list[object] = []
    for value in values:
        steps = getattr(value, "form", None)
        if isinstance(value, Row) and value.axis == axis:
            parts.extend(value)
        elif isinstance(value, Symbol) and steps and _is_axis(steps[-1], axis):
            parts.append(Symbol(value.expr, steps[:-1], value.mask, writable=False))
        else:
            mixes("concatenate")
    return Row.of(parts, axis)


def row_of(values: object, axis: object, name: str, keepdims: bool = False) -> list[object]:
    """The numbers that a reduction takes, if it goes along their own axis."""
    if isinstance(values, Symbol):
        mixes(name)
    if keepdims:
        refuse(f"`{name}` with keepdims=True", "Leave it out: each element is one number.")
    axis = axis[0] if isinstance(axis, (tuple, list)) and len(axis) == 1 else axis
    if isinstance(values, Row):
        if axis != values.axis:
            mixes(name)
        return list(values)
    numbers = np.asarray(values, dtype=object)
    if (numbers.ndim != 1 and axis is not None) or axis not in (None, 0, -1):
        refuse(f"`{name}` along an axis of an array of several dimensions", "Write the loop out.")
    return list(np.ravel(numbers))


def reduction(combine: Callable[[Number, Number], Number], name: str) -> Callable[..., Number]:
    def along(values: object, axis: object = None, keepdims: bool = False) -> Number:
        return reduce(combine, row_of(values, axis, name, keepdims))

    return along


row_any, row_all = reduction(logical_or, "any"), reduction(logical_and, "all")


def _extreme(pair: Callable[[Number, Number], Number], name: str) -> Callable[..., Number]:
    """All that are equal have the same share of the derivative."""

    def along(values: object, axis: object = None, keepdims: bool = False) -> Number:
        row = row_of(values, axis, name, keepdims)
        if len(row) < 3 or not any(isinstance(value, Symbol) for value in row):
            return reduce(pair, row)
        top = stop_gradient(reduce(pair, row))
        tied = [equal(value, top) for value in row]
        count = reduce(add, [where(each, 1.0, 0.0) for each in tied])
        # Each moves the extreme by its share: 0 as a number, which infinite ones cannot give.
        moves = [
            where(each, divide(subtract(value, stop_gradient(value)), count), 0.0)
            for value, each in zip(row, tied, strict=True)
        ]
        several = logical_and(less(1.0, count), less(absolute(top), math.inf))
        return where(several, add(top, reduce(add, moves)), reduce(pair, row))

    return along


row_max, row_min = _extreme(maximum_half, "max"), _extreme(minimum_half, "min")


def total(values: object, axis: object = None, start: Number = 0, keepdims: bool = False) -> Number:
    row = row_of(values, axis, "sum", keepdims)
    return reduce(add, row) if row and start == 0 else reduce(add, row, start)


def product(
    values: object, axis: object = None, start: Number = 1, keepdims: bool = False
) -> Number:
    return reduce(multiply, row_of(values, axis, "prod", keepdims), start)


def mean(values: object, axis: object = None, keepdims: bool = False) -> Number:
    row = row_of(values, axis, "mean", keepdims)
    return divide(reduce(add, row), len(row))


def logsumexp(values: object, axis: object = None, keepdims: bool = False) -> Number:
    row = row_of(values, axis, "logsumexp", keepdims)
    top = stop_gradient(reduce(maximum, row))  # it cancels
    return add(top, log(reduce(add, [exp(subtract(value, top)) for value in row])))


def softmax(values: object, axis: object = -1) -> object:
    row = row_of(values, axis, "softmax")
    top = stop_gradient(reduce(maximum, row))  # it cancels
    powers = [exp(subtract(value, top)) for value in row]
    below = reduce(add, powers)
    return Row.of([divide(power, below) for power in powers], axis)


def log_softmax(values: object, axis: object = -1) -> object:
    below = logsumexp(values, axis)
    return Row.of([subtract(value, below) for value in row_of(values, axis, "log_softmax")], axis)


def row_norm(values: object, axis: object = None, keepdims: bool = False) -> Number:
    row = row_of(values, axis, "norm", keepdims)
    if len(row) == 1:
        return absolute(row[0])
    return sqrt(reduce(add, map(square, row)))


class Extremes(tuple[Any, ...]):
    """What PyTorch's `max(x, dim)` returns; only the values are read."""

    __slots__ = ()

    @property
    def values(self) -> object:
        return self[0]

    @property
    def indices(self) -> NoReturn:
        mixes("max(dim).indices")

    def __getitem__(self, key: Any) -> Any:
        return self.indices if key == 1 else super().__getitem__(key)


def largest_of(x: object, other: object = None, axis: object = None) -> object:
    """PyTorch's `max`: of two tensors, or of a stack along its axis."""
    return _of(x, other, axis, maximum_half, first_max, "max")


def smallest_of(x: object, other: object = None, axis: object = None) -> object:
    return _of(x, other, axis, minimum_half, first_min, "min")


def _of(
    x: object, other: object, axis: object, pair: Function, along: Function, name: str
) -> object:
    if isinstance(other, int) and not isinstance(other, bool):
        other, axis = None, other
    if other is not None:
        return pair(x, other)
    if axis is None:
        return mixes(name) if isinstance(x, Symbol) else along(x, getattr(x, "axis", None))
    return Extremes((along(x, axis), None))


first_max, first_min = reduction(maximum, "max"), reduction(minimum, "min")
"""Along an axis PyTorch's `max` gives the derivative to the first of two that are equal."""
