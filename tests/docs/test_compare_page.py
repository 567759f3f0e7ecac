"""docs/compare.md: every command on the page runs, in order, in one folder.

With less of everything (one seed, one epoch, one try, one network, one data set), and in this process instead
of workers and clusters, which tests/compare has.
"""

from __future__ import annotations

import re
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("tensorflow")
pytest.importorskip("keras")
pytest.importorskip("joblib")
pytest.importorskip("sklearn")
from typer.testing import CliRunner

from actgrad.workbench.cli import app
from actgrad.workbench.compare import command, design, job, store
from actgrad.workbench.compare.engine import Engine
from actgrad.workbench.compare.run import Task, run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
TOML = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

SPIKY = """
def spiky(x, slope=1.0):
    return slope * (x % 1) if x % 1 <= 0.5 else 0
"""


class Here(Engine):
    def rows(self, tasks: list[Task], crashed: Callable[[str], None]) -> Iterator[store.Row]:
        yield from map(run, tasks)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page")
    (path / "spiky.py").write_text(SPIKY)
    (path / "study.toml").write_text(TOML[0])
    random = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 64), ("test", 32)):
        arrays[f"x_{part}"] = random.integers(0, 255, (count, 28, 28)).astype(np.uint8)
        arrays[f"y_{part}"] = np.arange(count) % 10
    np.savez(path / "mnist.npz", **arrays)
    return path


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, tuple[int, str]]:
    """Of each command its exit code, and what it printed."""
    make, found = design.make, {}

    def small(asked: design.Asked, backend: str, warn: design.Warn) -> design.Design:
        made = make(asked, backend, warn)
        return replace(
            made, networks=made.networks[:1], data=made.data[-1:], digests=made.digests[-1:],
            optimizers=made.optimizers[:1],
            rates=made.rates[:1], seeds=1, epochs=1,
        )  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("KERAS_BACKEND", "tensorflow")
        patch.setattr(design, "make", small)
        patch.setattr(command, "make_engine", lambda *_: Here(1))
        patch.setattr(job.report, "write", lambda *_: {"pages": {}})  # tests/report has it
        for text in COMMANDS:
            program, *arguments = shlex.split(text)
            if program == "actgrad":
                ended = CliRunner().invoke(app, arguments)
                found[text] = ended.exit_code, ended.output
            else:
                assert program == "sqlite3"
                with sqlite3.connect(arguments[0]) as db:
                    found[text] = 0, str(db.execute(arguments[1]).fetchall())
                db.close()
    return found


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_ends_well(said: dict[str, tuple[int, str]], text: str) -> None:
    code, output = said[text]
    assert code == 0, output
    assert "spiky" in output


@pytest.mark.parametrize(
    ("study", "labels", "data"),
    [
        ("compare", {"relu", "gelu", "spiky"}, {"digits"}),
        (
            "study",
            {"relu", "spiky(slope=1)", "spiky(slope=5)", "spiky(slope=25)"},
            {"mnist.npz"},
        ),
    ],
)
def test_what_was_trained(
    said: dict[str, tuple[int, str]], folder: Path, study: str, labels: set[str], data: set[str]
) -> None:
    found = store.read(folder / "runs" / study)
    assert [row.status for row in found.rows] == [store.OK] * len(labels) * len(data)
    assert {(row.activation, row.data) for row in found.rows} == {
        (label, name) for label in labels for name in data
    }
    for name in ("seeds.png", "curves.png"):
        assert name in PAGE
        assert (folder / "runs" / study / name).stat().st_size > 0


def test_the_columns_are_those_of_the_store() -> None:
    table = PAGE[PAGE.index("| Column |") :]
    named = [
        n
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for n in re.findall(r"`(\w+)`", row)
    ]
    assert named == store.COLUMNS
