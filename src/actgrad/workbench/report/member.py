"""One activation of a comparison: how it did there, and its own page beside the comparison's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from actgrad.common.text import first_line
from actgrad.common.types import Fields
from actgrad.workbench.compare.design import Choice, rebuild
from actgrad.workbench.compare.run import DIED
from actgrad.workbench.compare.statistics import Line
from actgrad.workbench.compare.store import OK, Row, Study
from actgrad.workbench.report import charts, page
from actgrad.workbench.report.bench import bench
from actgrad.workbench.report.code import as_written
from actgrad.workbench.report.one import Comparison, Facts, facts, report
from actgrad.workbench.report.picture import picture
from actgrad.workbench.report.training import Training
from actgrad.workbench.results import spread


@dataclass
class Member:
    """What the page of a comparison says of one activation."""

    label: str
    key: str
    source: object
    facts: Facts | None
    why_not: str
    """Why there are no facts, and no page."""
    rows: list[Row]
    """Its final runs."""


def member(i: int, chosen: Choice, rows: list[Row]) -> Member:
    found, why = None, ""
    try:
        f = rebuild(chosen)
        if f.program.on_host and any(DIED in (row.cause or "") for row in rows):
            why = "its worker died, so it is not called in this process"
        else:
            found = facts(f, prefix=f"a{i}")
    except Exception as error:  # of one activation: the page has the others
        why = first_line(error)
    source = as_written(chosen.source) if chosen.source else None
    return Member(chosen.label, f"activation-{i}", source, found, why, rows)


def own_page(
    one: Member, lines: list[Line], study: Study, back: str, target: str, measure: bool
) -> str:
    """HTML of all that is known of it. `back` is where the comparison's page is."""
    assert one.facts is not None
    f = one.facts.f
    reference = study.design.reference
    title = f"Comparison of {len(study.design.activations)} activations"
    trainings = [
        _training(line, study, f"{one.key}-{i}")
        for i, line in enumerate(x for x in lines if x.activation == one.label)
        if line.n + line.failed
    ]
    speed = bench(f) if measure else None
    comparison = Comparison(back, title, one.label, one.source, reference)
    return report(f, one.facts, speed, trainings, target, comparison)


def _training(line: Line, study: Study, prefix: str) -> Training:
    """On one network and data, beside the reference."""
    names = dict.fromkeys((line.activation, study.design.reference))
    groups = {name: study.finals(name, line.network, line.data) for name in names}
    notes = [f"seed {r.seed}: {r.cause}" for r in groups[line.activation] if r.status != OK]
    pictures = [
        picture(
            charts.curves([groups], field, label),
            f"{prefix}-{field}",
            f"{label.capitalize()} by epoch of {' and '.join(groups)}.",
            f"{label.capitalize()} by epoch: the mean thick, each seed thin, a cross where one failed.",
            size=None,
        )
        for field, label in (("curve", "test accuracy"), ("losses", "training loss"))
    ]
    return Training(
        _said(line, study.design.reference),
        {name: name for name in groups},
        {name: _summary(rows) for name, rows in groups.items()},
        notes,
        pictures,
    )


def _said(line: Line, reference: str) -> str:
    """Where, how it was tuned, and what the difference is worth."""
    seeds = line.n + line.failed
    text = (
        f"{line.network} on {Path(line.data).name}, {seeds} seed{'s' * (seeds > 1)}, {line.chosen}"
    )
    if line.difference is None:
        return text
    text += f": {page.points(line.difference)} points beside {reference}, seed by seed"
    if line.difference_low is None:
        return text
    low, high = page.points(line.difference_low), page.points(line.difference_high)
    p = f", p {page.number(line.p_holm, 2)} by Holm" if line.p_holm is not None else ""
    return f"{text} (95 % interval {low} to {high}{p})"


def _summary(rows: list[Row]) -> Fields:
    """As `results.summary`, of rows."""
    whole = [row for row in rows if row.status == OK]
    return {
        "runs": len(rows),
        "broke": len(rows) - len(whole),
        "accuracy": spread([row.accuracy for row in whole if row.accuracy is not None]),
        "loss": spread([row.loss for row in whole if row.loss is not None]),
        "seconds_per_epoch": spread([row.seconds / len(row.losses) for row in whole if row.losses]),
    }


def file_names(labels: list[str]) -> list[str]:
    """A file for each, of letters that every system takes, each once whatever the case."""
    found: list[str] = []
    for label in labels:
        name = stem = re.sub(r"[^\w.+-]+", "_", label).strip("_.") or "activation"
        number = 1
        while f"{name}.html".casefold() in {other.casefold() for other in found}:
            number += 1
            name = f"{stem}-{number}"
        found.append(f"{name}.html")
    return found
