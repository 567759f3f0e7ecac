"""How large a program in a file may be: counted in operations, with those of its derivatives."""

from __future__ import annotations

from actgrad.language.decomposed import DECOMPOSITIONS
from actgrad.language.derive import derive
from actgrad.language.expression import Expr, walk
from actgrad.language.program import Program

MAX_OPERATIONS = 20_000
"""Of the value, each first derivative and each second one, shared parts counted once. With so many,
`check()`, `source()` and a second derivative each take a few seconds and less than 1 GB."""


def growth(node: Expr) -> int:
    """No second derivative is larger than the sum of these over the operations of its function."""
    return 600 if node.op in DECOMPOSITIONS else 100


def excess(program: Program) -> str | None:
    """What is too large, in words; None if nothing is."""
    value = _too_many("the value", program.value)
    if value or sum(map(growth, walk(program.value))) <= MAX_OPERATIONS:
        return value or _too_many("the gradient", *program.gradient)
    for name in () if program.gradient else program.inputs:
        first = derive(program.value, name)
        too_many = _too_many(f"the derivative by {name}", first)
        if too_many:
            return too_many
        too_many = _too_many(f"the second derivative by {name}", derive(first, name))
        if too_many:
            return too_many
    return _too_many("the gradient", *program.gradient)


def _too_many(what: str, *roots: Expr) -> str | None:
    count = len(walk(*roots))
    if count <= MAX_OPERATIONS:
        return None
    return f"{what} has {count:,} operations, more than the {MAX_OPERATIONS:,} allowed"
