"""`actgrad compare` from beginning to end: tune each activation alike, train, store, tell, draw."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from actgrad.workbench.compare import plots, show
from actgrad.workbench.compare.design import Choice, Design, Try
from actgrad.workbench.compare.engine import Engine
from actgrad.workbench.compare.run import Task
from actgrad.workbench.compare.statistics import best_try, budget
from actgrad.workbench.compare.store import (
    FAILED,
    FILE,
    FINAL,
    TUNE,
    Key,
    Row,
    Store,
    Study,
    read,
    stored,
)
from actgrad.workbench.report import study as report
from actgrad.workbench.terminal import say

PAGE = "report.html"
TUNING_SEED = 1_000_000  # away from the seeds of the final runs
NO_TRY = "no try of the tuning ended well"


def run(design: Design, folder: Path, make_engine: Callable[[], Engine], console: Console) -> Study:
    """Do what is still to do, and tell. Raises `InputError` before anything is written."""
    file = folder / FILE
    done = {row.key for row in stored(file, design)}
    if len(done) < design.size:
        with make_engine() as engine, Store(file, design) as store:
            _work(design, store, done, engine, console)
    study = read(file)
    show.tell(console, study)
    made = [p.name for p in plots.draw(study, folder)]
    pages = report.write(folder, folder / PAGE, console)["pages"]
    made += [PAGE, *([f"{report.pages_folder(Path(PAGE))}/"] if pages else [])]
    say(console, f"In {folder}: {', '.join([FILE, *made])}")
    return study


def _work(design: Design, store: Store, done: set[Key], engine: Engine, console: Console) -> None:
    numbers = itertools.count()
    bars = show.Bars(console, engine, design.size, len(done))
    bars.say(budget(design))
    bars.say(
        f"{design.size} runs, {len(done)} of them stored before; on {engine}. Each finished run is kept: "
        f"stopped, the same command goes on."
    )
    begun, new = time.perf_counter(), []

    def work(tasks: list[Task]) -> None:
        tasks = [t for t in tasks if t.key not in done]
        bars.begin(tasks)
        for row in engine.rows(tasks, lambda text: bars.say(f"! {text}", "yellow")):
            if store.add(row):
                new.append(row)
                bars.ended(row)

    with bars:
        if len(design.tries) > 1:
            work(tuning(design, numbers))
        tasks, hopeless = final(design, store.rows(), numbers)
        for row in hopeless:
            if row.key not in done and store.add(row):
                bars.ended(row)
        work(tasks)
    bars.say(show.overhead(new, begun, engine.workers))


def _task(
    design: Design,
    number: int,
    stage: str,
    choice: Choice,
    place: tuple[str, str],
    one: Try,
    seed: int,
) -> Task:
    network, data = place
    return Task(
        index=number,
        key=Key(stage, choice.label, network, data, one.optimizer, one.rate, seed),
        choice=choice,
        place=data if data == "digits" else str(Path(data).resolve()),
        digest=dict(zip(design.data, design.digests, strict=True))[data],
        epochs=design.epochs,
        batch_size=design.batch_size,
        backend=design.backend,
    )


def tuning(design: Design, numbers: itertools.count[int]) -> list[Task]:
    """The same tries for every activation."""
    return [
        _task(design, next(numbers), TUNE, choice, place, one, TUNING_SEED + seed)
        for seed in range(design.tuning_seeds)
        for place in design.places
        for one in design.tries
        for choice in design.activations
    ]


def final(
    design: Design, rows: list[Row], numbers: itertools.count[int]
) -> tuple[list[Task], list[Row]]:
    """The runs that count, with what tuning chose; and the rows of those for which it chose nothing."""
    tasks, hopeless = [], []
    for seed in range(design.seeds):
        for place in design.places:
            for choice in design.activations:
                where = (choice.label, *place)
                one = design.tries[0] if len(design.tries) == 1 else None
                one = one or best_try(rows, design.tries, where)
                task = _task(
                    design, next(numbers), FINAL, choice, place, one or Try("none", 0.0), seed
                )
                if one is None:
                    causes = [
                        r.cause for r in rows if r.stage == TUNE and r.where == where and r.cause
                    ]
                    hopeless.append(task.row(FAILED, cause=f"{NO_TRY}: {causes[0]}", attempts=0))
                else:
                    tasks.append(task)
    return tasks, hopeless
