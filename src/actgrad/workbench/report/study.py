"""`actgrad report STUDY`: a whole comparison on one page, and a page for each activation beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.markup import escape

from actgrad.common.files import write_text
from actgrad.common.text import percent
from actgrad.common.types import Fields
from actgrad.errors import InputError
from actgrad.workbench.compare import statistics, store
from actgrad.workbench.report import charts, page
from actgrad.workbench.report.member import file_names, member, own_page
from actgrad.workbench.report.picture import Picture, picture


@dataclass
class Ranking:
    """One network on one data set: the ranking there."""

    network: str
    data: str
    key: str
    title: str
    lines: list[statistics.Line]
    pictures: list[Picture]
    """The ranking, then curves."""

    @property
    def ranks(self) -> list[int | None]:
        """The place of each line; equal as shown, they share one."""
        shown = [None if x.mean is None else percent(x.mean, 2) for x in self.lines]
        return [None if text is None else shown.index(text) + 1 for text in shown]


def _check_output(output: Path) -> None:
    """As `page.check_output`, for the folder of the activations' pages too."""
    page.check_output(output)
    folder = pages_folder(output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output {output}: the pages of the activations go in {folder}, a file")


def pages_folder(output: Path) -> Path:
    """`report.html` has them in `report`."""
    return output.with_suffix("")


def write(path: Path, output: Path, console: Console, measure: bool = False) -> Fields:
    """Raises `InputError` for what is no comparison, before anything is written."""
    _check_output(output)
    found = store.read(path)
    final = [row for row in found.rows if row.stage == store.FINAL]
    if not final:
        raise InputError(
            f"{path}: no run has been finished in this comparison\n  `actgrad compare` goes on with it"
        )
    lines = statistics.summarise(found)
    failed = [row for row in found.rows if row.status == store.FAILED]
    places = _places(found, lines)
    activations = found.design.activations
    files = file_names([chosen.label for chosen in activations])
    folder, back = pages_folder(output), quote(f"../{output.name}")
    members, pages = [], {}
    for i, (chosen, file) in enumerate(zip(activations, files, strict=True)):
        with console.status(f"The page of {escape(chosen.label)}"):
            one = member(i, chosen, [row for row in final if row.activation == chosen.label])
            members.append(one)
            if one.facts is not None:
                text = own_page(one, lines, found, back, str(path), measure)
                folder.mkdir(exist_ok=True)
                write_text(folder / file, text)
                pages[one.label] = folder / file
    write_text(
        output,
        page.render(
            "study.html",
            design=found.design,
            budget=statistics.budget(found.design),
            places=places,
            failed=failed,
            causes=Counter(row.cause or "unknown" for row in failed),
            ones=members,
            pages={label: quote(f"{folder.name}/{file.name}") for label, file in pages.items()},
            runs=len(final),
            tuning=sum(row.stage == store.TUNE for row in found.rows),
            took=_time(sum(row.seconds for row in found.rows)),
            with_versions=final[0].versions,
            target=path,
        ),
    )
    return {
        "study": str(path),
        "report": str(output),
        "pages": {label: str(file) for label, file in pages.items()},
        "runs": len(final),
        "failed": len([row for row in final if row.status == store.FAILED]),
        "ranking": [
            {"network": p.network, "data": p.data, "activations": [x.activation for x in p.lines]}
            for p in places
        ],
    }


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"


def _places(study: store.Study, lines: list[statistics.Line]) -> list[Ranking]:
    found = []
    for i, ((network, data), here) in enumerate(statistics.by_place(lines).items()):
        runs = {x.activation: study.finals(x.activation, network, data) for x in here}
        pictures = _pictures(here, runs, f"p{i}")
        title = f"{network} on {Path(data).name}"
        found.append(Ranking(network, data, f"place-{i}", title, here, pictures))
    return found


def _pictures(
    lines: list[statistics.Line], runs: dict[str, list[store.Row]], prefix: str
) -> list[Picture]:
    reached = "; ".join(f"{x.activation} {percent(x.mean)}" for x in lines)
    return [
        picture(
            charts.ranking([lines]),
            f"{prefix}-ranking",
            f"Mean test accuracy, best first: {reached}.",
            "Each ring is a seed, the dot their mean, the bar its 95 % confidence interval; "
            "grey and dotted is the reference.",
            size=None,
        ),
        picture(
            charts.curves([runs], "curve", "test accuracy"),
            f"{prefix}-accuracy",
            f"Test accuracy by epoch of {len(runs)} activations. At the end: {reached}.",
            "Test accuracy by epoch: the mean thick, each seed thin, a cross where one failed.",
            size=None,
        ),
        picture(
            charts.curves([runs], "losses", "training loss"),
            f"{prefix}-loss",
            f"Training loss by epoch of {', '.join(runs)}.",
            "Training loss by epoch, likewise.",
            size=None,
        ),
    ]
