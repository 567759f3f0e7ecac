"""A function's arguments: which are inputs, which are parameters, and what a parameter may be."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from actgrad.common.types import Function
from actgrad.errors import DefinitionError
from actgrad.language.length import Length
from actgrad.language.program import Value
from actgrad.language.storage import LONGEST_NAME, is_name
from actgrad.reading.libraries import names
from actgrad.reading.libraries.gradients import each_of
from actgrad.reading.refusal import definition


@dataclass(frozen=True)
class Signature:
    """A function's arguments: inputs have no default, parameters have one."""

    name: str
    inputs: tuple[str, ...]
    defaults: Mapping[str, Any]
    keywords: frozenset[str] = frozenset()
    rows: Mapping[str, Length | None] = field(default_factory=dict)
    """Of a function of a row: how long what stands for its inputs is."""

    @property
    def parameters(self) -> dict[str, Value]:
        return {name: as_value(item) for name, item in self.defaults.items() if is_number(item)}

    @property
    def vectors(self) -> dict[str, tuple[str, ...]]:
        """The defaults that may be read entry by entry, each with names for its entries."""
        taken = {*self.inputs, *self.defaults}
        return {
            name: entry_names(name, len(default), taken)
            for name, default in self.defaults.items()
            if is_vector(default)
        }

    @property
    def tables(self) -> frozenset[str]:
        """The defaults that are too long to be read entry by entry."""
        return frozenset(n for n, default in self.defaults.items() if is_table(default))

    def call(self, function: Function, values: Mapping[str, object]) -> object:
        """Call the function with a value for each argument: inputs by position, where they may."""
        positional = [values[name] for name in self.inputs if name not in self.keywords]
        keywords = {n: v for n, v in values.items() if n in self.defaults or n in self.keywords}
        return function(*positional, **keywords)


MAX_ENTRIES = 64
"""A longer vector is not read entry by entry: each costs a pass of its own in the gradient."""
MAX_TABLE = 65_536
"""A longer vector is constant."""


def is_vector(value: Sequence[object]) -> bool:
    return _is_sequence(value) and len(value) <= MAX_ENTRIES


def is_table(value: Any) -> bool:
    return _is_sequence(value) and MAX_ENTRIES < len(value) <= MAX_TABLE


def _is_sequence(value: object) -> bool:
    return isinstance(value, (list, tuple, np.ndarray)) and is_number(value) and np.ndim(value) == 1


def entry_names(name: str, length: int, taken: Collection[str]) -> tuple[str, ...]:
    """Python names for the entries of a vector, which no other argument has."""
    stem = f"{name}_"
    while any(f"{stem}{i}" in taken for i in range(length)):
        stem += "_"
    return tuple(f"{stem}{i}" for i in range(length))


def like(default: object, value: object) -> object:
    """A parameter's value in the kind of sequence that its default is."""
    if isinstance(default, np.ndarray):
        return np.array(value, dtype=np.float64)
    if isinstance(default, (list, tuple)) and isinstance(value, (list, tuple, np.ndarray)):
        return type(default)(value) if type(default) in (list, tuple) else list(value)
    return value


def with_defaults(rule: object, values: Mapping[str, object]) -> Any:
    """A function, or each function of a rule, with other defaults for the parameters that it names."""

    def part(each: Any) -> Any:
        if not callable(each) or hasattr(each, "program"):  # an activation has its own
            return each
        known = inspect.signature(each).parameters
        given = {n: like(known[n].default, value) for n, value in values.items() if n in known}
        return functools.partial(each, **given)

    return each_of(rule, part)


def is_number(value: object) -> bool:
    if isinstance(value, (bool, str, bytes, complex)) or value is None or callable(value):
        return False
    if hasattr(value, "_fields"):  # a namedtuple's numbers are asked for by name
        return False
    array = (
        np.asarray(value)
        if isinstance(value, (int, float, np.generic, np.ndarray, list, tuple))
        else None
    )
    return array is not None and array.size > 0 and array.dtype.kind in "iuf"


def as_value(value: object) -> Value:
    """A parameter's value, frozen: a float, or nested tuples of them."""

    def freeze(item: Any) -> Value:
        return tuple(map(freeze, item)) if isinstance(item, list) else float(item)

    return freeze(np.asarray(value, dtype=np.float64).tolist())


def signature(function: Function, name: str | None = None) -> Signature:
    known = names.meaning(function)
    if name is None:
        name = getattr(function, "__name__", None) or type(function).__name__
    if isinstance(function, np.ufunc):
        return Signature(name, ("x", "y")[: function.nin], {})
    if known is None and inspect.isclass(function):
        raise DefinitionError(
            f"{name!r} is a class, and activation takes a function, or an object that is called with "
            f"numbers\n  "
            + (
                f"Wrap it: `activation(lambda x: {name}(x))`."
                if function.__module__ == "builtins"
                else f"Pass an object of it: `activation({name}(...))`."
            )
        )
    try:
        arguments = inspect.signature(known or function)
    except (TypeError, ValueError):
        raise DefinitionError(
            f"the arguments of {name!r} cannot be seen from Python\n"
            f"  Wrap it: `activation(lambda x: {name}(x))`."
        ) from None
    inputs, defaults, keywords = [], {}, set()
    for item in arguments.parameters.values():
        if item.kind in (item.VAR_POSITIONAL, item.VAR_KEYWORD):
            if known is None:
                raise DefinitionError(
                    f"{name!r} takes {item}, so its inputs cannot be told\n{definition(function)}\n"
                    f"  Name every argument: inputs without a default, parameters with one."
                )
            continue
        if item.default is item.empty:
            inputs.append(item.name)
        elif known is None:
            defaults[item.name] = item.default
        if item.kind is item.KEYWORD_ONLY:
            keywords.add(item.name)
    if not inputs and known is not None:
        inputs = ["x"]  # reading says what it is
    if not inputs:
        raise DefinitionError(
            f"{name!r} has no input: every argument has a default\n{definition(function)}\n"
            f"  An input is an argument without a default, as `x` in `def f(x, beta=1.0)`."
        )
    return Signature(name, tuple(inputs), defaults, frozenset(keywords))


def checked_name(name: str) -> str:
    """The name of an activation, if a file can hold it."""
    if not is_name(name):
        raise DefinitionError(
            f"the name {name!r:.100}\n  Give one of 1 to {LONGEST_NAME} printable characters, as in "
            f"`activation(..., name='mine')`."
        )
    return name


def is_plain(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))
