"""A user's typed file passes mypy and pyright, and a file with a wrong type does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USER = Path(__file__).with_name("typed_user.py")
SOURCE = {"MYPYPATH": str(ROOT / "src"), "PYTHONPATH": str(ROOT / "src")}


def mypy(path: Path, folder: Path) -> list[str]:
    """Errors in this file. The package's own lines are `make lint`'s."""
    # The frameworks are left out: they take a minute, and say nothing of our types.
    (folder / "mypy.ini").write_text(
        "[mypy]\nfollow_imports = silent\nignore_missing_imports = True\n"
        "[mypy-torch.*,keras.*,tensorflow.*,jax.*]\nfollow_imports = skip\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", str(path)]
        + ["--cache-dir", str(ROOT / ".mypy_cache" / "typed_user")],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **SOURCE},
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr + done.stdout
    return [line for line in done.stdout.splitlines() if ": error:" in line]


def pyright(path: Path, folder: Path) -> list[str]:
    config = {
        "include": [str(path)],
        "extraPaths": [str(ROOT / "src")],
        "typeCheckingMode": "standard",
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "--project", str(folder)]
        + ["--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] == 1, done.stderr
    return [one["message"] for one in found["generalDiagnostics"] if one["severity"] == "error"]


WRONG = """
from actgrad import activations
text: str = activations.gelu.check()
other: int = activations.mish
more: int = activations.relu(1.5)
"""


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_typed_user(checker: Callable[[Path, Path], list[str]], tmp_path: Path) -> None:
    assert checker(USER, tmp_path) == []


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_wrong_type_is_seen(checker: Callable[[Path, Path], list[str]], tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(WRONG)
    assert len(checker(path, tmp_path)) == 3
