"""One Python function -> expressions: read, or called on the host as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, partial

import numpy as np

from actgrad.common.types import Function
from actgrad.language.expression import Expr, make, var
from actgrad.reading.paths import Reading, trace
from actgrad.reading.signature import Signature, is_number
from actgrad.reading.witnesses import native


def read(
    function: Function,
    own: Signature,
    inputs: tuple[str, ...],
    pinned: frozenset[str],
    vectors: Mapping[str, tuple[str, ...]],
    whole: bool = True,
    tables: frozenset[str] = frozenset(),
) -> Reading:
    """Trace with these variables as inputs, in order, and every number that is not pinned a variable.

    `vectors` has names for the entries of parameters that may be read entry by entry; with `whole`, one
    that cannot be is read as one number, which an array of them may broadcast. `tables` are read whole.
    """
    variables = [var(name, own.rows.get(name)) for name in inputs]
    arguments: dict[str, object] = dict(zip(own.inputs, variables, strict=True))
    for name, default in own.defaults.items():
        arguments[name] = var(name) if is_number(default) and name not in pinned else default

    defaults = {n: d for n, d in own.defaults.items() if is_number(d)}
    entries = {n: names for n, names in vectors.items() if n not in pinned and n in defaults}
    known = frozenset(n for n in own.tables | tables if n not in pinned and n in defaults)
    return trace(function, own.call, arguments, defaults, entries, whole, known)


class HostFunction:
    """A Python function that stays one: called on the host, with plain numbers, or with tensors without
    dimensions if it is written for the tensors of a library."""

    def __init__(self, function: Function, positional: int, keywords: tuple[str, ...]) -> None:
        self.function, self.positional, self.keywords = function, positional, keywords
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self._library = native.tensor_library(function)

    def __call__(self, *numbers: float) -> float:
        plain = [float(number) for number in numbers]
        inputs = plain[: self.positional]
        keywords = dict(zip(self.keywords, plain[self.positional :], strict=True))
        call = partial(self.function, **keywords)
        if self._library is not None:
            with suppress(native.NotTaken):
                return float(self._library.run(call, [np.array(x) for x in inputs]).outputs[0])
        try:
            return float(call(*inputs))
        except (ArithmeticError, ValueError):  # 1 / 0, log(-1): as IEEE has it
            return math.nan


_host_function = cache(HostFunction)


def on_host(function: Function, own: Signature, inputs: tuple[str, ...]) -> Expr:
    names = tuple(own.parameters)
    return make(
        "host", *map(var, (*inputs, *names)), value=_host_function(function, len(inputs), names)
    )
