"""What the decisions of a run imply for later ones, so that no question is asked twice."""

from __future__ import annotations

import math

from actgrad.language.expression import Expr, const, walk
from actgrad.language.rewrite import build
from actgrad.reading.bounds import Bounds, Trail


class Facts:
    """What the decisions so far imply for later ones.

    A comparison with a constant says that an expression lies below or above a cut of the number
    line, a cut being a number and its left (0) or right (1) side. A False answer does not imply the
    opposite comparison, since both are false for nan.
    """

    def __init__(self) -> None:
        self.answers: dict[Expr, bool] = {}
        self.cuts: dict[tuple[Expr, bool], tuple[float, int]] = {}
        self.denied: dict[tuple[Expr, bool], tuple[float, int]] = {}
        self.ranges: dict[tuple[int, Expr], tuple[float, float]] = {}
        self.trail = Trail()
        self.bounds = Bounds(self.trail)
        self._marks: list[int] = []
        self._mentions: dict[Expr, bool] = {}

    def range_of(self, step: int, value: Expr) -> tuple[float, float]:
        """The bounds of an index after so many decisions: what they were when it was asked first."""
        key = step, value
        if key not in self.ranges:
            self.trail.set(self.ranges, key, self.bounds.of(value))
        return self.ranges[key]

    def rewind(self, decisions: int) -> None:
        """Forget what was learnt after so many decisions."""
        if decisions < len(self._marks):
            self.trail.rewind(self._marks[decisions])
            del self._marks[decisions:]

    def mentions_others(self, expression: Expr, names: frozenset[str]) -> bool:
        """Whether variables besides these stand in it."""
        found = self._mentions
        for node in walk(expression, into=lambda node: () if node in found else node.args):
            if node not in found:
                own = node.op == "var" and node.value not in names
                found[node] = own or any(found[arg] for arg in node.args)
        return found[expression]

    @staticmethod
    def _cut(condition: Expr) -> tuple[Expr, bool, tuple[float, int]] | None:
        if condition.op not in {"lt", "le"}:
            return None
        x, y = condition.args
        strict = condition.op == "lt"
        if y.op == "const":
            return x, True, (float(y.value), 0 if strict else 1)  # type: ignore[arg-type]
        if x.op == "const":
            return y, False, (float(x.value), 1 if strict else 0)  # type: ignore[arg-type]
        return None

    def only_nan(self) -> bool:
        """Whether the answers leave nothing but nan: `x < 0` and `x >= 0` were both denied, say."""
        for subject in {subject for subject, _ in (*self.cuts, *self.denied)}:
            left = [self.denied.get((subject, True)), self.cuts.get((subject, False))]
            right = [self.denied.get((subject, False)), self.cuts.get((subject, True))]
            low = max(filter(None, left), default=(-math.inf, 0))
            high = min(filter(None, right), default=(math.inf, 1))
            point = build("eq", subject, const(low[0]))
            one_number = low[0] == high[0] and self.answers.get(point) is False
            if low >= high or one_number:
                return True
        return False

    def known(self, condition: Expr) -> bool | None:
        if condition in self.answers:
            return self.answers[condition]
        if condition.op in {"lt", "le", "eq"} and self.bounds.denies(condition):
            return False
        cut = self._cut(condition)
        if cut is None:
            return None
        subject, below, at = cut
        same, other = self.cuts.get((subject, below)), self.cuts.get((subject, not below))
        denied = self.denied.get((subject, below))
        if same is not None and (same <= at if below else same >= at):
            return True
        if other is not None and (other >= at if below else other <= at):
            return False
        if denied is not None and (denied >= at if below else denied <= at):
            return False
        return None

    def learn(self, condition: Expr, answer: bool) -> None:
        self._marks.append(self.trail.mark())
        self.trail.set(self.answers, condition, answer)
        if condition.op in {"lt", "le"}:
            self.bounds.learn(condition, answer)
        cut = self._cut(condition)
        if cut is None:
            return
        subject, below, at = cut
        table, tighter = (
            (self.cuts, min if below else max) if answer else (self.denied, max if below else min)
        )
        old = table.get((subject, below))
        self.trail.set(table, (subject, below), at if old is None else tighter(old, at))
