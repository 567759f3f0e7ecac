"""A Dask scheduler and two worker processes, one of which is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from actgrad.workbench.compare.store import OK, read
from tests.compare.conftest import SECONDS, environment, start, until_rows

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]
pytest.importorskip("distributed")


def process(folder: Path, what: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dask", what, *arguments], cwd=folder, env=environment(), text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def test_a_worker_killed_in_the_middle_loses_and_repeats_nothing(
    folder: Path, tmp_path: Path, children: list[subprocess.Popen[str]]
) -> None:
    meeting = tmp_path / "scheduler.json"
    children.append(
        process(folder, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                "--scheduler-file", str(meeting))
    )  # fmt: skip
    for _ in range(2):
        children.append(
            process(folder, "worker", "--scheduler-file", str(meeting), "--nthreads", "1",
                    "--no-dashboard", "--local-directory", str(tmp_path))
        )  # fmt: skip
    end = time.monotonic() + SECONDS
    while not meeting.exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    address = json.loads(meeting.read_text())["address"]
    assert address.startswith("tcp://127.0.0.1:")

    study = tmp_path / "study"
    running = start(
        folder, "relu", "gelu", "--data", "small.npz", "--seeds", 4, "--epochs", 2, "--rates", "1e-3",
        "--engine", "dask", "--address", address, "-o", study,
    )  # fmt: skip
    children.append(running)
    worker = until_rows(study, 1, running).rows[0].settings["worker"]
    os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)
    output = running.communicate(timeout=SECONDS)[0]
    assert running.returncode == 0, output

    rows = read(study).rows
    assert sorted((r.activation, r.seed) for r in rows) == [
        (name, seed) for name in ("gelu", "relu") for seed in range(4)
    ]
    assert {r.status for r in rows} == {OK}
    workers = {r.settings["worker"] for r in rows}
    assert worker in workers
    assert len(workers) >= 2, "another one did the rest"
