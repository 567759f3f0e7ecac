"""A Python function that is not read, but called on the host as it is."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import cache, partial

import numpy as np

from actgrad.common.types import Function
from actgrad.language.expression import Expr, make, var
from actgrad.reading.signature import Signature
from actgrad.reading.witnesses import native


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
