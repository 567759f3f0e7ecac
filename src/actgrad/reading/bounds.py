"""Conservative bounds of an expression, which end a `while` loop on a clipped number.

nan is left out: every comparison with it is false.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, TypeVar

from actgrad.language.expression import Expr, walk

Interval = tuple[float, float]
Key = TypeVar("Key")
Kept = TypeVar("Kept")
EVERYTHING: Interval = (-math.inf, math.inf)

_RANGES: dict[str, Interval] = {
    "sin": (-1.0, 1.0), "cos": (-1.0, 1.0), "tanh": (-1.0, 1.0), "erf": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0), "erfc": (0.0, 2.0), "exp": (0.0, math.inf), "exp2": (0.0, math.inf),
    "cosh": (1.0, math.inf), "sqrt": (0.0, math.inf), "hypot": (0.0, math.inf),
    "softplus": (0.0, math.inf), "expm1": (-1.0, math.inf),
    "asin": (-1.6, 1.6), "acos": (0.0, 3.2), "atan": (-1.6, 1.6), "atan2": (-3.2, 3.2),
}  # fmt: skip
_STEPS: dict[str, Callable[[float], float]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "round": round,
}


class Trail:
    """Entries in tables that can be taken back, to any earlier mark."""

    def __init__(self) -> None:
        self._entries: list[tuple[dict[Any, Any], object, object]] = []

    def mark(self) -> int:
        return len(self._entries)

    def set(self, table: dict[Key, Kept], key: Key, value: Kept) -> None:
        self._entries.append((table, key, table.get(key)))
        table[key] = value

    def rewind(self, mark: int) -> None:
        while len(self._entries) > mark:
            table, key, old = self._entries.pop()
            if old is None:
                del table[key]
            else:
                table[key] = old


class Bounds:
    """The bounds of expressions, each found once; `learn` adds what a decision tells of two."""

    def __init__(self, trail: Trail) -> None:
        self._found: dict[Expr, Interval] = {}
        self._trail = trail

    def of(self, node: Expr) -> Interval:
        if node not in self._found:
            for part in walk(node, into=self._unknown):
                if part not in self._found:
                    self._trail.set(self._found, part, self._bounds(part))
        return self._found[node]

    def _unknown(self, node: Expr) -> tuple[Expr, ...]:
        return () if node in self._found or node.boolean else node.args

    def _bounds(self, node: Expr) -> Interval:
        if node.boolean:
            return EVERYTHING
        if node.op == "const":
            value = float(node.value)  # type: ignore[arg-type]
            return EVERYTHING if math.isnan(value) else (value, value)
        if node.op == "select":
            condition, yes, no = node.args
            return _either(self._where(yes, condition, True), self._where(no, condition, False))
        return _RANGES.get(node.op) or self._arithmetic(node)

    def _where(self, node: Expr, condition: Expr, holds: bool) -> Interval:
        """The bounds of a branch, given the condition under which it is taken."""
        if node in condition.args and condition.op in {"lt", "le"}:
            return _both(self.of(node), self.implied(condition, holds)[condition.args.index(node)])
        return self.of(node)

    def implied(self, comparison: Expr, holds: bool) -> tuple[Interval, Interval]:
        """What `x < y` says of x and of y. That it is false says nothing of one if the other is nan."""
        x, y = comparison.args
        a, b = self.of(x), self.of(y)
        if holds:
            return (-math.inf, b[1]), (a[0], math.inf)
        return (
            (b[0], math.inf) if y.op == "const" else EVERYTHING,
            (-math.inf, a[1]) if x.op == "const" else EVERYTHING,
        )

    def denies(self, comparison: Expr) -> bool:
        """Whether the comparison is false for every number in bounds, and for nan."""
        a, b = map(self.of, comparison.args)
        if comparison.op == "eq":
            return a[0] > b[1] or b[0] > a[1]
        return a[0] >= b[1] if comparison.op == "lt" else a[0] > b[1]

    def learn(self, comparison: Expr, holds: bool) -> None:
        for node, interval in zip(comparison.args, self.implied(comparison, holds), strict=True):
            if interval != EVERYTHING:
                self._trail.set(self._found, node, _both(self.of(node), interval))

    def _arithmetic(self, node: Expr) -> Interval:
        parts = [self.of(arg) for arg in node.args]
        low, high = parts[0] if parts else EVERYTHING
        if node.op == "neg":
            return -high, -low
        if node.op == "abs":
            return max(low, -high, 0.0), max(-low, high)
        if node.op == "gather" and node.args[0].op == "vector":
            values: Any = node.args[0].value
            numbers = [value for value in values if not math.isnan(value)]
            return (min(numbers), max(numbers)) if numbers else EVERYTHING
        if node.op in _STEPS:
            return _stepped(node.op, low), _stepped(node.op, high)
        if node.op == "div" and parts[1][0] <= 0.0 <= parts[1][1]:
            return EVERYTHING
        if node.op in {"add", "sub", "mul", "div"}:
            return _corners(node.op, parts[0], parts[1])
        if node.op == "mod" and node.args[1].op == "const" and math.isfinite(parts[1][0]):
            return min(0.0, parts[1][0]), max(0.0, parts[1][0])
        return parts[0] if node.op == "given" else EVERYTHING


def is_whole(node: Expr) -> bool:
    """Whether the expression is an integer wherever it is a number."""
    if node.op == "const":
        return not node.boolean and float(node.value).is_integer()  # type: ignore[arg-type]
    if node.op == "select":
        return all(map(is_whole, node.args[1:]))
    if node.op in {"add", "sub", "mul", "neg", "abs"}:
        return all(map(is_whole, node.args))
    return node.op in _STEPS or node.op == "floordiv"


def _stepped(op: str, value: float) -> float:
    return float(_STEPS[op](value)) if math.isfinite(value) else value


def _corners(op: str, a: Interval, b: Interval) -> Interval:
    operate = getattr(operator, {"div": "truediv"}.get(op, op))
    ends = [operate(x, y) for x in a for y in b]
    if any(map(math.isnan, ends)):
        return EVERYTHING
    return min(ends), max(ends)


def _both(a: Interval, b: Interval) -> Interval:
    return max(a[0], b[0]), min(a[1], b[1])


def _either(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), max(a[1], b[1])
