"""The pictures of a comparison: seeds as points with intervals, and learning curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from actgrad.workbench.compare.statistics import Line, summarise
from actgrad.workbench.compare.store import FINAL, OK, Study
from actgrad.workbench.folder import atomically

SEEDS, CURVES = "seeds.png", "curves.png"


def draw(study: Study, folder: Path) -> list[Path]:
    """Writes both pictures, and returns their paths."""
    from matplotlib.figure import Figure

    lines = summarise(study)
    places = [(n, d) for d in study.design["data"] for n in study.design["networks"]]
    made = []
    for name, one in ((SEEDS, _seeds), (CURVES, _curves)):
        figure = Figure(figsize=(6 * len(places), 4.5), layout="constrained")
        axes = figure.subplots(1, len(places), squeeze=False)[0]
        for ax, (network, data) in zip(axes, places, strict=True):
            one(ax, study, [x for x in lines if (x.network, x.data) == (network, data)])
            ax.set_title(f"{network} on {Path(data).name}")
        with atomically(folder / name) as temporary:
            figure.savefig(temporary, dpi=120)
        made.append(folder / name)
    return made


def _seeds(ax: Any, study: Study, lines: list[Line]) -> None:
    for y, line in enumerate(reversed(lines)):
        values = 100 * np.array(list(line.values.values()))
        ax.plot(values, np.full(len(values), y), "o", alpha=0.4, color="C0", markersize=5)
        if line.mean is not None:
            low = line.mean if line.low is None else line.low
            high = line.mean if line.high is None else line.high
            ax.plot([100 * low, 100 * high], [y, y], color="C3", linewidth=2)
            ax.plot([100 * line.mean], [y], "|", color="C3", markersize=14, markeredgewidth=2)
    ax.set_yticks(range(len(lines)), [line.activation for line in reversed(lines)])
    ax.set_xlabel("test accuracy (%): seeds, mean, 95 % interval")


def _curves(ax: Any, study: Study, lines: list[Line]) -> None:
    for line in lines:
        own = [
            row.curve
            for row in study.rows
            if row.stage == FINAL
            and row.status == OK
            and (row.activation, row.network, row.data)
            == (line.activation, line.network, line.data)
        ]
        if own:
            curve = 100 * np.mean(own, axis=0)
            marker = "o" if len(curve) == 1 else ""
            ax.plot(range(1, len(curve) + 1), curve, marker=marker, label=line.activation)
    ax.set_xlabel("epoch")
    ax.set_ylabel("test accuracy (%), mean over seeds")
    if ax.get_legend_handles_labels()[0]:
        ax.legend()
