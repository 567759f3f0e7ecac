"""A function's program and a rule for its derivative -> the program with that derivative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from actgrad.errors import DefinitionError, NoDerivativeError
from actgrad.language.derive import derive
from actgrad.language.expression import Expr, as_row, const, make, var
from actgrad.language.program import Kind, Program
from actgrad.reading.derivatives.rule_reader import NamesTable, Rule, RuleReader


def with_rule(
    program: Program,
    rule: Rule,
    kind: Kind,
    host: bool = False,
    pinned: frozenset[str] = frozenset(),
    shared: Mapping[str, object] = MappingProxyType({}),
) -> Program:
    """The program with a rule for its derivative; what the rule does not name keeps its exact one.

    `pinned` are the parameters that are read as plain values, `shared` those of the function. A table that
    the rule names is one parameter for each entry: the rule has a derivative for each.
    """
    try:
        return _with_rule(program, rule, kind, host, pinned, shared)
    except NamesTable:
        apart = frozenset(program.tables)
        return _with_rule(program.unrolled, rule, kind, host, pinned, shared, apart)


def _with_rule(
    program: Program,
    rule: Rule,
    kind: Kind,
    host: bool,
    pinned: frozenset[str],
    shared: Mapping[str, object],
    apart: frozenset[str] = frozenset(),
) -> Program:
    parameters = dict(program.parameters)
    inputs = (*program.inputs, program.upstream) if kind == "gradient" else program.inputs
    reader = RuleReader(program, parameters, inputs, host, pinned, shared, apart)
    stand_in = reader.stand_in(rule, kind) if program.axis is not None else None
    declared = reader.read(rule) if stand_in is None else {}
    fixed = program.fixed + tuple(reader.fixed.items())
    program = replace(
        program,
        parameters=tuple(parameters.items()),
        fixed=fixed,
        vectors=tuple(reader.vectors.items()),
        tables=(*program.tables, *reader.tables),
    )
    if stand_in is not None:
        return replace(program, kind=kind, value=make("given", program.value, stand_in, const(1.0)))
    named = [name for name in program.arguments if name in declared or name in program.inputs]
    if kind == "gradient":
        # Parameters have a gradient of their own only where the rule names one of them.
        names = program.inputs if len(named) == len(program.inputs) else program.arguments
        exact = [n for n in names if n not in declared]
        declared |= {n: _exact_gradient(program, n) for n in exact}
        gradient = tuple(_as_long(program, declared[n], n) for n in names)
        return replace(program, kind=kind, gradient=gradient)
    # On the host the derivative by a parameter is not known, unless the rule says it.
    names = tuple(named) if host else program.arguments
    pairs = [
        part
        for name in names
        for part in (
            var(name),
            declared[name] if name in declared else _exact(program, name),
        )
    ]
    for lookup in program.lookups:  # by what is read of a table, the derivative is the exact one
        pairs += [lookup.node, derive(program.value, lookup.node)]
    return replace(program, kind=kind, value=make("given", program.value, *pairs))


def _exact_gradient(program: Program, name: str) -> Expr:
    if program.axis is not None:
        return program.vjp(name).value
    return make("mul", var(program.upstream), _exact(program, name))


def _as_long(program: Program, root: Expr, name: str) -> Expr:
    """The gradient by an argument, as long as that is."""
    width = program.variable(name).width
    if root.width is not None and (width is None or not root.width.agrees_with(width)):
        raise DefinitionError(
            f"the gradient of {program.name!r} by {name!r} is a row of the length {root.width}, and {name!r} "
            f"is {'one number' if width is None else f'one of the length {width}'}\n"
            f"  Sum it, or bring it to that length."
        )
    return as_row(root, width)


def _exact(program: Program, name: str) -> Expr:
    try:
        return derive(program.value, name)
    except NoDerivativeError:
        raise DefinitionError(
            f"the rule of {program.name!r} has nothing for {name!r}, and as it runs on the host "
            f"(host=True) its exact derivative by {name!r} is not known\n"
            f"  Name {name!r} in the rule too."
        ) from None
