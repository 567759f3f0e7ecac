"""An activation inside of a function that is being read: its program, with its derivative."""

from __future__ import annotations

from collections.abc import Mapping

from actgrad.common.types import Fields
from actgrad.errors import DefinitionError
from actgrad.language.expression import NotOneNumberError, as_row, substitute
from actgrad.language.length import ONE, N
from actgrad.language.program import Program
from actgrad.reading.libraries.lookups import entry_at
from actgrad.reading.libraries.sizes import kept
from actgrad.reading.outputs import length_of
from actgrad.reading.reader import mixes, reader
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, made, number


def call(program: Program, inputs: tuple[object, ...], parameters: Mapping[str, object]) -> Symbol:
    """The activation of symbols, as the rooms of the frameworks answer for tensors."""
    if program.gradient:
        raise DefinitionError(
            f"{program.name!r} has a `gradient=` rule, which cannot be part of another function\n"
            f"  Apply it to the tensor, outside of the function."
        )
    given = list(zip(program.inputs, inputs, strict=True))
    settings = {**dict(program.parameters), **program.spread(parameters)}
    settings.pop("axis", None)
    tables = {name: settings.pop(name) for name in program.tables}
    values = {n: number(x).expr for n, x in [*settings.items(), *given]}
    if program.axis is not None:
        return _of_row(program, given, values)
    for lookup in program.lookups:
        known = lookup.index.settings
        index = call(lookup.index, inputs, {n: v for n, v in parameters.items() if n in known})
        values[lookup.name] = number(entry_at(tables[lookup.table], index)).expr
    value = substitute(program.opened.value, values)
    if reader().rows:
        return made(value, *(number(x) for _, x in given))
    return Symbol(value)


def _of_row(program: Program, given: list[tuple[str, object]], values: Fields) -> Symbol:
    if not reader().rows:
        mixes(program.name)
    for name, x in given:
        if number(x).form not in (None, ONE, N):
            refuse(
                f"{program.name!r} of a part of the row",
                "Apply it to the whole row, or write out what it does.",
            )
        values[name] = as_row(values[name], N)
    try:
        value = substitute(program.value, values)
    except NotOneNumberError as error:
        refuse(f"{program.name!r} got a row for a parameter, and {error}", "Give one number.")
    return kept(value, length_of(value))
