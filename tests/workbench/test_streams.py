"""The command ends with one message and its exit code, whatever its standard streams and environment are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")

from tests.sample import exhaustive_but

from .conftest import COMMAND, ROOT, environment

SPIKY = f"{ROOT / 'examples' / 'spiky.py'}:spiky"
LINES = [f"check {SPIKY}", f"source {SPIKY}", f"study {SPIKY}", "--help"]
DEFINED = "from actgrad import activation\n@activation\ndef größe(x):\n    return abs(x)\n"
FULL = Path("/dev/full")


@pytest.fixture(params=exhaustive_but([""], ["", "1"]), ids=["buffered", "unbuffered"])
def shell(request: Any, tmp_path: Path) -> Any:
    """Run a line of a shell, in which `actgrad` is the command."""

    def run(line: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        own = environment() | {"PYTHONUNBUFFERED": request.param, **variables}
        line = f'actgrad() {{ {" ".join(COMMAND)} "$@"; }}\nset -o pipefail\n{line}'
        return subprocess.run(
            ["bash", "-c", line], capture_output=True, timeout=1200, cwd=tmp_path, env=own
        )

    return run


@pytest.mark.parametrize("line", exhaustive_but([LINES[2], "--version"], [*LINES, "--version"]))
def test_a_full_disk_behind_stdout_is_one_message(shell: Any, line: str) -> None:
    if not FULL.exists():
        pytest.skip("there is no /dev/full")
    done = shell(f"actgrad {line} >{FULL}")
    assert (done.returncode, done.stderr) == (2, b"actgrad: No space left on device\n")
    done = shell(f"actgrad {line} >{FULL} 2>&1")
    assert done.returncode == 2


@pytest.mark.parametrize("line", exhaustive_but(LINES[1:3], LINES))
def test_a_reader_that_has_gone_is_no_message(shell: Any, line: str) -> None:
    done = shell(f"actgrad {line} | :")
    assert done.returncode > 0
    assert done.stderr == b""


@pytest.mark.parametrize(
    "closed", exhaustive_but(["<&- >&- 2>&-"], ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
)
def test_streams_that_are_closed(shell: Any, closed: str) -> None:
    assert shell(f"actgrad check {SPIKY} {closed}").returncode == 0
    assert shell(f"actgrad check nothing.py {closed}").returncode == 2
    assert b"\x89PNG" in shell(f"actgrad plot {SPIKY} --output a.png {closed} && cat a.png").stdout


def test_a_terminal_of_ascii(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text(DEFINED, encoding="utf-8")
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = shell(f"actgrad study {SPIKY}", **ascii_only)
    assert done.returncode == 0, done.stderr
    assert rb"E f\xb2" in done.stdout
    shell("actgrad source f.py --framework numpy >alone.py", **ascii_only)
    names: dict[str, Any] = {}
    exec((tmp_path / "alone.py").read_text(encoding="utf-8"), names)
    assert names["größe"](-2.5) == 2.5


def test_no_screen_is_asked_for(shell: Any) -> None:
    done = shell(f"actgrad plot {SPIKY} --output a.png", MPLBACKEND="nothing")
    assert (done.returncode, done.stdout) == (0, b"a.png\n"), done.stderr


@pytest.mark.parametrize("option", ["", "-O"])
def test_without_assertions_another_program_s_files_are_not_taken_for_a_training(
    option: str, tmp_path: Path
) -> None:
    """`python -O` leaves out every `assert`, and with it what it asks."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom actgrad.workbench.folder import Folder\n"
        "Folder(Path(sys.argv[1])).check({'epochs': 1, 'seeds': 1}, resume=False, overwrite=True)"
    )
    (tmp_path / "settings.json").write_text(
        '{"written by": "somebody else", "epochs": 1, "seeds": 1}'
    )
    (tmp_path / "model.keras").write_text("precious")
    line = [sys.executable, *option.split(), "-c", code, str(tmp_path)]
    own = environment() | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(line, capture_output=True, text=True, timeout=1200, env=own)
    assert "that `actgrad train` did not write" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["model.keras", "settings.json"]
