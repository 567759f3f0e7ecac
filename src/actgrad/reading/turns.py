"""The ways through the conditions of a generator over a row's numbers, as `v for v in x if v > 0`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

from actgrad.language.expression import Expr, const
from actgrad.language.length import Turn
from actgrad.language.rewrite import build

Decision = tuple[Expr, bool]


class Turns:
    """A row gives the generator one turn for each way, so that what it yields is known for each."""

    def __init__(self) -> None:
        self.length: Turn | None = None
        """Of the row whose numbers it takes."""
        self.count = 1
        self.path: list[Decision] = []
        self.prefix: list[Decision] = []

    def decide(self, condition: Expr) -> bool:
        if condition.op == "const":
            return bool(condition.value)
        if condition.op == "not":
            return not self.decide(condition.args[0])
        for known, answer in self.path:
            if known is condition:
                return answer
        step = len(self.path)
        self.path.append(self.prefix[step] if step < len(self.prefix) else (condition, True))
        return self.path[-1][1]

    def another(self, turn: int) -> bool:
        """Whether an iterator that has had so many turns has one more; of rows that are zipped the first one
        moves on, and the others follow."""
        if turn < self.count:
            return True
        while self.path and not self.path[-1][1]:
            self.path.pop()
        if not self.path:
            return False
        condition, _ = self.path.pop()
        self.prefix = [*self.path, (condition, False)]
        self.path = []
        self.count += 1
        return True

    def taken(self, each: object, length: Turn) -> Iterator[object]:
        """A turn of a row, which stands for each of its numbers, for each way."""
        self.length = self.length or length
        turn = 0
        while turn == 0 or self.another(turn):
            turn += 1
            yield each

    def condition(self) -> Expr:
        """That under which this way is taken."""
        parts = [known if answer else build("not", known) for known, answer in self.path]
        return reduce(lambda a, b: build("and", a, b), parts) if parts else const(True)
