"""The program of a table: what a device computes, with the derivative in force straight through."""

from __future__ import annotations

from actgrad.integers.scheme import Rounding
from actgrad.integers.table import Table
from actgrad.language.expression import Expr, const, make, substitute, var, vector
from actgrad.language.program import Program
from actgrad.language.rewrite import rewrite

_ZERO, _ONE = const(0.0), const(1.0)


def quantised(table: Table) -> Program:
    """Forward the table's values, backward the derivative in force at the rounded input.

    Quantising is differentiated straight through: as the identity inside the range, as 0 where the input
    or the output saturates.
    """
    program, format = table.program, table.format
    (name,) = program.inputs
    x, scale = var(name), const(table.input.scale)
    step = _rounded(x / scale, format.rounding)
    index = step + const(table.input.zero_point - format.first)
    value = make("gather", vector(table.dequantised(table)), index)

    last = const(format.size - 1.0)
    inside = make("and", make("le", _ZERO, index), make("le", index, last))
    if not table.inside.all():
        holds = make("gather", vector(table.inside.astype(float)), index)
        inside = make("and", inside, make("eq", holds, _ONE))
    near = make("given", step * scale, x, _ONE)

    def through(rule: Expr) -> Expr:
        return make("select", inside, substitute(rule, {name: near}), _ZERO)

    named = f"{program.name}_{format.dtype}"
    if program.gradient:
        value, rule = rewrite(value, through(program.gradient[0]))
        return Program(named, (name,), (), value, "gradient", (rule,))
    slope = through(program.partial(name).value)
    return Program(named, (name,), (), rewrite(make("given", value, x, slope))[0], "surrogate")


def _rounded(x: Expr, rounding: Rounding) -> Expr:
    if rounding == "even":
        return make("round", x)
    whole = make("trunc", x)
    near = make("lt", make("abs", x - whole), const(0.5))
    return make("select", near, whole, whole + make("copysign", _ONE, x))
