"""The curves of an `actgrad train` run, read back from its folder, or of a short one made for the page."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from actgrad.activation import Activation
from actgrad.common.text import percent
from actgrad.common.types import Fields
from actgrad.errors import InputError
from actgrad.workbench import curves
from actgrad.workbench.folder import RESULTS
from actgrad.workbench.report.page import number
from actgrad.workbench.report.picture import Picture, panels, picture
from actgrad.workbench.results import summary
from actgrad.workbench.train import Options, Run

SHORT = Options("mlp", epochs=6, seeds=2, batch_size=32, learning_rate=1e-3)


@dataclass(frozen=True)
class Training:
    title: str
    names: dict[str, str]
    summary: dict[str, Fields]
    notes: list[str]
    pictures: list[Picture]


def short(f: Activation, console: Console) -> Training:
    """On the digits that come with scikit-learn: seconds, not an experiment."""
    from actgrad.workbench import job

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        job.run(f, "digits", SHORT, path, console)
        return read(path, f)


def read(folder: Path, f: Activation) -> Training:
    """Raises `InputError` for a folder without a finished training, and for one of another activation."""
    found = _json(folder)
    try:
        settings, options = found["settings"], found["options"]
        runs: dict[str, list[Run]] = {"own": [], "relu": []}
        for row in found["runs"]:
            for entry in row["history"]:
                entry.update({k: float("nan") for k, v in entry.items() if v is None})
            runs[row["who"]].append(Run(**row))
        if not all(runs.values()) or not all(run.history for g in runs.values() for run in g):
            raise ValueError("no runs")
        title = (
            f"{options['network']} on {settings['data']}, "
            f"{options['epochs']} epoch{'s' * (options['epochs'] != 1)}, "
            f"{options['seeds']} seed{'s' * (options['seeds'] != 1)}, Adam at "
            f"{number(options['learning_rate'])}, Keras on {settings['backend']}"
        )
        notes = [str(note) for note in found["notes"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"--training {folder}: {RESULTS} is not what `actgrad train` writes ({error})"
        ) from error
    own = settings["activation"]
    trained = own.get("name") if isinstance(own, dict) else None
    if trained not in (None, f.name):
        raise InputError(
            f"--training {folder}: it trained {trained!r}, and the report is of {f.name!r}\n"
            f"  actgrad train FILE:{f.name} trains this one"
        )
    return Training(
        title,
        {who: group[0].name for who, group in runs.items()},
        {who: summary(group) for who, group in runs.items()},
        notes,
        _pictures(runs),
    )


def _json(folder: Path) -> Fields:
    path = folder / RESULTS
    if not folder.is_dir():
        raise InputError(f"--training {folder}: no such folder")
    if not path.exists():
        raise InputError(
            f"--training {folder}: it has no {RESULTS}, so no training has ended there\n"
            f"  actgrad train FILE:NAME --output {folder} makes one"
        )
    try:
        found: Fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"--training {folder}: {RESULTS} is damaged ({error})") from error
    return found


def _pictures(runs: dict[str, list[Run]]) -> list[Picture]:
    found = []
    for figure, key in zip(
        panels(lambda: curves.figure(runs, "")), ("loss", "accuracy"), strict=True
    ):
        ends = "; ".join(f"{group[0].name} ends at {_end(group, key)}" for group in runs.values())
        about = f"Test and training {key} by epoch. On the test data {ends}."
        caption = f"{key.capitalize()} by epoch: test data as a full line, training data dashed."
        figure.axes[0].legend(frameon=False, fontsize=9)
        found.append(picture(figure, f"training-{key}", about, caption))
    return found


def _end(group: list[Run], key: str) -> str:
    mean = summary(group)[key]["mean"]
    return (
        "nan (it broke off)"
        if mean is None
        else (percent(mean) if key == "accuracy" else number(mean))
    )
