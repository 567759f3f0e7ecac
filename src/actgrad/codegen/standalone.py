"""The file of `f.source(framework)`: it needs the framework and nothing else."""

from __future__ import annotations

import math
import symtable
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache

from actgrad.codegen.dialect import Dialect
from actgrad.codegen.emit import function_text, helpers_text, identifier, local_name
from actgrad.errors import HostError
from actgrad.language.program import Program, Value


def standalone(program: Program, dialect: Dialect) -> str:
    """Value, gradients, and the function that binds them."""
    if program.on_host:
        raise HostError(
            f"{program.name!r} runs on the host (host=True), so there is no source of it to write"
        )
    name = identifier(program.name)
    value = _private(f"{name}_value")
    functions = [function_text(program, dialect, value)]
    gradients = []
    rules = [program.vjp(argument) for argument in program.arguments]
    for rule in rules:
        gradients.append(_private(identifier(rule.name)))
        functions.append(function_text(rule, dialect, gradients[-1]))
    vectors = dict(program.vectors)
    signature = [local_name(name, dialect) for name in program.inputs]
    arguments = list(signature)
    for parameter, default in program.settings.items():
        local = local_name(parameter, dialect)
        signature.append(f"{local}={_literal(default)}")
        arguments.append(dialect.entries.format(local) if parameter in vectors else local)
    binding = dialect.binding.format(
        name=f"{name}_" if name in _used(dialect) else name,
        signature=", ".join(signature),
        arguments=_tuple(arguments),
        upstream=program.upstream,
        size=len(program.inputs),
        doc=f"{_quoted(program.name)}({', '.join(program.inputs)}) = {program}",
        value=value,
        gradients=_tuple(gradients),
        reverse_only=len(program.reverse_only),
        spans=program.spans_inputs,
        kernels="\n".join(
            f"        Kernel({gradient}, {rule.spans_inputs}),"
            for gradient, rule in zip(gradients, rules, strict=True)
        ),
    )
    body = "\n\n\n".join([*functions, binding.strip()])
    helpers = helpers_text(body, dialect)
    what = f"{_quoted(program.name)} for {dialect.framework}, with {_KINDS[program.kind]}."
    title = f'"""{what}\n\n{_wrapped(str(program))}\n"""'
    return (
        f"{title}\n\n{dialect.imports}\n\n\n"
        + "\n\n\n".join(part for part in (helpers, body) if part)
        + "\n"
    )


def _private(name: str) -> str:
    """Of a private name too: within a class, `__name` would be another."""
    return f"_f{name}" if name.startswith("_") else f"_{name}"


@cache
def _used(dialect: Dialect) -> frozenset[str]:
    """What a standalone file knows by name, outside of its functions; of `np.abs` that is `np`."""
    fields = ("name", "signature", "arguments", "upstream", "value", "gradients")
    binding = dialect.binding.format(
        **{field: f"_{field}" for field in fields},
        **{"size": 0, "reverse_only": 0, "doc": "", "spans": True, "kernels": ""},
    )
    texts = [dialect.imports, *dialect.helpers.values(), binding]
    for condition, each in (("0", dialect), *dialect.variants):
        operations = (condition, *each.table.values())
        texts += (text.format("_x", "_y", "_z", like="_like") for text in operations)

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
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 90))


def _tuple(names: Sequence[str]) -> str:
    return f"({names[0]},)" if len(names) == 1 else f"({', '.join(names)})"
