"""Real comparisons in worker processes: what fails is a row, what is stopped goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from actgrad.workbench.compare.store import FAILED, FINAL, OK, TUNE, Row, Study, read
from tests.compare.conftest import how, start, until_rows
from tests.sample import exhaustive_but

pytestmark = pytest.mark.slow

Compare = Callable[..., subprocess.CompletedProcess[str]]
SMALL = ("--data", "small.npz", "--epochs", 2, "--workers", 2)

# The command; at its very end it writes down what it has loaded.
WATCHED = """
import atexit, pathlib, sys
atexit.register(lambda: pathlib.Path("loaded").write_text("\\n".join(sys.modules)))
from actgrad.workbench.cli import main
sys.argv.insert(1, "compare")
main()
"""


# A worker of JAX starts in half the time of one of TensorFlow.
@pytest.fixture(scope="module", params=exhaustive_but(["jax"], ["jax", "tensorflow"]))
def backend(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture(scope="module")
def troubled(
    folder: Path, compare: Compare, backend: str
) -> tuple[subprocess.CompletedProcess[str], Study]:
    """Two that train, before and after all that can go wrong."""
    names = ("explodes", "raises", "greedy", "dies", "leaky?slope=0.3")
    done = compare(
        "relu", *(f"mine.py:{n}" for n in names), *SMALL, "--seeds", 1, "--rates", "1e-3",
        "--backend", backend, "-o", f"troubled-{backend}",
        command=[sys.executable, "-c", WATCHED],
    )  # fmt: skip
    return done, read(folder / f"troubled-{backend}")


def of(study: Study, label: str) -> Row:
    rows = [row for row in study.rows if row.activation == label]
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize(
    ("label", "cause"),
    [
        ("explodes", "became nan in epoch 1, step"),
        ("raises", "KeyError: 'no such entry in my table'"),
        ("greedy", "out of memory"),
        ("dies", "the worker died, 2 times"),
    ],
)
def test_a_run_that_fails_is_a_row_with_its_cause(
    troubled: tuple[subprocess.CompletedProcess[str], Study], label: str, cause: str
) -> None:
    row = of(troubled[1], label)
    assert row.status == FAILED
    assert row.accuracy is None
    assert cause in (row.cause or "")
    assert cause in troubled[0].stdout


@pytest.mark.parametrize("label", ["relu", "leaky(slope=0.3)"])
def test_the_others_go_on(
    troubled: tuple[subprocess.CompletedProcess[str], Study], label: str, backend: str
) -> None:
    row = of(troubled[1], label)
    assert (row.status, row.cause) == (OK, None)
    assert len(row.curve) == len(row.losses) == 2
    assert row.curve[-1] == row.accuracy
    assert row.seconds > 0
    assert {"actgrad", "keras", backend, "numpy", "python"} <= row.versions.keys()
    assert row.hash == next(a.hash for a in troubled[1].design.activations if a.label == label)


def test_it_ends_well(troubled: tuple[subprocess.CompletedProcess[str], Study]) -> None:
    assert troubled[0].returncode == 0, how(troubled[0])
    assert len(troubled[1].rows) == 6


def test_it_loads_no_framework(
    folder: Path, troubled: tuple[subprocess.CompletedProcess[str], Study]
) -> None:
    loaded = set((folder / "loaded").read_text().splitlines())
    assert "joblib" in loaded
    assert loaded & {"tensorflow", "keras", "torch", "jax"} == set()


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("raises", None),
        ("greedy", None),
        ("dies", "its worker died, so it is not called in this process"),
    ],
)
def test_each_has_its_page_except_what_would_kill(
    folder: Path,
    troubled: tuple[subprocess.CompletedProcess[str], Study],
    label: str,
    why: str | None,
    backend: str,
) -> None:
    study = folder / f"troubled-{backend}"
    assert (study / "report" / f"{label}.html").exists() is (why is None)
    assert (why or label) in (study / "report.html").read_text(encoding="utf-8")


@pytest.mark.exhaustive
def test_a_killed_comparison_goes_on_and_repeats_nothing(
    folder: Path, compare: Compare, children: list[subprocess.Popen[str]]
) -> None:
    asked = (
        "relu",
        "gelu",
        *SMALL,
        "--seeds",
        2,
        "--rates",
        "1e-2",
        "1e-3",
        "-o",
        "killed",
        "--json",
    )
    first = start(folder, *asked)
    children.append(first)
    until_rows(folder / "killed", 2, first)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    before = read(folder / "killed").rows
    assert 2 <= len(before) < 8

    done = compare(*asked)
    assert done.returncode == 0, how(done)
    after = read(folder / "killed").rows
    assert after[: len(before)] == before
    assert len({row.key for row in after}) == len(after) == 8
    assert [row.stage for row in after].count(TUNE) == 4
    # What tuning chose is what the final runs have, and the program is told the same as the file says.
    for label in ("relu", "gelu"):
        tries = {r.rate: r.accuracy for r in after if (r.activation, r.stage) == (label, TUNE)}
        used = {r.rate for r in after if (r.activation, r.stage) == (label, FINAL)}
        assert used == {max(tries, key=lambda rate: (tries[rate], rate))}
    told = json.loads(done.stdout)
    assert told["runs"] == 8
    assert "2 tries (adam 0.01, adam 0.001)" in told["budget"]

    table = compare("killed", "--table", "--json")
    assert json.loads(table.stdout) == told | {"study": json.loads(table.stdout)["study"]}
    again = compare(*asked)
    assert read(folder / "killed").rows == after
    assert json.loads(again.stdout) == told
    assert {"seeds.png", "curves.png", "report.html"} <= {
        p.name for p in (folder / "killed").iterdir()
    }

    other = compare("relu", "tanh", *SMALL, "--seeds", 2, "-o", "killed")
    assert other.returncode == 2
    assert "another design" in other.stderr
    assert read(folder / "killed").rows == after
