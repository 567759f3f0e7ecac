"""Tables that are parameters: each framework reads them by its own gather, whose gradient is a scatter-add.

What was read is a further parameter of the rest of the program, which computes each element of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from actgrad.common.types import Function
from actgrad.language.program import Program


def call_with_tables(
    program: Program,
    inputs: Sequence[object],
    parameters: Mapping[str, object],
    call: Function,
    still: Callable[[object], object],
    lookup: Function,
) -> object:
    """The value of a program with tables.

    `still(x)` is a tensor without its derivative, in a dtype that counts exactly, and
    `lookup(table, index, nan)` the framework's gather; with `nan` it is nan where the index is.
    """
    tables: dict[str, object] = {
        name: value for name, value in program.parameters if name in program.tables
    }
    tables |= {name: parameters[name] for name in tables if name in parameters}
    found = {name: value for name, value in parameters.items() if name not in tables}
    quiet = {name: still(value) for name, value in found.items()} | tables
    quiet_inputs = tuple(map(still, inputs))
    for each in program.lookups:
        known = dict(each.index.parameters)
        at = call(each.index, quiet_inputs, {n: v for n, v in quiet.items() if n in known})
        found[each.name] = lookup(tables[each.table], at, not program.shows_nan)
    return call(program.opened, inputs, found)
