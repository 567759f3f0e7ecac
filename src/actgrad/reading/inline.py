"""An activation inside of a function that is being read: its program, with its derivative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actgrad.errors import DefinitionError
from actgrad.language.expression import substitute
from actgrad.language.program import Program
from actgrad.reading.symbol import Symbol, number


def call(program: Program, inputs: tuple[Any, ...], parameters: Mapping[str, Any]) -> Symbol:
    """The activation of symbols, as the rooms of the frameworks answer for tensors."""
    if program.gradient:
        raise DefinitionError(
            f"{program.name!r} has a `gradient=` rule, which cannot be part of another function\n"
            f"  Apply it to the tensor, outside of the function."
        )
    given = zip(program.inputs, inputs, strict=True)
    changed = program.spread(parameters)
    values = {n: number(x).expr for n, x in [*program.parameters, *given, *changed.items()]}
    return Symbol(substitute(program.value, values))
