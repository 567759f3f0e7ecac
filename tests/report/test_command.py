"""`actgrad report` itself: what it writes, what it refuses, and that a refusal touches nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("typer")
from typer.testing import CliRunner

from actgrad.workbench.cli import app
from actgrad.workbench.folder import RESULTS
from actgrad.workbench.report import training as training_room
from tests.report.test_one import Text

FILE = """
from actgrad import activation

@activation
def leaky(x):
    return x if x > 0 else 0.1 * x

@activation
def spiky(x):
    return x % 1
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / RESULTS).write_text("{")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / RESULTS).write_text('{"runs": []}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(folder: Path) -> dict[str, bytes | None]:
    return {
        str(p): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
        if "__pycache__" not in str(p)
    }


def test_it_writes_one_file_and_says_which(here: Path) -> None:
    before = state(here)
    ended = CliRunner().invoke(app, ["report", "mine.py:leaky", "--no-bench"])
    assert ended.exit_code == 0, ended.output
    assert ended.stdout == "report.html\n"
    assert {Path(p).name for p in state(here).keys() - before.keys()} == {"report.html"}
    assert "<h1>leaky</h1>" in (here / "report.html").read_text(encoding="utf-8")


def test_json(here: Path, training: Path) -> None:
    asked = [
        "report",
        "mine.py:spiky",
        "--json",
        "--no-bench",
        "--training",
        str(training),
        "-o",
        "a.html",
    ]
    ended = CliRunner().invoke(app, asked)
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert (found["activation"], found["report"]) == ("spiky", "a.html")
    assert found["verdict"] == "exact except at kinks"
    assert "Loss by epoch" in (here / "a.html").read_text(encoding="utf-8")


@pytest.mark.exhaustive
def test_a_short_training_is_made_for_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_room, "SHORT", replace(training_room.SHORT, epochs=1, seeds=1))
    ended = CliRunner().invoke(app, ["report", "mine.py:leaky", "--no-bench", "--train"])
    assert ended.exit_code == 0, ended.output
    text = Text((here / "report.html").read_text(encoding="utf-8")).sections["training"]
    assert "mlp on digits, 1 epoch, 1 seed, Adam" in text
    assert re.search(r"leaky\s+\d+\.\d %", text)
    assert re.search(r"ReLU\s+\d+\.\d %", text)
    assert {p.name for p in here.iterdir()} >= {"report.html"}
    assert not (here / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.py:f"], "no such file: nowhere.py"),
        (["mine.py:absent"], "absent"),
        (["mine.py:leaky", "--output", "page.pdf"], "a page ends in .html"),
        (["mine.py:leaky", "--output", "absent/page.html"], "a folder that exists"),
        (["mine.py:leaky", "--training", "absent"], "no such folder"),
        (["mine.py:leaky", "--training", "empty"], f"it has no {RESULTS}"),
        (["mine.py:leaky", "--training", "damaged"], "is damaged"),
        (["mine.py:leaky", "--training", "other"], "is not what `actgrad train` writes"),
        (
            ["mine.py:leaky", "--training", "RUN"],
            "it trained 'spiky', and the report is of 'leaky'",
        ),
        (["mine.py:leaky", "--training", "empty", "--train"], "give one of them"),
        (["empty", "--train"], "this is a comparison"),
        (["empty"], "no comparison"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_used(here: Path, training: Path, arguments: list[str], says: str) -> None:
    before = state(here)
    ended = CliRunner().invoke(
        app, ["report", *(str(training) if a == "RUN" else a for a in arguments)]
    )
    assert ended.exit_code == 2
    assert says in ended.stderr
    assert ended.stdout == ""
    assert state(here) == before
