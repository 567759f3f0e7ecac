"""Expression -> derivative expression, forward, by the rules that stand beside each operation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from actgrad.errors import NoDerivativeError
from actgrad.language.decomposed import polygamma
from actgrad.language.expression import Expr, const, is_const, lift, make, walk
from actgrad.language.ops import OPS
from actgrad.language.rewrite import rewrite
from actgrad.language.rows import ROWS

_ZERO, _ONE = const(0.0), const(1.0)


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
        if tangent is not _ZERO:
            tangents[node] = tangent
    return rewrite(tangents.get(root, _ZERO))[0]


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
        return _ZERO
    if node.op == "given":
        pairs = zip(node.args[1::2], node.args[2::2], strict=True)
        return _total([chain(d, tangents[x]) for x, d in pairs if x in tangents])
    if node.op == "select":
        condition, yes, no = node.args
        return _choose(condition, tangents.get(yes, _ZERO), tangents.get(no, _ZERO))
    if node.op == "host":
        name = getattr(node.value, "__name__", "function")
        raise NoDerivativeError(
            f"{name!r} runs on the host, so its derivative is not known: give `derivative=` "
            f"(or `surrogate=`), a function that may run on the host too"
        )
    terms = []
    for rule, arg in zip(_rules(node.op), node.args, strict=True):
        if arg in tangents:
            terms.append(chain(lift(rule(*node.args)), tangents[arg]))
    return _total(terms)


def _total(terms: list[Expr]) -> Expr:
    total = _ZERO
    for term in terms:
        if term is not _ZERO:
            total = term if total is _ZERO else make("add", total, term)
    return total


def _choose(condition: Expr, yes: Expr, no: Expr) -> Expr:
    return yes if yes is no else make("select", condition, yes, no)


def chain(outer: Expr, inner: Expr) -> Expr:
    """outer * inner, where an inner derivative that is zero because its branch was not taken stays
    zero even if the outer one is infinite there (as in sqrt(max(x, 0)) at x < 0)."""
    if inner.op == "select":
        condition, yes, no = inner.args
        return _choose(condition, _times(outer, yes), _times(outer, no))
    return _times(outer, inner)


def _times(outer: Expr, inner: Expr) -> Expr:
    if outer is _ZERO or inner is _ZERO:
        return _ZERO
    if is_const(outer, 1.0):
        return inner
    if is_const(inner, 1.0):
        return outer
    product = make("mul", outer, inner)
    if inner.forked and outer.op != "const":
        # That it is zero says nothing of its own derivative.
        zero = make("given", _ZERO, inner, outer)
        return make("select", make("eq", inner, _ZERO), zero, product)
    return product


@cache
def _rules(op: str) -> list[Callable[..., Expr | float]]:
    row = OPS[op]
    arguments = ", ".join(row.arguments.split())
    return [eval(f"lambda {arguments}: {text}", _vocabulary()) for text in row.partials]


@cache
def _vocabulary() -> dict[str, object]:
    def operation(op: str, *args: Expr | float) -> Expr:
        return make(op, *map(lift, args))

    return {
        "polygamma": polygamma,
        **{name + "_" * (name in {"and", "or", "not"}): partial(operation, name) for name in OPS},
    }
