"""What the differences of a comparison are worth: means, intervals, paired tests over the seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from actgrad.workbench.compare.design import Design, Try
from actgrad.workbench.compare.store import OK, TUNE, Row, Study

LEVEL = 0.95


@dataclass(frozen=True)
class Line:
    """An activation on one network and data: its final runs, and how they differ from the reference's."""

    activation: str
    network: str
    data: str
    is_reference: bool
    chosen: str
    """The optimiser and the rate of the final runs."""
    n: int
    """Final runs that ended well."""
    failed: int
    values: dict[int, float]
    """Test accuracy by seed."""
    mean: float | None
    low: float | None
    high: float | None
    """Of the mean: Student's 95 % interval; None for fewer than two runs."""
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    """Minus the reference, seed by seed, over the seeds that both have."""
    p: float | None = None
    """Of the paired t-test that the difference is zero; None where it cannot be said."""
    p_holm: float | None = None
    """Corrected by Holm for all the tests of the comparison."""


def interval(values: list[float]) -> tuple[float | None, float | None, float | None]:
    """Mean, and Student's interval around it."""
    if not values:
        return None, None, None
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    from scipy.stats import t

    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return mean, mean - half, mean + half


def paired(differences: list[float]) -> float | None:
    """Student's paired test, two-sided. None if all differences are equal and not zero, or too few."""
    n = len(differences)
    if n < 2:
        return None
    mean, deviation = float(np.mean(differences)), float(np.std(differences, ddof=1))
    if deviation <= 1e-12:
        return 1.0 if abs(mean) <= 1e-12 else None
    from scipy.stats import t

    return float(2 * t.sf(abs(mean) / (deviation / math.sqrt(n)), n - 1))


def holm(values: list[float | None]) -> list[float | None]:
    """Holm's correction of those that are there: no more than 5 % of false alarms in all."""
    order = sorted((p, i) for i, p in enumerate(values) if p is not None)
    found: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (p, i) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        found[i] = largest
    return found


def best_try(rows: list[Row], tries: list[Try], where: tuple[str, str, str]) -> Try | None:
    """The try with the best mean validation accuracy; the first of equals. One that failed is out."""
    scores: list[float] = []
    for one in tries:
        own = [
            r
            for r in rows
            if r.stage == TUNE
            and r.where == where
            and (r.optimizer, r.rate) == (one.optimizer, one.rate)
        ]
        fine = bool(own) and all(r.status == OK and r.accuracy is not None for r in own)
        scores.append(float(np.mean([r.accuracy for r in own])) if fine else -math.inf)
    best = max(scores)
    return tries[scores.index(best)] if math.isfinite(best) else None


def summarise(study: Study) -> list[Line]:
    """One line for each activation, network and data, best first in each place. Needs no training."""
    design = study.design
    lines = []
    for network, data in design.places:
        found = [_line(study, a.label, network, data) for a in design.activations]
        reference = next(line for line in found if line.is_reference)
        found = [_against(line, reference) for line in found]
        lines += sorted(found, key=lambda line: math.inf if line.mean is None else -line.mean)
    corrected = holm([line.p for line in lines])
    return [replace(line, p_holm=p) for line, p in zip(lines, corrected, strict=True)]


def by_place(lines: list[Line]) -> dict[tuple[str, str], list[Line]]:
    """The lines of each network and data, in their order."""
    found: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        found.setdefault((line.network, line.data), []).append(line)
    return found


def _line(study: Study, label: str, network: str, data: str) -> Line:
    own = study.finals(label, network, data)
    values = {
        r.seed: r.accuracy
        for r in sorted(own, key=lambda r: r.seed)
        if r.status == OK and r.accuracy is not None
    }
    mean, low, high = interval(list(values.values()))
    return Line(
        activation=label,
        network=network,
        data=data,
        is_reference=label == study.design.reference,
        chosen=str(Try(own[0].optimizer, own[0].rate)) if own and own[0].rate else "",
        n=len(values),
        failed=sum(r.status != OK for r in own),
        values=values,
        mean=mean,
        low=low,
        high=high,
    )


def _against(line: Line, reference: Line) -> Line:
    if line.is_reference:
        return line
    both = [line.values[s] - reference.values[s] for s in line.values if s in reference.values]
    mean, low, high = interval(both)
    return replace(line, difference=mean, difference_low=low, difference_high=high, p=paired(both))


def budget(design: Design) -> str:
    """The tuning that each activation had, in a sentence."""
    tries = list(map(str, design.tries))
    if len(tries) == 1:
        return f"No tuning: every activation trains with {tries[0]}."
    seeds = design.tuning_seeds
    each = "1 seed" if seeds == 1 else f"{seeds} seeds"
    return (
        f"Equal tuning: each activation, on each network and data, had {len(tries)} tries "
        f"({', '.join(tries)}), {each} each, {design.epochs} epochs, judged on a fifth of the training "
        f"data."
    )


def failures(study: Study) -> dict[tuple[str, str, str, str], list[Row]]:
    """The runs that failed, by activation, network, data and cause."""
    found: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in study.rows:
        if row.status != OK:
            found.setdefault((*row.where, row.cause or ""), []).append(row)
    return found
