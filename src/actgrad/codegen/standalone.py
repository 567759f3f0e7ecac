"""The file of `f.source(framework)`: it needs the framework and nothing else."""

from __future__ import annotations

import symtable
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache

from actgrad.codegen.dialect import Dialect
from actgrad.codegen.emit import function_text, helpers_text, identifier, local_name, number_text
from actgrad.codegen.size import is_long
from actgrad.errors import HostError
from actgrad.language.expression import walk
from actgrad.language.program import Lookup, Program, Value
from actgrad.language.rows import fits


def standalone(program: Program, dialect: Dialect) -> str:
    """Value, gradients, and the function that binds them."""
    if program.on_host:
        raise HostError(
            f"{program.name!r} runs on the host (host=True), so there is no source of it to write"
        )
    name = identifier(program.name)
    body = _body(program, dialect, f"{name}_" if name in _used(dialect) else name)
    helpers = helpers_text(body, dialect)
    what = f"{_quoted(program.name)} for {dialect.framework}, with {_KINDS[program.kind]}."
    title = f'"""{what}\n\n{textwrap.fill(str(program), 90)}\n"""'
    return (
        f"{title}\n\n{dialect.imports}\n\n\n"
        + "\n\n\n".join(part for part in (helpers, body) if part)
        + "\n"
    )


def _body(program: Program, dialect: Dialect, name: str) -> str:
    """Everything that the function of this name needs, and the function."""
    if program.tables:
        return _with_tables(program, dialect, name)
    value = _private(f"{name}_value")
    functions = [function_text(program, dialect, value)]
    gradients = []
    rules = [program.vjp(argument) for argument in program.arguments]
    for rule in rules:
        gradients.append(_private(identifier(rule.name)))
        functions.append(function_text(rule, dialect, gradients[-1]))
    signature, _, flat = _arguments(program, dialect)
    rows: dict[str, object] = {}
    if program.axis is not None:
        rows, tangents = _of_rows(program, dialect, name)
        functions += tangents
    fuses = rows and not any(node.op == "order" for node in walk(*program.expressions))

    def kernel(name: str, program: Program) -> str:
        return f"RowKernel({name}, {fuses})" if rows else f"Kernel({name}, {program.spans_inputs})"

    template = dialect.row_binding if rows else dialect.binding
    binding = template.format(
        name=name,
        signature=signature,
        arguments=flat,
        upstream=program.upstream,
        size=len(program.inputs),
        long=is_long(program),
        doc=_doc(program),
        value=value,
        gradients=_tuple(gradients),
        reverse_only=len(program.reverse_only),
        kernel=kernel(value, program),
        kernels="\n".join(
            f"        {kernel(gradient, rule)},"
            for gradient, rule in zip(gradients, rules, strict=True)
        ),
        **rows,
    )
    return "\n\n\n".join([*functions, binding.strip()])


def _of_rows(program: Program, dialect: Dialect, name: str) -> tuple[dict[str, object], list[str]]:
    """What the binding of a function of a row asks for besides, and the functions of its tangents."""
    tangents, functions = [], []
    if "{tangents}" in dialect.row_binding:
        for argument in program.arguments:
            if argument in program.reverse_only:
                tangents.append("None")
                continue
            tangents.append(_private(f"{name}_along_{argument}"))
            functions.append(function_text(program.push((argument,)), dialect, tangents[-1]))
    conditions = fits(walk(*program.expressions))
    if len(" and ".join(conditions)) > 85:
        lines = "\n        and ".join(conditions)
        conditions = [f"(\n        {lines}\n    )"]
    fields: dict[str, object] = {
        "axis": program.axis,
        "squeezes": program.squeezes,
        "fits": " and ".join(conditions),
        "any_length": program.takes_any_length,
        "tangents": _tuple(tangents) if tangents else "()",
    }
    return fields, functions


