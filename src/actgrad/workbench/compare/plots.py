"""The pictures of a comparison, as on its page: seeds as points with intervals, and learning curves."""

from __future__ import annotations

from pathlib import Path

from actgrad.common.files import atomically
from actgrad.workbench.compare.statistics import summarise
from actgrad.workbench.compare.store import Study
from actgrad.workbench.report import charts

SEEDS, CURVES = "seeds.png", "curves.png"


def draw(study: Study, folder: Path) -> list[Path]:
    """Writes both pictures, and returns their paths."""
    lines = summarise(study)
    places = [(n, d) for d in study.design["data"] for n in study.design["networks"]]
    ranked = [[x for x in lines if (x.network, x.data) == place] for place in places]
    rows = [
        {x.activation: study.finals(x.activation, *place) for x in some}
        for place, some in zip(places, ranked, strict=True)
    ]
    made = []
    for name, figure in (
        (SEEDS, charts.ranking(ranked)),
        (CURVES, charts.curves(rows, "curve", "test accuracy")),
    ):
        for axes, (network, data) in zip(figure.axes, places, strict=True):
            axes.set_title(f"{network} on {Path(data).name}", loc="left")
        with atomically(folder / name) as temporary:
            figure.savefig(temporary, dpi=130, format="png")
        made.append(folder / name)
    return made
