"""How large a program is to a compiler."""

from __future__ import annotations

from collections import Counter

from actgrad.language.expression import Expr, walk

MOST = 1_000_000_000
"""What is larger is not counted on: a chain of 8,000 remainders has a number of 5,000 digits."""


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
        sizes[node] = min(MOST, sum(parts, start=int(bool(node.args))))
    return max(sizes.values())


def doubled(root: Expr) -> int:
    """With a part written out twice where one operation alone takes it twice, as in `y ** y`. What two
    operations take a compiler can keep; what one takes it writes out as often."""
    nodes = walk(root)
    takers = Counter(arg for node in nodes for arg in set(node.args))
    sizes: dict[Expr, int] = {}
    for node in nodes:
        parts = (1 if takers[arg] > 1 else sizes[arg] for arg in node.args)
        sizes[node] = min(MOST, sum(parts, start=int(bool(node.args))))
    return max(sizes.values())
