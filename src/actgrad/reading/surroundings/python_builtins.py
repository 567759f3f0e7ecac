"""Python's builtins as a function that is read sees them: `range`, `type` and `pow` take symbols."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Iterator
from typing import Any

from actgrad.reading.libraries import meanings, names, row_numbers, row_orders, row_turns
from actgrad.reading.libraries.sizes import Size
from actgrad.reading.reader import reader
from actgrad.reading.refusal import refuse
from actgrad.reading.surroundings.impure import IMPURE_BUILTINS, impure
from actgrad.reading.surroundings.origins import public
from actgrad.reading.surroundings.weights import Weight
from actgrad.reading.symbol import Symbol, is_symbolic, of_row, row_of
from actgrad.reading.tokens import Shape, Token


def _symbolic_range(*bounds: Any) -> Iterator[object] | range:
    """`range`, also up to a symbolic bound: one decision per turn."""
    if not is_symbolic(bounds):
        return range(*bounds)
    if len(bounds) == 1 and isinstance(bounds[0], Size):  # one turn, as in a loop over a row
        return iter(row_numbers.position(bounds[0].length))
    for bound in bounds:
        if isinstance(bound, Symbol):
            reader().settle(bound.expr)
    start, stop, step = (0, bounds[0], 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    if isinstance(step, Symbol):
        refuse("`range` with a symbolic step cannot be read", "Use a step that is a plain number.")
    return _count(start, stop, step)


def _count(start: Any, stop: object, step: int) -> Iterator[object]:
    while (start < stop) if step > 0 else (start > stop):
        yield start
        start = start + step


def _symbolic_type(*args: object) -> object:
    if len(args) == 1 and isinstance(args[0], Symbol):
        return names.KINDS[bool if args[0].expr.boolean else float]
    return type(*args)


_TENSORS = ("torch.Tensor", "numpy.ndarray", "tensorflow.Tensor", "jax.Array")


def _symbolic_isinstance(value: object, kinds: Any) -> bool:
    """An input is an instance of every library's tensors, as of `float`; a parameter is a float alone."""
    asked = kinds if isinstance(kinds, tuple) else getattr(kinds, "__args__", (kinds,))
    variable = public("torch.autograd.Variable")  # its stand-in is a function
    if variable is not None and names.meaning(variable) in asked:
        asked = (*(kind for kind in asked if isinstance(kind, type)), public("torch.Tensor"))
    if isinstance(value, Symbol) and (value.form is not None or isinstance(value, Weight)):
        tensors = [public(path) for path in _TENSORS]
        if any(kind is tensor for kind in asked for tensor in tensors if tensor is not None):
            return True
    return isinstance(value, asked)


def _symbolic_pow(base: Any, exponent: object, modulus: object = None) -> object:
    if modulus is not None:
        return pow(base, exponent, modulus)
    try:
        return base**exponent
    except ArithmeticError:
        return meanings.power(base, exponent)


def _symbolic_len(values: object) -> object:
    if isinstance(values, Shape):
        return Token("number of dimensions", values.form)
    return row_numbers.length_of(values)


def _symbolic_sorted(values: Any, /, *, key: Any = None, reverse: bool = False) -> object:
    values = row_turns.listed(values) if hasattr(values, "__next__") else values
    if of_row(row_of(values)) and key is None:
        return row_orders.ascending(row_of(values), descending=reverse)
    return sorted(values, key=key, reverse=reverse)


def _symbolic_enumerate(values: Any, start: Any = 0) -> Iterator[object]:
    row = row_of(values)
    if not of_row(row):
        return enumerate(values, start)
    places = row_numbers.position(row.form)
    return zip(places if start == 0 else places + start, row, strict=True)


def _symbolic_reversed(values: Any) -> object:
    return row_numbers.flip(row_of(values)) if of_row(row_of(values)) else reversed(values)


@functools.cache
def symbolic_builtins() -> dict[str, object]:
    changed: dict[str, object] = {
        name: names.meaning(getattr(builtins, name))
        for name in ("abs", "max", "min", "any", "all", "round", "sum")
    }
    changed.update({kind.__name__: stand_in for kind, stand_in in names.KINDS.items()})
    changed.update(range=_symbolic_range, type=_symbolic_type, pow=_symbolic_pow)
    changed.update(isinstance=_symbolic_isinstance)
    changed.update(
        len=_symbolic_len,
        enumerate=_symbolic_enumerate,
        sorted=_symbolic_sorted,
        reversed=_symbolic_reversed,
    )
    changed.update({name: impure(name) for name in IMPURE_BUILTINS})
    return vars(builtins) | changed
