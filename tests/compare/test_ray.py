"""The same command on Ray, where it is installed: a cluster that begins and ends with it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from actgrad.workbench.compare.store import OK, read
from tests.compare.conftest import how

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]
pytest.importorskip("ray")


def test_ray_does_the_runs(
    compare: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = compare(
        "relu", "gelu", "--data", "small.npz", "--seeds", 1, "--epochs", 1, "--rates", "1e-3",
        "--engine", "ray", "--address", "local", "--workers", 2, "-o", tmp_path / "study",
    )  # fmt: skip
    assert done.returncode == 0, how(done)
    rows = read(tmp_path / "study").rows
    assert sorted((r.activation, r.status) for r in rows) == [("gelu", OK), ("relu", OK)]
