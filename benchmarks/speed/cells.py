"""What a section says: one cell of its table."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from actgrad.workbench.timing import Ratio, Run, in_turns, wall

HOLDS, NEAR, OVER = "✓", "~", "✗"


@dataclass(frozen=True)
class Cell:
    labels: tuple[str, ...]
    """The row, one label for each of the section's HEADS"""
    column: str
    text: str
    verdict: str = ""
    """One of the three; nothing where there is no bar"""


def ratio_cell(labels: tuple[str, ...], column: str, found: Ratio, bar: float | None) -> Cell:
    ratio, low, high = (
        f"{x:.2f}" if x >= 0.1 else f"{x:.1g}" for x in (found.ratio, found.low, found.high)
    )
    text = f"{ratio} ({low} to {high}; {found.runs})"
    if bar is None:
        return Cell(labels, column, text)
    verdict = HOLDS if found.ratio <= bar else NEAR if found.low <= bar else OVER
    return Cell(labels, column, f"{text} / {bar:g}", verdict)


def compared(
    labels: tuple[str, ...],
    column: str,
    ours: Callable[[], Any],
    other: Callable[[], Any],
    bar: float | None,
    quick: bool,
    seconds: float = 0.8,
    milliseconds: Callable[[Run], float] = wall,
) -> Cell:
    """Both timed in turns for so long, at least five times; with `quick` three times."""
    ratio = in_turns(ours, other, 3 if quick else 1000, seconds, milliseconds)
    return ratio_cell(labels, column, ratio, bar)


def forget_compiled() -> None:
    """torch.compile gives up a function after some recompilations: each pair begins anew."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch._dynamo.reset()


def limit_cell(labels: tuple[str, ...], column: str, number: float, unit: str, bar: float) -> Cell:
    return Cell(labels, column, f"{number:.3g} {unit} / {bar:g} {unit}", within(number, bar))


def within(number: float, bar: float) -> str:
    return HOLDS if number <= bar else OVER


def size_column(size: int) -> str:
    return f"n = {size:,}"
