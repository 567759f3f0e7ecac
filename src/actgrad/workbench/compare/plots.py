"""The pictures of a comparison, as on its page: seeds as points with intervals, and learning curves."""

from __future__ import annotations

from pathlib import Path

from actgrad.study.plots import save
from actgrad.workbench.compare.statistics import by_place, summarise
from actgrad.workbench.compare.store import Study
from actgrad.workbench.report import charts

SEEDS, CURVES = "seeds.png", "curves.png"


def draw(study: Study, folder: Path) -> list[Path]:
    """Writes both pictures, and returns their paths."""
    ranked = by_place(summarise(study))
    rows = [
        {x.activation: study.finals(x.activation, *place) for x in some}
        for place, some in ranked.items()
    ]
    made = []
    for name, figure in (
        (SEEDS, charts.ranking([*ranked.values()])),
        (CURVES, charts.curves(rows, "curve", "test accuracy")),
    ):
        for axes, (network, data) in zip(figure.axes, ranked, strict=True):
            axes.set_title(f"{network} on {Path(data).name}", loc="left")
        save(figure, folder / name, dpi=130)
        made.append(folder / name)
    return made
