"""The results of a comparison: one SQLite file, one row per run, that any tool can read.

A run is known by its key (stage, activation, network, data, optimiser, rate, seed). Only the process that
began the comparison writes, and each row is on disk before the next one is asked for.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path

from actgrad.common.files import cannot_write
from actgrad.common.types import Fields
from actgrad.errors import InputError, WriteError
from actgrad.workbench.compare.design import Design
from actgrad.workbench.folder import then_and_now

FILE = "runs.sqlite"
OK, FAILED = "ok", "failed"
TUNE, FINAL = "tune", "final"


@dataclass(frozen=True)
class Key:
    """By what a run is known."""

    stage: str
    """`tune`: chooses an optimiser and a rate, on a part of the training data. `final`: counts."""
    activation: str
    """The label: the name, with the parameters of a grid: `spiky`, `spiky(slope=5)`."""
    network: str
    data: str
    optimizer: str
    rate: float
    seed: int

    @property
    def where(self) -> tuple[str, str, str]:
        """The activation, and where it is compared."""
        return self.activation, self.network, self.data


@dataclass(frozen=True)
class Row(Key):
    """One run."""

    hash: str
    """Of the program: the same for equal activations."""
    status: str
    """`ok` or `failed`."""
    cause: str | None = None
    """Why it failed, in words."""
    accuracy: float | None = None
    """After the last epoch: of the test data, or, when tuning, of the validation data."""
    loss: float | None = None
    curve: list[float] = field(default_factory=list)
    """That accuracy, epoch by epoch."""
    losses: list[float] = field(default_factory=list)
    """The loss of the training data, epoch by epoch; nan where it was nan."""
    seconds: float = 0.0
    """Of the training itself: building, compiling, epochs, testing."""
    attempts: int = 1
    versions: dict[str, str] = field(default_factory=dict)
    settings: Fields = field(default_factory=dict)
    """Epochs, batch size, process, when."""

    @property
    def key(self) -> Key:
        return Key(*(getattr(self, name) for name in KEY))


@dataclass(frozen=True)
class Study:
    """A comparison as it was stored: what was asked, and what came out so far."""

    path: Path
    design: Design
    rows: list[Row]

    def finals(self, activation: str, network: str, data: str) -> list[Row]:
        """The runs that count, of one activation in one place."""
        where = (activation, network, data)
        return [row for row in self.rows if row.stage == FINAL and row.where == where]


JSON = ("curve", "losses", "versions", "settings")
COLUMNS = [f.name for f in fields(Row)]
KEY = [f.name for f in fields(Key)]
TYPES = {"rate": "REAL", "seed": "INTEGER", "accuracy": "REAL", "loss": "REAL", "seconds": "REAL"}
TYPES["attempts"] = "INTEGER"
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS design (json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    {", ".join(f"{name} {TYPES.get(name, 'TEXT')}" for name in COLUMNS)},
    PRIMARY KEY ({", ".join(KEY)})
);
"""


def find(path: Path) -> Path:
    """The file of a comparison, given the file or its folder. Raises `InputError` if there is none."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"no comparison in {path}: `actgrad compare` writes {FILE} there")
    return file


def read(path: Path) -> Study:
    """Everything that is stored, in the order in which it was stored. Changes nothing."""
    file = find(path)
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
            design = Design.from_json(db.execute("SELECT json FROM design").fetchone()[0])
            found = db.execute(f"SELECT {', '.join(COLUMNS)} FROM runs ORDER BY rowid").fetchall()
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise InputError(f"{file} is not the file of a comparison ({error})") from error
    return Study(file, design, [_row(values) for values in found])


def stored(file: Path, design: Design) -> list[Row]:
    """The runs of this design that are there already. Raises `InputError` for another design."""
    if not file.exists():
        return []
    found = read(file)
    _check_same(file, found.design, design)
    return found.rows


class Store:
    """The open file of a comparison that goes on. Close it, or use it with `with`."""

    def __init__(self, file: Path, design: Design) -> None:
        """Begin, or go on with the same design. Raises `InputError` for another one, and changes nothing."""
        self.file = file
        stored(file, design)
        is_new = not file.exists()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(file)
            with self._db:
                self._db.executescript(SCHEMA)
                if not self._db.execute("SELECT 1 FROM design").fetchone():
                    self._db.execute("INSERT INTO design VALUES (?)", [design.to_json()])
        except (OSError, sqlite3.Error) as error:
            if is_new:
                for half in (file, file.with_name(f"{file.name}-journal")):
                    half.unlink(missing_ok=True)
            raise _cannot_write(file, error) from error

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, row: Row) -> bool:
        """Write a run, at once and for good. False if that run was there: it is never counted twice."""
        values = [getattr(row, name) for name in COLUMNS]
        values = [json.dumps(v) if n in JSON else v for n, v in zip(COLUMNS, values, strict=True)]
        marks = ", ".join("?" * len(COLUMNS))
        try:
            with self._db:
                done = self._db.execute(f"INSERT OR IGNORE INTO runs VALUES ({marks})", values)
        except sqlite3.Error as error:
            raise _cannot_write(self.file, error) from error
        return done.rowcount == 1

    def rows(self) -> list[Row]:
        found = self._db.execute(f"SELECT {', '.join(COLUMNS)} FROM runs ORDER BY rowid")
        return [_row(values) for values in found]


def _cannot_write(file: Path, error: Exception) -> WriteError:
    """SQLite rolls back what it could not write: the runs before it are kept."""
    if isinstance(error, OSError):
        return cannot_write(file, error)
    return WriteError(
        f"{file} cannot be written: {error}\n"
        f"  Free some space there, or raise a limit on the size of files (`ulimit -f`). The same command "
        f"goes on with the runs that are stored."
    )


def _row(values: Iterable[object]) -> Row:
    found: Fields = dict(zip(COLUMNS, values, strict=True))
    for name in JSON:
        found[name] = json.loads(found[name])
    for name in ("accuracy", "loss"):  # SQLite keeps nan as NULL, and so does a run without one
        if found[name] is not None and math.isnan(found[name]):
            found[name] = None
    return Row(**found)


def _check_same(file: Path, before: Design, now: Design) -> None:
    if before == now:
        return
    lines = [
        then_and_now(name, _shown(name, before), _shown(name, now))
        for name in (f.name for f in fields(Design))
        if getattr(before, name) != getattr(now, name)
    ]
    raise InputError(
        f"{file.parent} has a comparison with another design\n  "
        + "\n  ".join(lines)
        + "\n  Choose another --output, or ask for the same again to go on with it."
    )


def _shown(name: str, design: Design) -> object:
    if name == "activations":
        return tuple(f"{a.label} [{a.hash[:8]}]" for a in design.activations)
    return getattr(design, name)
