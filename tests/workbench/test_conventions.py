"""What one expects of any command: JSON on request, colours only in a terminal, completion, exit
codes that mean what the documentation says."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")

from typer.main import get_command
from typer.testing import CliRunner

import actgrad as package
from actgrad.workbench.cli import app

from .conftest import COMMAND, ROOT, environment

SPIKY = f"{ROOT / 'examples' / 'spiky.py'}:spiky"
SUBCOMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]
PAGE = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")


def run(*arguments: object, **options: Any) -> Any:
    return CliRunner().invoke(app, list(map(str, arguments)), **options)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_has_json_examples_and_a_place_in_the_page(name: str) -> None:
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    assert "--json" in [option for p in command.params for option in p.opts]
    assert f"actgrad {name} " in command.epilog
    assert f"actgrad {name} " in PAGE


def test_plot_as_json(tmp_path: Path) -> None:
    path = tmp_path / "spiky.png"
    found = json.loads(run("plot", SPIKY, "--output", path, "--json").stdout)
    assert found == {"activation": "spiky", "picture": str(path)}
    assert path.stat().st_size > 1000


def test_source_as_json() -> None:
    found = json.loads(run("source", SPIKY, "--framework", "numpy", "--json").stdout)
    assert found["source"] == run("source", SPIKY, "--framework", "numpy").stdout
    assert found["framework"] == "numpy"


@pytest.mark.slow
@pytest.mark.exhaustive
def test_train_as_json(actgrad: Any, small: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    options = ("--data", small, "--output", tmp_path / "run", "--epochs", 1, "--seeds", 1, "--json")
    done = actgrad("train", SPIKY, *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((tmp_path / "run" / "results.json").read_text())
    assert "spiky: exact except at kinks" in done.stderr


def test_version() -> None:
    assert run("--version").stdout == f"{package.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typer looks for the shell among the parent processes, and a test run need not have one."""
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: shell)
    assert "complete" in run("--show-completion").stdout.lower()


def in_a_terminal(*arguments: str, **more: str) -> str:
    """What the command writes when its output is a terminal."""
    leader, follower = pty.openpty()
    subprocess.run(
        [*COMMAND, *arguments],
        stdout=follower,
        stderr=follower,
        env={**environment(), "TERM": "xterm-256color", **more},
        timeout=1200,
        check=False,
    )
    os.close(follower)
    text = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the end, on Linux
            break
        if not part:
            break
        text += part
    os.close(leader)
    return text.decode()


def test_colours_in_a_terminal_unless_asked_not_to() -> None:
    assert "\x1b[3" in in_a_terminal("check", "--help")
    plain = in_a_terminal("check", "--help", NO_COLOR="1")
    assert "Examples" in plain
    assert "\x1b[3" not in plain


@pytest.mark.parametrize(
    ("code", "arguments"),
    [(0, ["check", SPIKY]), (2, ["check", "nowhere.py:f"]), (2, ["chekc"]), (2, ["plot"])],
)
def test_exit_codes(code: int, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == code
    assert f"| {code} |" in PAGE


def test_a_mistyped_subcommand_is_suggested() -> None:
    assert "Did you mean 'check'" in run("chekc").stderr


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: Any) -> None:
    from actgrad.activation import Activation

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device", "spiky.png")

    monkeypatch.setattr(Activation, "plot", full)
    result = run("plot", SPIKY, "--output", tmp_path / "spiky.png")
    assert result.exit_code == 2
    assert "actgrad: spiky.png: No space left on device" in result.stderr


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_shows_a_text_for_every_option_and_its_defaults(name: str) -> None:
    text = run(name, "--help", env={"COLUMNS": "240", "NO_COLOR": "1"}).stdout
    lines = text.splitlines()
    for option in get_command(app).commands[name].params:  # type: ignore[attr-defined]
        assert option.help, option.name
        said = option.help.replace("\\[", "[")
        if option.param_type_name == "option":
            row = next(line for line in lines if f" {option.opts[0]} " in line)
            assert " ".join(said.split())[:30] in " ".join(row.split())
        for default in re.findall(r"\[default: [^]]*\]", said):
            assert default in " ".join(text.split())


def test_without_the_workbench_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; import actgrad.workbench.cli"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "actgrad: the command needs typer, which is not installed",
        "  pip install 'actgrad[workbench]'",
    ]


def test_bench_beside_relu() -> None:
    options = ("--framework", "numpy", "--size", 1000, "--repeats", 3)
    found = json.loads(run("bench", SPIKY, *options, "--json").stdout)
    (row,) = found["rows"]
    assert (row["framework"], found["size"], found["missing"]) == ("numpy", 1000, {})
    assert row["ours"] > 0
    assert row["builtin"] > 0
    assert row["ratio"] == pytest.approx(row["ours"] / row["builtin"])
    assert "numpy" in run("bench", SPIKY, *options).stdout


def test_bench_of_a_framework_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = run("bench", SPIKY, "--framework", "jax")
    assert done.exit_code == 2
    assert "jax could not be measured: not installed" in done.stderr
