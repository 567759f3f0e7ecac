"""The drawings of a comparison: what each activation reached, and how it got there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from actgrad.common.types import Fields
from actgrad.study.forecast import whole_numbers
from actgrad.study.plots import legend_below, new_figure, plain
from actgrad.workbench.compare.statistics import Line
from actgrad.workbench.compare.store import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# As in picture.py. Each has its own dashes too, so that nothing is told by colour alone.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))


def style(i: int) -> Fields:
    return {"color": COLOURS[i % 4], "linestyle": DASHES[(i + i // 4) % 4]}


WIDTH = 5.4  # inches


def ranking(places: list[list[Line]]) -> Figure:
    """For each place a drawing with a row for each activation, best first: its seeds as points, its mean
    with the interval."""
    figure, drawings = _axes(len(places), 1.1 + 0.5 * max(map(len, places)))
    for axes, lines in zip(drawings, places, strict=True):
        _ranking(axes, lines)
    return figure


def _ranking(axes: Axes, lines: list[Line]) -> None:
    places = range(len(lines) - 1, -1, -1)
    for y, line in zip(places, lines, strict=True):
        seeds = list(line.values.values())
        axes.plot(
            seeds, _spread(len(seeds), y - 0.27), "o", ms=4.5, mfc="none", mec="#777777", zorder=2
        )
        if line.mean is None:
            where = axes.get_yaxis_transform()  # beside the axis, wherever the others are
            axes.text(0.02, y, "every run failed", transform=where, va="center", fontsize=9.5)
            continue
        colour = "#777777" if line.is_reference else "#0072B2"
        if line.low is not None and line.high is not None:
            axes.plot([line.low, line.high], [y, y], color=colour, lw=3, zorder=3)
        axes.plot(line.mean, y, "o", ms=9, mfc=colour, mec="#ffffff", mew=1.2, zorder=4)
        if line.is_reference:
            axes.axvline(line.mean, color="#888888", lw=1, ls=(0, (2, 2)), zorder=1)
    axes.set_yticks(list(places), [line.activation for line in lines])
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_xlabel("test accuracy")
    axes.set_xlim(right=_top(axes.get_xlim()))
    axes.xaxis.set_major_formatter(_percent())
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def curves(places: list[dict[str, list[Row]]], field: str, label: str) -> Figure:
    """For each place the rows of each activation by epoch: the mean over the seeds that came to an end as a
    line, each seed thin, a cross where one failed."""
    names = [_named(name, rows) for place in places for name, rows in place.items()]
    columns = max(1, min(3, int(WIDTH / (0.6 + 0.08 * max(map(len, names))))))
    figure, drawings = _axes(len(places), 3.3 + 0.22 * math.ceil(len(places[0]) / columns))
    for axes, place in zip(drawings, places, strict=True):
        _curves(axes, place, field, label)
        handles, labels = axes.get_legend_handles_labels()
        legend_below(axes, handles, labels, 0.18, columns, fontsize=9.5)
    return figure


def _named(name: str, rows: list[Row]) -> str:
    return name if any(row.status == "ok" for row in rows) else f"{name}: every run failed"


def _curves(axes: Axes, place: dict[str, list[Row]], field: str, label: str) -> None:
    for i, (name, rows) in enumerate(place.items()):
        look = style(i)
        whole = []
        for row in rows:
            y = np.array(getattr(row, field), dtype=float)  # None is nan
            known = np.flatnonzero(np.isfinite(y))
            axes.plot(np.arange(1, len(y) + 1), y, color=look["color"], lw=0.7, alpha=0.4)
            if row.status == "ok":
                whole.append(y)
            elif len(known):
                last = known[-1]
                axes.plot(last + 1, y[last], "x", color=look["color"], ms=8, mew=1.8, zorder=5)
        if whole:
            middle = np.mean([y[: min(map(len, whole))] for y in whole], axis=0)
            marker = "o" if len(middle) == 1 else None
            axes.plot(
                np.arange(1, len(middle) + 1), middle, lw=2.2, label=name, marker=marker, **look
            )
        else:
            axes.plot([], [], "x", color=look["color"], label=_named(name, rows))
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(whole_numbers())
    if field == "curve":
        axes.set_ylim(top=_top(axes.get_ylim()))
        axes.yaxis.set_major_formatter(_percent())


def _top(limits: tuple[float, float]) -> float:
    """Where an axis of accuracies ends: there is none above 100 %."""
    low, high = limits
    return min(high, 1 + 0.05 * (1 - low))


def _spread(count: int, y: float) -> list[float]:
    """Points of equal value beside each other instead of upon each other."""
    return [y] if count == 1 else (y + np.linspace(-0.08, 0.08, count)).tolist()


def _axes(count: int, height: float) -> tuple[Figure, list[Axes]]:
    figure = new_figure(WIDTH * count, height)
    drawings = list(figure.subplots(1, count, squeeze=False)[0])
    for axes in drawings:
        plain(axes)
    return figure, drawings


def _percent() -> object:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0)
