"""Expression -> derivative expression, forward, by the rules that stand beside each operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial, reduce

from actgrad.errors import NoDerivativeError
from actgrad.language.decomposed import polygamma
from actgrad.language.expression import Expr, const, is_const, lift, make, operation, walk
from actgrad.language.ops import OPS
from actgrad.language.rewrite import rewrite
from actgrad.language.rows import ROWS

ZERO, _ONE = const(0.0), const(1.0)


def derive(root: Expr, by: str | Expr) -> Expr:
    """The derivative of `root` by the variable `by`, a declared derivative first where there is one.

    `by` may also be a part of the expression, such as what was read from a table, or an operation on a row:
    its result is then a variable (see `adjoint`).

    The derivative of a select is the select of the derivatives: what is not taken contributes
    nothing, not even a nan.
    """
    tangents: dict[Expr, Expr] = {}
    for node in walk(root, into=differentiated):
        own = node is by or (node.op == "var" and node.value == by)
        tangent = _ONE if own else _tangent(node, tangents)
        if tangent is not ZERO:
            tangents[node] = tangent
    return rewrite(tangents.get(root, ZERO))[0]


def differentiated(node: Expr) -> tuple[Expr, ...]:
    """The arguments through which the derivative passes: not a condition, nor a value whose derivative
    was declared."""
    if node.op == "given":
        return node.args[1::2]
    if node.op == "gather" or node.op in ROWS:  # a step function of its index; not elementwise
        return ()
    return node.args[1:] if node.op == "select" else () if node.boolean else node.args


def _tangent(node: Expr, tangents: dict[Expr, Expr]) -> Expr:
    if not any(arg in tangents for arg in differentiated(node)):
        return ZERO
    if node.op == "given":
        pairs = zip(node.args[1::2], node.args[2::2], strict=True)
        return total(chain(d, tangents[x]) for x, d in pairs if x in tangents)
    if node.op == "select":
        condition, yes, no = node.args
        return choose(condition, tangents.get(yes, ZERO), tangents.get(no, ZERO))
    if node.op == "host":
        name = getattr(node.value, "__name__", "function")
        raise NoDerivativeError(
            f"{name!r} runs on the host, so its derivative is not known: give `derivative=` "
            f"(or `surrogate=`), a function that may run on the host too"
        )
    rules = zip(_rules(node.op), node.args, strict=True)
    return total(chain(lift(rule(*node.args)), tangents[x]) for rule, x in rules if x in tangents)


def total(terms: Iterable[Expr]) -> Expr:
    """The sum, without what is zero."""
    return reduce(partial(make, "add"), [term for term in terms if term is not ZERO] or [ZERO])


def choose(condition: Expr, yes: Expr, no: Expr) -> Expr:
    return yes if yes is no else make("select", condition, yes, no)


def chain(outer: Expr, inner: Expr) -> Expr:
    """outer * inner, where an inner derivative that is zero because its branch was not taken stays
    zero even if the outer one is infinite there (as in sqrt(max(x, 0)) at x < 0)."""
    if inner.op == "select":
        condition, yes, no = inner.args
        return choose(condition, _times(outer, yes), _times(outer, no))
    return _times(outer, inner)


def _times(outer: Expr, inner: Expr) -> Expr:
    if outer is ZERO or inner is ZERO:
        return ZERO
    if is_const(outer, 1.0):
        return inner
    if is_const(inner, 1.0):
        return outer
    product = make("mul", outer, inner)
    if inner.forked and outer.op != "const":
        # That it is zero says nothing of its own derivative.
        zero = make("given", ZERO, inner, outer)
        return make("select", make("eq", inner, ZERO), zero, product)
    return product


@cache
def _rules(op: str) -> list[Callable[..., Expr | float]]:
    row = OPS[op]
    arguments = ", ".join(row.arguments.split())
    return [eval(f"lambda {arguments}: {text}", _vocabulary()) for text in row.partials]


@cache
def _vocabulary() -> dict[str, object]:
    named = {name + "_" * (name in {"and", "or", "not"}): operation(name) for name in OPS}
    return {"polygamma": polygamma, **named}
