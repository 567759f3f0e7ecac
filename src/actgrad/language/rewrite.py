"""Simplifications that keep every value, and the stable forms of formulas that overflow.

A rule sees an operation's (already simplified) arguments and answers what to put in its place, or
None. Nothing here is allowed to change a value, signed zeros and nan included; the stable forms
differ only where the formula as written loses digits or overflows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from actgrad.language.expression import Expr, const, is_const, make, rebuild, transform
from actgrad.language.ops import OPS
from actgrad.language.rows import ROWS

Rule = Callable[..., Expr | None]


def rewrite(*roots: Expr) -> list[Expr]:
    def visit(node: Expr, args: tuple[Expr, ...]) -> Expr:
        return node if node.simple else build(node.op, *args, like=node)

    return transform(roots, visit, _to_simplify)


def _to_simplify(node: Expr) -> tuple[Expr, ...]:
    return () if node.simple else node.args


_mode = threading.local()
_ARITHMETIC = {"neg", "add", "sub", "mul", "div", "pow", "log", "log1p"}


@contextmanager
def as_written() -> Iterator[None]:
    """Within this, formulas stay as they are, and so lose the digits that Python loses."""
    _mode.as_written = True
    try:
        yield
    finally:
        _mode.as_written = False


def build(op: str, *args: Expr, like: Expr | None = None) -> Expr:
    """`make`, simplified. `like` is the node being rebuilt."""
    if like is not None and (not args or op in ROWS):
        made = rebuild(like, args)
    elif op not in {"given", "host"} and {arg.op for arg in args} <= {"const"}:
        return _fold(op, args)
    else:
        rule = _RULES.get(op)
        if op in _ARITHMETIC and getattr(_mode, "as_written", False):
            return make(op, *args)
        found = rule(*args) if rule else None
        if found is not None:
            return found
        made = make(op, *args, value=like.value if like is not None else None)
    made.simple = False not in [arg.simple for arg in made.args]
    return made


def _fold(op: str, args: tuple[Expr, ...]) -> Expr:
    with np.errstate(all="ignore"):
        values = [arg.value if arg.boolean else np.float64(arg.value) for arg in args]  # type: ignore[arg-type]
        result = OPS[op].numpy(*values)
    boolean = OPS[op].boolean or (op == "select" and args[1].boolean)
    return const(bool(result) if boolean else float(result))


def _neg(x: Expr) -> Expr | None:
    if x.op == "mul":
        for factor, other in (x.args, x.args[::-1]):
            if is_const(factor):
                return build("mul", build("neg", factor), other)
    return x.args[0] if x.op == "neg" else None


def _add(x: Expr, y: Expr) -> Expr | None:
    for one, other in ((x, y), (y, x)):
        if is_const(one, -0.0):
            return other
        if is_const(one, -1.0) and other.op == "exp":
            return build("expm1", other.args[0])
    return build("sub", x, y.args[0]) if y.op == "neg" else None


def _sub(x: Expr, y: Expr) -> Expr | None:
    if is_const(y, 0.0):
        return x
    if is_const(y, 1.0) and x.op == "exp":
        return build("expm1", x.args[0])
    if is_const(x, 1.0) and y.op == "exp":
        return build("neg", build("expm1", y.args[0]))
    if is_const(x, 1.0) and y.op == "sigmoid":
        return build("sigmoid", build("neg", y.args[0]))
    return build("add", x, y.args[0]) if y.op == "neg" else None


def _mul(x: Expr, y: Expr) -> Expr | None:
    for one, other in ((x, y), (y, x)):
        if is_const(one, 1.0):
            return other
        if is_const(one, -1.0):
            return build("neg", other)
        if one.op == "neg":
            return build("neg", build("mul", one.args[0], other))
    return None


def _div(x: Expr, y: Expr) -> Expr | None:
    if is_const(y, 1.0):
        return x
    if is_const(y, -1.0):
        return build("neg", x)
    exponent = _one_plus_exp(y)
    if exponent is not None:
        if x is make("exp", exponent):
            return build("sigmoid", exponent)
        if x is make("expm1", exponent):
            return build("tanh", _half(exponent))
        if x is make("neg", make("expm1", exponent)):
            return build("neg", build("tanh", _half(exponent)))
        return build("mul", x, build("sigmoid", build("neg", exponent)))
    found = _hyperbolic(x, y)
    if found is None and x.op == "neg":
        return build("neg", build("div", x.args[0], y))
    return found


def _half(x: Expr) -> Expr:
    if x.op == "mul":
        for factor, other in (x.args, x.args[::-1]):
            if is_const(factor):
                return build("mul", build("mul", const(0.5), factor), other)
    return build("mul", const(0.5), x)


def _hyperbolic(x: Expr, y: Expr) -> Expr | None:
    """(e^z - e^-z) / (e^z + e^-z) and its halves, which overflow long before their quotient."""
    sides = [side.args for side in (x, y) if side.op in {"add", "sub"}]
    if not sides or not all(arg.op == "exp" for side in sides for arg in side):
        return None
    z, minus_z = (arg.args[0] for arg in sides[0])
    if minus_z is not build("neg", z):
        return None
    if len(sides) == 2 and x.op == "sub" and y.op == "add" and set(sides[1]) == set(sides[0]):
        return build("tanh", z)
    if x.op in {"add", "sub"} and is_const(y, 2.0):
        return build("sinh" if x.op == "sub" else "cosh", z)
    return None


def _one_plus(node: Expr) -> Expr | None:
    if node.op == "add":
        for one, other in (node.args, node.args[::-1]):
            if is_const(one, 1.0):
                return other
    return None


def _one_plus_exp(node: Expr) -> Expr | None:
    other = _one_plus(node)
    return other.args[0] if other is not None and other.op == "exp" else None


def _log(x: Expr) -> Expr | None:
    other = _one_plus(x)
    if other is not None:
        return build("log1p", other)
    if x.op == "sigmoid":
        return build("neg", build("softplus", build("neg", x.args[0])))
    return None


def _pow(x: Expr, y: Expr) -> Expr | None:
    if is_const(x, 2.0):
        return build("exp2", y)
    if is_const(y, 0.0):
        return const(1.0)
    if is_const(y, 1.0):
        return x
    if is_const(y, -1.0):
        return build("div", const(1.0), x)
    if is_const(y, 2.0):
        return build("mul", x, x)
    if is_const(y, 3.0):
        return build("mul", build("mul", x, x), x)
    if is_const(y, 4.0):
        square = build("mul", x, x)
        return build("mul", square, square)
    return None


def _compare(op: str, x: Expr, y: Expr) -> Expr | None:
    """A comparison of one of two numbers with a number is the condition that chose between them."""
    if op == "lt" and x is y:
        return const(False)
    if x.op == "select" and all(arg.op == "const" for arg in (*x.args[1:], y)):
        yes, no = (_fold(op, (arg, y)) for arg in x.args[1:])
    elif y.op == "select" and all(arg.op == "const" for arg in (x, *y.args[1:])):
        yes, no = (_fold(op, (x, arg)) for arg in y.args[1:])
        x = y
    else:
        return None
    if yes is no:
        return yes
    return x.args[0] if yes.value else build("not", x.args[0])


def _joined(neutral: bool, x: Expr, y: Expr) -> Expr | None:
    """`and`, whose neutral argument is True, or `or`, whose is False."""
    if x is y or y is const(neutral):
        return x
    if x is const(neutral):
        return y
    return const(not neutral) if const(not neutral) in (x, y) else None


def _select(condition: Expr, yes: Expr, no: Expr) -> Expr | None:
    if yes is no:
        return yes
    if condition.op == "const":
        return yes if condition.value else no
    if condition.op == "not":
        return build("select", condition.args[0], no, yes)
    if yes.op == "select" and yes.args[0] is condition:
        return build("select", condition, yes.args[1], no)
    if no.op == "select" and no.args[0] is condition:
        return build("select", condition, yes, no.args[2])
    if yes.boolean and no.op == yes.op == "const":
        return condition if yes.value else build("not", condition)
    return None


def _gather(vector: Expr, index: Expr) -> Expr | None:
    if index.op == "trunc":  # as gather does
        return build("gather", vector, index.args[0])
    if index.op == "add" and is_const(index.args[1], 0.0):
        return build("gather", vector, index.args[0])
    if vector.op != "vector" or index.op != "const":
        return None
    return const(float(OPS["gather"].numpy(vector.value, index.value)))


_RULES: dict[str, Rule] = {
    "neg": _neg,
    "abs": lambda x: build("abs", x.args[0]) if x.op in {"abs", "neg"} else None,
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "log": _log,
    "log1p": lambda x: build("softplus", x.args[0]) if x.op == "exp" else None,
    "pow": _pow,
    **{op: partial(_compare, op) for op in ("lt", "le", "eq")},
    "and": partial(_joined, True),
    "or": partial(_joined, False),
    "not": lambda x: x.args[0] if x.op == "not" else None,
    "select": _select,
    "gather": _gather,
}
