"""How a framework is written: what it prints each operation as, and what it lacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources

from actgrad.codegen.lower import Rule
from actgrad.language.expression import Expr
from actgrad.language.ops import OPS

OPERATORS: dict[str, str] = {
    "neg": "-{0}",
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "pow": "({0} ** {1})",
    "lt": "({0} < {1})",
    "le": "({0} <= {1})",
    "eq": "({0} == {1})",
    "and": "({0} & {1})",
    "or": "({0} | {1})",
    "given": "{0}",
    "host": "_host",
}
"""What is written alike in every framework."""


def functions(module: str, names: str) -> dict[str, str]:
    """Operations that a module has as functions, by the same name, or as in `asin=arcsin` by its own."""
    table = {}
    for each in names.split():
        op, _, own = each.partition("=")
        arguments = ", ".join(f"{{{i}}}" for i in range(OPS[op].arity))
        table[op] = f"{module}.{own or op}({arguments})"
    return table


def printed(package: str, file: str) -> str:
    """The code of a file that stand-alone files print, without what it says above and its imports."""
    text = resources.files(package).joinpath(file).read_text("utf-8")
    above = r'\A"""[^"]*(?:"[^"]+)*"""\n|^(?:import|from) .*\n'
    return re.split(above, text, flags=re.MULTILINE)[-1].strip()


def as_template(code: str) -> str:
    return code.replace("{", "{{").replace("}", "}}")


@dataclass(frozen=True, eq=False)
class Dialect:
    """The framework's name, imports, operations and constants.

    In every template `{0}`, `{1}` and `{2}` are arguments, and `{like}` is a tensor of the kernel's dtype.
    """

    framework: str
    imports: str
    table: dict[str, str]
    """The framework's own operations."""
    typed: str
    """A constant that must carry a dtype: `{0}` is the number."""
    lacks: Mapping[str, Rule] = field(default_factory=dict)
    """How an operation is decomposed that the framework lacks, or rounds badly: see `lower`."""
    passes: tuple[Callable[[Expr], Expr], ...] = ()
    """Rewrites of the whole expression, before single operations are lowered."""
    variants: tuple[tuple[str, Dialect], ...] = ()
    """`(condition, dialect)`: the text takes the first dialect whose condition, a template, is true. A
    branch is written only for programs whose text differs there."""
    rows: Mapping[str, str] = field(default_factory=dict)
    """The operations on a row, which lies along the last axis. In these templates `{n}` is the size that the
    operation carries, `{part}` the places of a slice, `{all}` every argument."""
    row_length: str = "{like}.shape[-1]"
    """How long the rows of a tensor are."""
    row_binding: str = ""
    """What `binding` is, for a function of a row: a template of `{name}`, `{signature}`, `{arguments}`,
    `{upstream}`, `{size}`, `{doc}`, `{value}`, `{gradients}`, `{tangents}` (for each argument the tangent
    along it), `{reverse_only}`, `{kernel}`, `{kernels}`, `{axis}`, `{squeezes}` (whether the axis goes) and
    `{fits}` (which lengths n fit, as code)."""
    helpers: dict[str, str] = field(default_factory=dict)
    """Definitions that entries of the table refer to, by name; included where they are used."""
    vector: str = "{0}"
    """A constant vector, of which `{0}` is a NumPy array in float64."""
    tables: str = ""
    """The part of a standalone file that reads tables and calls the rest of the program: a template of
    `{name}`, `{signature}`, `{doc}`, `{arguments}`, `{flat}` (the same, with vectors entry by entry),
    `{lookups}` (pairs of a table and the function of its index), `{nan}` (whether what is read is nan
    where the index is) and `{inner}` (the function that it calls)."""
    entries: str = "*{0}"
    """A vector `{0}` among the arguments of a call, entry by entry."""
    minus_zero: str = ""
    """-0.0 with its dtype, where the framework would take the text `-0.0` for 0.0."""
    huge: str = ""
    """A number beyond float32 with its dtype, where the framework raises for it beside a smaller tensor."""
    step: str = ""
    """A condition as a number, 1 or 0, where the framework has something cheaper than a choice."""
    typed_in_calls: bool = False
    """Whether a constant in a call needs a dtype even beside a tensor."""
    typed_first: bool = False
    """Whether it needs one where it comes before the tensors."""
    typed_everywhere: bool = False
    """Whether every constant needs one."""
    keeps_code: bool = False
    """Whether the framework keeps all code that has called an operation eagerly, and each line of it with the
    stack of the call, for good. Then kernels that differ by numbers alone share their code, in which numbers
    have names, and a kernel is one line."""
    binding: str = ""
    """The part of a standalone file that joins value and gradients into one function: a template of `{name}`,
    `{signature}`, `{arguments}`, `{upstream}`, `{size}`, `{doc}`, `{value}`, `{gradients}`,
    `{reverse_only}`, `{kernel}` (`Kernel(value, spans)`, which says whether the value mentions every
    argument) and `{kernels}` (such a line for each gradient). It asks for the arguments first, so that none
    can be hidden by a name of its own."""
