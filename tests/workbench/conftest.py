from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "actgrad.workbench.cli"]


def environment() -> dict[str, str]:
    """As a newcomer's: no settings of the test run's own, but the package's place."""
    leave_out = {"KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "FORCE_COLOR", "NO_COLOR", "COLUMNS"}
    kept = {k: v for k, v in os.environ.items() if k not in leave_out}
    return kept | {"PYTHONPATH": str(ROOT / "src"), "KERAS_BACKEND": "tensorflow"}


@pytest.fixture(scope="session")
def actgrad() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            **{"env": environment(), **options},
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )

    return run


def samples(seed: int = 0) -> dict[str, np.ndarray]:
    """Three kinds of 4 × 4 pictures: a bright row, on noise."""
    random = np.random.default_rng(seed)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        y = random.integers(0, 3, count)
        x = random.integers(0, 90, (count, 4, 4))
        x[np.arange(count), y] += 120
        return x.astype(np.uint8), y

    (x_train, y_train), (x_test, y_test) = draw(200), draw(60)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez(path, **samples())
    return path


@pytest.fixture
def write_npz(tmp_path: Path) -> Callable[[Mapping[str, Any]], Path]:
    def write(changes: Mapping[str, Any]) -> Path:
        path = tmp_path / "changed.npz"
        arrays = {k: v for k, v in {**samples(), **changes}.items() if v is not None}
        np.savez(path, **arrays)
        return path

    return write
