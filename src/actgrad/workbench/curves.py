"""The picture of a training: loss and accuracy, epoch by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from actgrad.study.forecast import whole_numbers
from actgrad.study.plots import new_figure, plain, save
from actgrad.workbench.train import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"own": "#0072B2", "relu": "#777777"}


def draw(path: Path, runs: dict[str, list[Run]], title: str) -> None:
    save(figure(runs, title), path, dpi=130)


def figure(runs: dict[str, list[Run]], title: str) -> Figure:
    """Test data as a full line, training data dashed, the seeds' range as a band, a cross where one broke."""
    from matplotlib.ticker import PercentFormatter

    drawn = new_figure(10, 4.2)
    left, right = drawn.subplots(1, 2)
    for axes, key, label in ((left, "loss", "loss"), (right, "accuracy", "accuracy")):
        for who, group in runs.items():
            _lines(axes, group, key, COLOURS[who])
        axes.set_xlabel("epoch")
        axes.set_title(label, loc="left", fontsize=11)
        axes.xaxis.set_major_locator(whole_numbers())
        plain(axes)
    if _is_wide(runs):
        left.set_yscale("log")
    else:
        left.set_ylim(bottom=0)
    low, _ = right.get_ylim()
    right.set_ylim(low if low > 0.3 else 0.0, 1.01)
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    right.legend(*right.get_legend_handles_labels(), frameon=False, loc="best", fontsize=9)
    seeds = len(next(iter(runs.values())))
    many = f" (mean and range of {seeds} seeds)" if seeds > 1 else ""
    drawn.suptitle(title + many, fontsize=12)
    return drawn


def _is_wide(runs: dict[str, list[Run]]) -> bool:
    """Whether the losses differ so much that only a logarithmic axis shows them."""
    rows = [row for group in runs.values() for run in group for row in run.history]
    losses = np.array([row["loss"] for row in rows])
    losses = losses[np.isfinite(losses)]
    return bool(len(losses)) and losses.min() > 0 and losses.max() > 200 * losses.min()


def _lines(axes: Axes, group: list[Run], key: str, colour: str) -> None:
    pad = max(len(run.history) for run in group)
    for part, style, alpha in (("train_", "--", 0.6), ("", "-", 1.0)):
        table = np.full((len(group), pad), np.nan)
        for i, run in enumerate(group):
            table[i, : len(run.history)] = [row[part + key] for row in run.history]
            if run.broke is not None:
                table[i, run.broke["epoch"] - 1] = np.nan
        count = np.isfinite(table).sum(axis=0)
        epochs = np.arange(1, pad + 1)[count > 0]
        table = table[:, count > 0]
        if not len(epochs):
            continue
        label = f"{group[0].name}, {'training' if part else 'test'}"
        marker = "o" if len(epochs) == 1 else None
        middle = np.nanmean(table, axis=0)
        axes.plot(epochs, middle, style, color=colour, alpha=alpha, label=label, marker=marker)
        if not part and len(group) > 1:
            low, high = np.nanmin(table, axis=0), np.nanmax(table, axis=0)
            axes.fill_between(epochs, low, high, color=colour, alpha=0.15, lw=0)
    for run in group:
        if run.broke is not None:
            epoch = run.broke["epoch"]
            before = run.history[epoch - 2][key] if epoch > 1 else 0.0
            first = run is next(r for r in group if r.broke)
            label = f"{run.name}: became nan" if first else "_"
            look = {"color": colour, "ms": 9, "mew": 2, "clip_on": False}
            axes.plot(epoch, before, "x", label=label, **look)
