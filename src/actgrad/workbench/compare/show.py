"""A comparison in the terminal: how far it is, and the table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from actgrad.common.text import percent
from actgrad.common.types import Fields
from actgrad.workbench.compare.engine import Engine
from actgrad.workbench.compare.run import Task
from actgrad.workbench.compare.statistics import Line, budget, by_place, failures, summarise
from actgrad.workbench.compare.store import OK, TUNE, Key, Row, Study
from actgrad.workbench.terminal import say

MARK = 0.05


class Bars:
    """The whole, and each run that is at work. In a file: a line for each run that has ended."""

    def __init__(self, console: Console, engine: Engine, total: int, done: int) -> None:
        self.console, self.engine, self.done, self.total = console, engine, done, total
        self.tasks: dict[int, Task] = {}
        self.whole = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
        )
        self.bar = self.whole.add_task("runs", total=total, completed=done)
        self.live = Live(get_renderable=self._view, console=console, refresh_per_second=4)

    def __enter__(self) -> Bars:
        if self.console.is_terminal:
            self.live.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        if self.console.is_terminal:
            self.live.__exit__(*details)

    def begin(self, tasks: Iterable[Task]) -> None:
        self.tasks = {t.index: t for t in tasks}

    def _view(self) -> Group:
        lines = [
            Text(
                f"  {_of(task.key)}: epoch {epochs + 1 if epochs < task.epochs else epochs} of {task.epochs}"
            )
            for index, epochs in self.engine.progress().items()
            if (task := self.tasks.get(index))
        ]
        return Group(self.whole, *lines)

    def ended(self, row: Row) -> None:
        self.done += 1
        self.whole.update(self.bar, completed=self.done)
        if row.status != OK:
            self.say(f"! {_of(row.key)}: {row.cause}", "yellow")
        elif not self.console.is_terminal:
            self.say(
                f"{self.done}/{self.total} {_of(row.key)}: {percent(row.accuracy, 2)}, {row.seconds:.1f} s"
            )

    def say(self, text: str, style: str | None = None) -> None:
        say(self.console, text, style)


def _of(key: Key) -> str:
    tuning = "tuning " if key.stage == TUNE else ""
    how = f"{key.optimizer} {key.rate:g}, seed {key.seed}"
    return f"{tuning}{key.activation}, {key.network}, {key.data}, {how}"


def tell(console: Console, study: Study) -> None:
    """The table, the budget, and what failed."""
    lines = summarise(study)
    for (network, data), some in by_place(lines).items():
        console.print(table(some, f"{network} on {data}"))

    tests = sum(line.p is not None for line in lines)
    say(
        console,
        f"Test accuracy after the last epoch: mean ± 95 % interval. Differences are in points, paired by "
        f"seed, minus {study.design.reference}; p is of the paired t-test, corrected by Holm for {tests} "
        f"tests.",
    )
    say(console, budget(study.design))
    for (activation, network, data, cause), rows in failures(study).items():
        what = "1 run" if len(rows) == 1 else f"{len(rows)} runs"
        say(console, f"! {activation}, {network}, {data}: {what} failed: {cause}", "yellow")


def table(lines: list[Line], title: str) -> Table:
    found = Table(title=title, title_justify="left")
    for name, justify in (
        ("activation", "left"), ("accuracy %", "right"), ("runs", "right"), ("difference", "right"),
        ("p", "right"), ("trained with", "left"),
    ):  # fmt: skip
        found.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for line in lines:
        runs = f"{line.n}" if not line.failed else f"{line.n}, {line.failed} failed"
        difference = _around(line.difference, line.difference_high, "+")
        found.add_row(
            Text(line.activation),
            _around(line.mean, line.high),
            runs,
            "reference" if line.is_reference else difference,
            _p(line.p_holm),
            line.chosen,
        )
    return found


def _number(value: float | None, sign: str = "") -> str:
    return f"{100 * value:{sign}.2f}" if value is not None else "–"


def _around(mean: float | None, high: float | None, sign: str = "") -> str:
    """The mean and half of its interval, which is symmetric."""
    half = f" ± {_number(high - mean)}" if mean is not None and high is not None else ""
    return _number(mean, sign) + half


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return f"{'< 0.001' if p < 0.001 else f'{p:.3f}'}{' *' if p < MARK else ''}"


def results(study: Study) -> Fields:
    """Everything that the table says, for a program."""
    return {
        "study": str(study.path),
        "budget": budget(study.design),
        "reference": study.design.reference,
        "runs": len(study.rows),
        "summary": [asdict(line) for line in summarise(study)],
        "failures": [
            {"activation": a, "network": n, "data": d, "cause": c, "runs": len(rows)}
            for (a, n, d, c), rows in failures(study).items()
        ],
    }


def overhead(rows: list[Row], begun: float, workers: int) -> str:
    """What was not training: of the time that all workers had, the part in which none was at work."""
    wall = time.perf_counter() - begun
    training = sum(row.seconds for row in rows)
    if not rows or training <= 0:
        return ""
    share = wall * workers / training - 1
    return (
        f"{len(rows)} runs in {wall:.1f} s on {workers} workers; {training:.1f} s of training; beside it "
        f"{percent(share)}, {1000 * (wall * workers - training) / len(rows):.0f} ms a run"
    )
