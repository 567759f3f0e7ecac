"""One Python function -> expressions: read, or called on the host as it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from actgrad.language.expression import Expr, make, var
from actgrad.reading.paths import Reading, trace
from actgrad.reading.signature import Signature, is_number


def read(
    function: Callable[..., Any],
    own: Signature,
    inputs: tuple[str, ...],
    pinned: frozenset[str],
    vectors: Mapping[str, tuple[str, ...]],
    whole: bool = True,
) -> Reading:
    """Trace with these variables as inputs, in order, and every number that is not pinned a variable.

    `vectors` has names for the entries of parameters that may be read entry by entry; with `whole`, one
    that cannot be is read as one number, which an array of them may broadcast.
    """
    arguments: dict[str, Any] = dict(zip(own.inputs, map(var, inputs), strict=True))
    for name, default in own.defaults.items():
        arguments[name] = var(name) if is_number(default) and name not in pinned else default

    def call(copy: Callable[..., Any], values: Mapping[str, Any]) -> Any:
        positional = [values[name] for name in own.inputs if name not in own.keywords]
        keywords = {n: v for n, v in values.items() if n in own.defaults or n in own.keywords}
        return copy(*positional, **keywords)

    defaults = {n: d for n, d in own.defaults.items() if is_number(d)}
    entries = {n: names for n, names in vectors.items() if n not in pinned and n in defaults}
    return trace(function, call, arguments, defaults, entries, whole)


class HostFunction:
    """A Python function that stays one: called on the host, with plain numbers."""

    def __init__(
        self, function: Callable[..., Any], positional: int, keywords: tuple[str, ...]
    ) -> None:
        self.function, self.positional, self.keywords = function, positional, keywords
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, *numbers: float) -> float:
        plain = [float(number) for number in numbers]
        keywords = dict(zip(self.keywords, plain[self.positional :], strict=True))
        try:
            return float(self.function(*plain[: self.positional], **keywords))
        except (ArithmeticError, ValueError):  # 1 / 0, log(-1): as IEEE has it
            return math.nan


_host_function = cache(HostFunction)


def on_host(function: Callable[..., Any], own: Signature, inputs: tuple[str, ...]) -> Expr:
    names = tuple(own.parameters)
    return make(
        "host", *map(var, (*inputs, *names)), value=_host_function(function, len(inputs), names)
    )
