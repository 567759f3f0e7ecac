"""What Python's functions take from a generator over a row's numbers: `sum(v for v in x if v > 0)`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

from actgrad.reading.libraries.meanings import logical_or, where
from actgrad.reading.reader import active
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, number, truth
from actgrad.reading.turns import Turns


def listed(source: Iterator[object]) -> list[object]:
    """The items. Those of a row are one, chosen for each number by the generator's conditions; it is masked
    where they leave numbers out."""
    current = active()
    if current is None or not current.rows:
        return [*source]
    turns = Turns()
    current.turns.append(turns)
    try:
        found = [(turns.condition(), item) for item in source]
    finally:
        current.turns.pop()
    length, conditions = turns.length, [Symbol(condition, turns.length) for condition, _ in found]
    items = [item for _, item in found]
    if length is None or len(items) > turns.count or not items:
        if turns.count > 1:
            refuse(
                "a generator that makes several items, or none, of each number of the row",
                "Make one of each: `sum(max(v, 0.0) for v in x)`.",
            )
        return items
    chosen = items[-1]
    for condition, item in zip(reversed(conditions[:-1]), reversed(items[:-1]), strict=True):
        chosen = where(condition, item, chosen)
    mask = truth(reduce(logical_or, conditions)).expr if len(items) < turns.count else None
    return [Symbol(number(chosen).expr, getattr(chosen, "form", None) or length, mask)]
