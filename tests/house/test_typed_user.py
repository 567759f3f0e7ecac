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
Checker = Callable[[list[Path], Path], list[tuple[str, str]]]
SOURCE = {"MYPYPATH": str(ROOT / "src"), "PYTHONPATH": str(ROOT / "src")}


def mypy(paths: list[Path], folder: Path) -> list[tuple[str, str]]:
    """Errors in these files, each with its file. The package's own lines are `make lint`'s."""
    # The frameworks are left out: they take a minute, and say nothing of our types.
    (folder / "mypy.ini").write_text(
        "[mypy]\nfollow_imports = silent\nignore_missing_imports = True\n"
        "[mypy-torch.*,keras.*,tensorflow.*,jax.*]\nfollow_imports = skip\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", *map(str, paths)]
        + ["--cache-dir", str(ROOT / ".mypy_cache" / "typed_user")],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **SOURCE},
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr + done.stdout
    lines = [line.partition(": error:") for line in done.stdout.splitlines()]
    return [(Path(at.rpartition(":")[0]).name, text) for at, mark, text in lines if mark]


def pyright(paths: list[Path], folder: Path) -> list[tuple[str, str]]:
    config = {
        "include": [*map(str, paths)],
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
    assert found["summary"]["filesAnalyzed"] == len(paths), done.stderr
    errors = [one for one in found["generalDiagnostics"] if one["severity"] == "error"]
    return [(Path(one["file"]).name, one["message"]) for one in errors]


WRONG = """
from actgrad import activations
text: str = activations.gelu.check()
other: int = activations.mish
more: int = activations.relu(1.5)
"""


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_typed_user_passes_and_a_wrong_type_is_seen(checker: Checker, tmp_path: Path) -> None:
    """Both files in one run, which is mostly the checker's start."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    found = checker([USER, wrong], tmp_path)
    assert [file for file, _ in found] == ["wrong.py"] * 3, found
