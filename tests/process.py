"""Python in a process of its own, as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

WITHOUT_ACTGRAD = """
import sys
class Absent:
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "actgrad":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""
"""The beginning of a script that runs as in an environment without actgrad."""

SOURCE = Path(__file__).parents[1] / "src"


def python(
    *arguments: object,
    folder: Path | None = None,
    actgrad: bool = True,
    timeout: float = 1200,
    **variables: str,
) -> list[str]:
    """The lines that it prints. It runs in this folder, and knows actgrad or does not."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(SOURCE) if actgrad else "",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "JAX_PLATFORMS": "cpu",
            **variables,
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()
