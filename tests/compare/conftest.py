from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from actgrad.workbench.compare.store import FILE, Study, read

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "actgrad.workbench.cli", "compare"]
SECONDS = 1200

# What can go wrong in a worker. The parent reads the file as well, and must outlive it.
ACTIVATIONS = """
import os
import actgrad


def leaky(x, slope=0.1):
    return x if x > 0 else slope * x


def explodes(x):
    return 1e30 * x * x * x


@actgrad.activation(host=True, derivative=lambda x: 1.0)
def raises(x):
    raise KeyError("no such entry in my table")


@actgrad.activation(host=True, derivative=lambda x: 1.0)
def greedy(x):
    raise MemoryError


@actgrad.activation(host=True, derivative=lambda x: 1.0)
def dies(x):
    os.kill(os.getpid(), 9)
"""


def environment() -> dict[str, str]:
    own = {"PYTHONPATH": str(ROOT / "src"), "KERAS_BACKEND": "tensorflow", "COLUMNS": "110"}
    return {**os.environ, **own, "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Activations, and data: three kinds of 4 × 4 pictures, a bright row on noise."""
    path = tmp_path_factory.mktemp("compare")
    (path / "mine.py").write_text(ACTIVATIONS)
    random = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 200), ("test", 60)):
        y = random.integers(0, 3, count)
        x = random.integers(0, 90, (count, 4, 4))
        x[np.arange(count), y] += 120
        arrays |= {f"x_{part}": x.astype(np.uint8), f"y_{part}": y}
    np.savez(path / "small.npz", **arrays)
    return path


@pytest.fixture(scope="session")
def compare(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command, in the folder of the activations."""

    def run(
        *arguments: object, command: Sequence[str] = COMMAND
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *map(str, arguments)], cwd=folder, env=environment(),
            capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip

    return run


def how(done: subprocess.CompletedProcess[str]) -> str:
    """How it ended, for the message of a test."""
    return f"return code {done.returncode}\n" + "\n".join(done.stderr.splitlines()[-40:])


def start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], cwd=folder, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def until_rows(study: Path, count: int, process: subprocess.Popen[str]) -> Study:
    """The comparison, as soon as so many runs are stored."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        if (study / FILE).exists():
            try:
                found = read(study)
            except Exception:  # it is just being made
                found = None
            if found is not None and len(found.rows) >= count:
                return found
        time.sleep(0.05)
    raise AssertionError(f"too few runs: {process.communicate()[0] if process.poll() else ''}")


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that end with the test, with all that they have started."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
    for process in started:
        process.communicate(timeout=SECONDS)
