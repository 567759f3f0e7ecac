"""How large a program in a file may be: counted in operations, with those of its derivatives."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from actgrad.language.adjoint import flows
from actgrad.language.decomposed import DECOMPOSITIONS
from actgrad.language.derive import derive
from actgrad.language.expression import Expr, walk
from actgrad.language.length import MOST
from actgrad.language.program import Program

MAX_OPERATIONS = 4000
"""Of the value, of each first derivative by an input and of each second one, shared parts counted once, and
each as `cost` says; of a function of a row, of its gradient and of the gradient of that. With so many a
first call, a gradient or a second derivative by one argument takes about 10 s of CPU time and 1 GB: see
`benchmarks/largest.py`. (By many arguments at once each is compiled.)"""
MAX_DEFINED = 20_000
"""Of the value of a definition, and of the gradients of a function of a row. It may be larger than what a
file holds: it runs, unfused where a compiler would take long, and cannot be saved. With more a derivative
could take minutes and gigabytes."""
MAX_SLOPES = 6000
"""Operations that depend on an argument, added up over all of them: each has a derivative of its own."""
MAX_FLOWS = 1000
"""Of a function of a row and of each of these, how many pairs there are of an operation on a row and one that
reaches it through numbers alone: each pair has a derivative of its own, and none is made of what has more."""
FEW_FLOWS = 40
"""With no more, in a function of 40 operations, the gradients are not counted. (A softmax has 7, three layer
norms in a chain have 35.)"""
MAX_NUMBERS = 10_000_000
"""Of all rows that are made, from the shortest that the function takes: 80 MB."""


_FUNCTIONS = (
    "pow hypot copysign sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 "
    "cosh tanh asinh acosh atanh sigmoid softplus erf"
)
COSTS = {
    **dict.fromkeys(_FUNCTIONS.split(), 8),
    **dict.fromkeys(("mod", "sinh"), 20),
    "floordiv": 40,
    **dict.fromkeys(("erfc", *DECOMPOSITIONS), 60),
}
"""How many operations one counts as: about what it takes a compiler, with what a framework makes of it that
lacks it. XLA takes up to 2.5 ms of CPU time for each."""


def cost(op: str) -> int:
    return COSTS.get(op, 1)


def growth(node: Expr) -> int:
    """No second derivative is larger than the sum of these over the operations of its function."""
    return 800 if node.op in DECOMPOSITIONS else 120


def size(nodes: Iterable[Expr]) -> int:
    return sum(cost(node.op) for node in nodes)


def excess_of_definition(program: Program) -> str | None:
    """What is too large to be defined, in words; None if nothing is."""
    value = _too_many("the value", program.value, most=MAX_DEFINED)
    return value or _too_many_of_rows(program, MAX_DEFINED)


def excess(program: Program) -> str | None:
    """What is too large for a file, in words; None if nothing is."""
    value = _too_many("the value", program.value) or _too_many_slopes(program)
    value = value or _too_long(program)
    if program.axis is not None:
        return value or _too_many("the gradient", *program.gradient) or _too_many_of_rows(program)
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


def _too_many_of_rows(program: Program, most: int = MAX_OPERATIONS) -> str | None:
    if program.axis is None:
        return None
    few = sum(islice(flows(program.value), FEW_FLOWS + 1)) <= FEW_FLOWS
    if few and sum(map(growth, walk(program.value))) <= MAX_OPERATIONS:
        return None
    for name in program.inputs:
        each, what = program, f"the gradient by {name}"
        for further in ("", "the gradient of "):
            if sum(islice(flows(each.value), MAX_FLOWS + 1)) > MAX_FLOWS:
                return f"{further}{what} has more than the {most:,} operations allowed"
            each = each.vjp(name)
            count = size(walk(each.value))
            if count > most:
                what = f"{further}{what} has {count:,} operations"
                return f"{what}, more than the {most:,} allowed in a function of a row"
    return None


def _too_many(what: str, *roots: Expr, most: int = MAX_OPERATIONS) -> str | None:
    count = size(walk(*roots))
    if count <= most:
        return None
    return f"{what} has {count:,} operations, more than the {most:,} allowed"


def _too_long(program: Program) -> str | None:
    if program.axis is None:
        return None
    shortest = next((n for n in range(1, MOST) if program.misfit(n) is None), 1)
    rows = (node.width for node in walk(*program.expressions) if node.width is not None)
    count = sum(width.at(shortest) for width in rows)
    if count <= MAX_NUMBERS:
        return None
    return f"its rows have {count:,} numbers, more than the {MAX_NUMBERS:,} allowed"


def _too_many_slopes(program: Program) -> str | None:
    places = {name: 1 << i for i, name in enumerate(program.arguments)}
    depends: dict[Expr, int] = {}
    count = 0
    for node in walk(*program.expressions):
        on = places.get(str(node.value), 0) if node.op == "var" else 0
        for arg in node.args:
            on |= depends[arg]
        depends[node] = on
        count += on.bit_count() * cost(node.op)
    if count <= MAX_SLOPES:
        return None
    return (
        f"its derivatives by {len(places):,} arguments have {count:,} operations or more, more than the "
        f"{MAX_SLOPES:,} allowed"
    )
