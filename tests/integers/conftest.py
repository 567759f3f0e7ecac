"""The command in a process of its own, with Keras on the backend that it asks for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actgrad


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Any]:
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": str(Path(actgrad.__file__).parents[1]),
    }
    environment.pop("KERAS_BACKEND", None)

    def run(*arguments: object) -> Any:
        line = [sys.executable, "-m", "actgrad.workbench.cli", *map(str, arguments)]
        return subprocess.run(
            line, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=1200
        )

    return run
