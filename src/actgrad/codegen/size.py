"""How large a program is to a compiler."""

from __future__ import annotations

from actgrad.language.expression import Expr, walk


def operations(root: Expr) -> int:
    """Each different operation once, as the text has them."""
    return sum(bool(node.args) for node in walk(root))


def expanded(root: Expr) -> int:
    """With every shared part written out where it is used: what a compiler sees that inlines them."""
    sizes: dict[Expr, int] = {}
    for node in walk(root):
        sizes[node] = sum((sizes[arg] for arg in node.args), start=int(bool(node.args)))
    return sizes[root]
