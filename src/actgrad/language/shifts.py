"""What of an expression stays when the largest number of a row, as which it stands there, is moved.

`exp(x - max(x))` is so many times as large then, and so is its sum; their quotient stays. So a softmax has no
derivative by the maximum that it takes off, though each of its parts has: to add these up again would cost
time, and in a long row leave a rest at the largest number.
"""

from __future__ import annotations

from collections.abc import Iterable

from actgrad.language.expression import Expr, walk

Rate = tuple[float, tuple[tuple[str, Expr], ...]]
"""A factor, and the numbers by which it is multiplied or divided."""
Change = tuple[bool, Rate]
"""Moved by c, the expression gets `rate * c` more; where True stands first, `exp(rate * c)` times as much."""

_STILL: Change = (False, (0.0, ()))
_ALIKE = frozenset({"fill", "flip", "slice", "max", "take"})
"""What makes of a row that is moved one that is moved, and of one that is scaled one that is scaled."""


def idle(root: Expr, nodes: Iterable[Expr]) -> set[Expr]:
    """The maxima among the nodes by which the derivative of the root is zero, as it stays when they move."""
    return {node for node in nodes if node.op == "max" and _changes(root, node) == _STILL}


def _changes(root: Expr, moved: Expr) -> Change | None:
    """None where it is not known."""
    found: dict[Expr, Change | None] = {}
    for node in walk(root):
        changes = [found[arg] for arg in node.args]
        if node is moved:
            found[node] = False, (1.0, ())
        elif None in changes:
            found[node] = None
        elif all(change == _STILL for change in changes):
            found[node] = _STILL
        else:
            found[node] = _change(node, [change for change in changes if change is not None])
    return found[root]


def _change(node: Expr, changes: list[Change]) -> Change | None:
    """That of an operation, some of whose arguments change."""
    (scales, rate), *rest = changes
    other_scales, other = rest[0] if rest else _STILL
    if node.op in _ALIKE or (node.op in {"sum", "cumsum"} and scales):
        constant = all(factor.width is None for _, factor in rate[1])
        return changes[0] if constant and other == _STILL[1] else None
    if node.op == "neg":
        return changes[0] if scales else (False, (-rate[0], rate[1]))
    if node.op == "exp":
        return None if scales else (True, rate)
    if node.op == "log":
        return (False, rate) if scales else None
    if node.op in {"add", "sub"} and not scales and not other_scales:
        return _normal(False, _sum(rate, other, -1.0 if node.op == "sub" else 1.0))
    if node.op in {"add", "sub"} and scales and changes[0] == changes[1]:
        return changes[0]
    return _product(node, changes[0], changes[1]) if node.op in {"mul", "div"} else None


def _product(node: Expr, left: Change, right: Change) -> Change | None:
    divides = node.op == "div"
    scaled = [change[0] or change == _STILL for change in (left, right)]
    if all(scaled):
        return _normal(True, _sum(left[1], right[1], -1.0 if divides else 1.0))
    moving, factor = (left, node.args[1]) if right == _STILL else (right, node.args[0])
    if _STILL not in (left, right) or moving[0] or (divides and moving is right):
        return None
    (times, factors) = moving[1]
    if factor.op == "const":
        number = float(factor.value)  # type: ignore[arg-type]
        if number == 0.0:
            return None
        return False, (times / number if divides else times * number, factors)
    return False, (times, (*factors, (node.op, factor)))


def _sum(a: Rate, b: Rate, sign: float) -> Rate | None:
    if 0.0 not in (a[0], b[0]) and a[1] != b[1]:
        return None
    return a[0] + sign * b[0], a[1] if a[0] else b[1]


def _normal(scales: bool, rate: Rate | None) -> Change | None:
    return None if rate is None else _STILL if rate[0] == 0.0 else (scales, rate)
