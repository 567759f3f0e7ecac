"""The output folder of `actgrad train`: its settings, and a checkpoint for each run.

Each file is written beside its place and moved there, so it is the old one or the new one, never half.
"""

from __future__ import annotations

import errno
import json
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from actgrad.common.files import atomically, cannot_write, write_text
from actgrad.common.text import finite_json
from actgrad.common.types import Fields
from actgrad.errors import InputError

MARK = "actgrad train"
SETTINGS, RESULTS, MODEL, SAVED = "settings.json", "results.json", "model.keras", "activation.json"
CURVES, FUNCTION, CHECKPOINTS = "curves.png", "function.png", "checkpoints"
MAY_GROW = ("epochs", "seeds")

Settings = Fields


class Folder:
    """Where a training puts what it makes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def checkpoint(self, who: str, seed: int) -> Path:
        return self.path / CHECKPOINTS / f"{who}-{seed}.npz"

    def check(self, settings: Settings, resume: bool, overwrite: bool) -> None:
        """Raises `InputError` if this training cannot go into the folder. Changes nothing."""
        check_writable(self.path)
        before = self._settings()
        if resume:
            self._check_resume(before, settings)
        elif before is None:
            own = (RESULTS, MODEL, SAVED, CURVES, FUNCTION, CHECKPOINTS, SETTINGS)
            foreign = [name for name in own if (self / name).exists()]
            if foreign:
                raise InputError(
                    f"{self.path} has {', '.join(foreign)} that `actgrad train` did not write: "
                    f"choose another --output"
                )
        elif not overwrite:
            state = "complete" if (self / RESULTS).exists() else "stopped"
            raise InputError(
                f"{self.path} has a training that is {state}\n"
                f"  --resume goes on with it, --overwrite begins anew, --output chooses another folder."
            )

    def _check_resume(self, before: Settings | None, now: Settings) -> None:
        if before is None:
            raise InputError(f"nothing to resume in {self.path}: leave out --resume to begin")
        different = [
            then_and_now(key, before.get(key), value)
            for key, value in now.items()
            if (value < before[key] if key in MAY_GROW else value != before.get(key))
        ]
        if different:
            raise InputError(
                f"--resume goes on with the same settings, and in {self.path} they were different\n  "
                + "\n  ".join(different)
                + "\n  (--epochs and --seeds may be larger than before.)"
            )
        if (self / RESULTS).exists() and all(before[key] == now[key] for key in MAY_GROW):
            raise InputError(
                f"nothing to resume in {self.path}: the training there is complete\n"
                f"  It can be continued with larger --epochs or --seeds."
            )

    def _settings(self) -> Settings | None:
        """The settings of the training in this folder, if there is one."""
        try:
            stored = json.loads((self / SETTINGS).read_text(encoding="utf-8"))
            ours = stored.pop("written by") == MARK
            ours = ours and all(isinstance(stored[key], int) for key in MAY_GROW)
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            return None
        return dict(stored) if ours else None

    def open(self, settings: Settings, resume: bool) -> None:
        """Make the folder, and clear it of an earlier training's files unless that is resumed."""
        try:
            (self / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
            for name in (RESULTS, MODEL, SAVED, CURVES, FUNCTION):
                (self / name).unlink(missing_ok=True)
            if not resume:
                for path in (self / CHECKPOINTS).glob("*.npz"):
                    path.unlink()
            write_json(self / SETTINGS, {"written by": MARK, **settings})
        except OSError as error:
            raise cannot_write(self.path, error) from error


def then_and_now(name: str, before: object, now: object) -> str:
    """A line on a setting that is another one than before."""
    return f"{name.replace('_', ' ')}: {_short(before)} then, {_short(now)} now"


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) < 90 else f"{text[:80]}…"


def check_writable(path: Path) -> None:
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise InputError(f"{there} is a file, and --output should be a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise cannot_write(path, PermissionError(errno.EACCES, f"no permission in {there}"))


def write_json(path: Path, content: object) -> None:
    """JSON with null for every number that is not finite."""
    text = json.dumps(finite_json(content, null=True), indent=2, allow_nan=False)
    write_text(path, text + "\n")


def save_state(path: Path, variables: list[object], progress: Fields) -> None:
    """All of a run: the values of its variables, and how far it has come."""
    arrays = {f"v{i}": np.asarray(value) for i, value in enumerate(variables)}
    arrays["progress"] = np.array(json.dumps(progress))
    with atomically(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def load_state(path: Path, shapes: list[tuple[int, ...]]) -> tuple[list[object], Fields] | None:
    """What `save_state` wrote, or None if there is nothing. Raises `InputError` if it is damaged."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            values = [file[f"v{i}"] for i in range(len(shapes))]
            progress = json.loads(str(file["progress"]))
        if [value.shape for value in values] != shapes:
            raise ValueError("other shapes")
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(
            f"the checkpoint {path} is damaged ({error})\n  Delete it, and --resume trains this run anew."
        ) from error
    return values, progress
