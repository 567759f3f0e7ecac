"""An activation inside of a function that is being read: its program, with its derivative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actgrad.errors import DefinitionError
from actgrad.language.expression import substitute
from actgrad.language.program import Program
from actgrad.reading.lookups import entry_at
from actgrad.reading.symbol import Symbol, number


def call(program: Program, inputs: tuple[Any, ...], parameters: Mapping[str, Any]) -> Symbol:
    """The activation of symbols, as the rooms of the frameworks answer for tensors."""
    if program.gradient:
        raise DefinitionError(
            f"{program.name!r} has a `gradient=` rule, which cannot be part of another function\n"
            f"  Apply it to the tensor, outside of the function."
        )
    given = list(zip(program.inputs, inputs, strict=True))
    settings = {**dict(program.parameters), **program.spread(parameters)}
    tables = {name: settings.pop(name) for name in program.tables}
    values = {n: number(x).expr for n, x in [*settings.items(), *given]}
    for lookup in program.lookups:
        known = lookup.index.settings
        index = call(lookup.index, inputs, {n: v for n, v in parameters.items() if n in known})
        values[lookup.name] = number(entry_at(tables[lookup.table], index)).expr
    return Symbol(substitute(program.opened.value, values))
