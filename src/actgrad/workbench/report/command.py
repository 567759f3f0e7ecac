"""`actgrad report`, from beginning to end: first all that can be refused, then the work, then the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from actgrad.common.files import write_text
from actgrad.common.types import Fields
from actgrad.errors import InputError
from actgrad.workbench.load import load
from actgrad.workbench.report import page


def one(
    target: str,
    output: Path,
    folder: Path | None,
    train: bool,
    measure: bool,
    console: Console,
    warn: Callable[[str], None],
) -> Fields:
    """Writes the page of one activation. Returns what a program wants to know of it."""
    if folder and train:
        raise InputError(
            "--training shows a run that there is, --train makes one: give one of them"
        )
    page.check_output(output)
    warned: list[str] = []

    def keep(text: str) -> None:
        warned.append(text)
        warn(text)

    f = load(target, keep)
    from actgrad.workbench.report import training as trainings
    from actgrad.workbench.report.bench import bench
    from actgrad.workbench.report.one import facts, report

    training = trainings.read(folder, f) if folder else None
    found = facts(f, warned=warned)
    speed = bench(f) if measure else None
    if train:
        training = trainings.short(f, console)
    write_text(output, report(f, found, speed, [training] if training else [], target))
    return {
        "activation": f.name,
        "report": str(output),
        "verdict": found.check.verdict if found.check is not None else None,
        "warnings": found.warnings,
        "left_out": found.left_out,
        "bench": [asdict(row) for row in speed.rows] if speed else None,
    }
