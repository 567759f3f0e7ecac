"""How large a program is to a compiler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from actgrad.language.expression import Expr, walk
from actgrad.language.limits import size
from actgrad.language.program import Program


def operations(root: Expr) -> int:
    """Each different operation once, as the text has them."""
    return sum(bool(node.args) for node in walk(root))


_KEPT = frozenset({"sum", "max", "prod", "cumsum", "order"})
"""Of a row: a compiler keeps their results, and writes none of them out twice."""


def expanded(root: Expr) -> int:
    """With every shared part written out where it is used: what a compiler sees that inlines them."""
    return _written_out(root, lambda part: part.op in _KEPT)


def doubled(root: Expr) -> int:
    """With a part written out twice where one operation alone takes it twice, as in `y ** y`. What two
    operations take a compiler can keep; what one takes it writes out as often."""
    takers = Counter(arg for node in walk(root) for arg in set(node.args))
    return _written_out(root, lambda part: takers[part] > 1)


LONG = 150
"""As a file's limits count. Of a value and its gradient in one, XLA writes out what they share: a chain of
60 `acosh` takes it 12 s so, one of 114 takes 56 s and 1 GB; apart they take 2.4 s."""


def is_long(program: Program) -> bool:
    """Whether a compiler must not know that a value and its gradient are computed of the same numbers."""
    return size(walk(program.value)) > LONG


_MOST = 1_000_000_000
"""What is larger is not counted on: a chain of 8,000 remainders has a number of 5,000 digits."""


def _written_out(root: Expr, keeps: Callable[[Expr], bool]) -> int:
    """The operations of the largest text, in which the name of what a compiler keeps counts as one."""
    sizes: dict[Expr, int] = {}
    for node in walk(root):
        parts = (1 if keeps(arg) else sizes[arg] for arg in node.args)
        sizes[node] = min(_MOST, sum(parts, start=int(bool(node.args))))
    return max(sizes.values())
