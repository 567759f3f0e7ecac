"""How large a program is to a compiler."""

from __future__ import annotations

from actgrad.language.expression import Expr, walk


def operations(root: Expr) -> int:
    """Each different operation once, as the text has them."""
    return sum(bool(node.args) for node in walk(root))


_KEPT = frozenset({"sum", "max", "prod", "cumsum", "order"})
"""Of a row: a compiler keeps their results, and writes none of them out twice."""


def expanded(root: Expr) -> int:
    """With every shared part written out where it is used: what a compiler sees that inlines them."""
    sizes: dict[Expr, int] = {}
    for node in walk(root):
        parts = (1 if arg.op in _KEPT else sizes[arg] for arg in node.args)
        sizes[node] = sum(parts, start=int(bool(node.args)))
    return max(sizes.values())