def _with_tables(program: Program, dialect: Dialect, name: str) -> str:
    """The opened program, a function for each index, and what reads the tables in between."""
    inner = _private(f"{name}_of_entries")
    functions = [_body(program.opened, dialect, inner)]
    lookups = []
    for i, each in enumerate(program.lookups):
        lookups.append(_lookup(each, program, _private(f"{name}_index_{i}"), dialect, functions))
    signature, arguments, flat = _arguments(program, dialect)
    binding = dialect.tables.format(
        name=name,
        signature=signature,
        arguments=arguments,
        flat=flat,
        lookups=_tuple(lookups),
        inner=inner,
        upstream=program.upstream,
        size=len(program.inputs),
        doc=_doc(program),
    )
    return "\n\n\n".join([*functions, binding.strip()])


def _lookup(
    lookup: Lookup, reader: Program, name: str, dialect: Dialect, functions: list[str]
) -> str:
    """A table, whether a nan among its indices is one in the result, the function of the index, and what that
    reads itself; `functions` gets what it needs."""
    program = lookup.index
    functions.append(function_text(program.opened if program.tables else program, dialect, name))
    inner = [
        _lookup(each, program, f"{name}_{i}", dialect, functions)
        for i, each in enumerate(program.lookups if program.tables else ())
    ]
    return f"({local_name(lookup.table, dialect)}, {not reader.shows_nan}, {name}, {_tuple(inner)})"


def _arguments(program: Program, dialect: Dialect) -> tuple[str, str, str]:
    """The signature; the arguments without the tables; and those with vectors entry by entry."""
    vectors = dict(program.vectors)
    signature = [local_name(name, dialect) for name in program.inputs]
    arguments, flat = list(signature), list(signature)
    for parameter, default in program.settings.items():
        local = local_name(parameter, dialect)
        signature.append(f"{local}={_literal(default)}")
        if parameter not in program.tables:
            arguments.append(local)
            flat.append(dialect.entries.format(local) if parameter in vectors else local)
    return ", ".join(signature), _tuple(arguments), _tuple(flat)


def _doc(program: Program) -> str:
    return f"{_quoted(program.name)}({', '.join(program.inputs)}) = {program}"


def _private(name: str) -> str:
    """Of a private name too: within a class, `__name` would be another."""
    return f"_f{name}" if name.startswith("_") else f"_{name}"


@cache
def _used(dialect: Dialect) -> frozenset[str]:
    """What a standalone file knows by name, outside of its functions; of `np.abs` that is `np`."""
    fields = ("name", "signature", "arguments", "upstream", "value", "gradients", "kernel")
    known = {field: f"_{field}" for field in fields} | {"size": 0, "reverse_only": 0, "long": 0}
    known |= dict.fromkeys(("axis", "squeezes", "fits", "any_length", "tangents"), 0)
    bindings = [
        binding.format(**known, doc="", kernels="")
        for binding in (dialect.binding, dialect.row_binding)
    ]
    names = ("name", "signature", "arguments", "upstream", "flat", "lookups", "inner")
    tables = dialect.tables.format(**{field: f"_{field}" for field in names}, doc="", size=0)
    texts = [dialect.imports, *dialect.helpers.values(), *bindings, tables]
    for condition, each in (("0", dialect), *dialect.variants):
        operations = (condition, *each.table.values(), *each.rows.values())
        carried = dict.fromkeys(("like", "n", "part", "all", "start", "stop", "step"), "_like")
        texts += (text.format("_x", "_y", "_z", **carried) for text in operations)

    def names_in(table: symtable.SymbolTable) -> Iterator[str]:
        for symbol in table.get_symbols():
            if table.get_type() == "module" or symbol.is_global():
                yield symbol.get_name()
        for inner in table.get_children():
            yield from names_in(inner)

    return frozenset(names_in(symtable.symtable("\n".join(texts), "<dialect>", "exec")))


_KINDS = {
    "exact": "its exact derivative",
    "derivative": "the derivative that was given for it",
    "surrogate": "a surrogate derivative",
    "gradient": "the gradient rule that was given for it",
}


def _quoted(name: str) -> str:
    """A name as it may stand in a docstring: any text, which must not end it or be code."""
    shown = name if name.isprintable() else ascii(name)[1:-1]
    return shown.replace("\\", "\\\\").replace('"', "'")


def _literal(value: Value) -> str:
    if isinstance(value, tuple):
        return _tuple([_literal(item) for item in value])
    return number_text(value)


def _tuple(names: Sequence[str]) -> str:
    return f"({names[0]},)" if len(names) == 1 else f"({', '.join(names)})"
