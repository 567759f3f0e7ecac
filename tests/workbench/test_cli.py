"""The command's small subcommands, and everything that it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer")

from typer.testing import CliRunner

from actgrad import from_json
from actgrad.workbench.cli import app
from tests.process import python

from .conftest import ROOT, samples

SPIKY = f"{ROOT / 'examples' / 'spiky.py'}:spiky"

FUNCTIONS = """
from actgrad import activation

alpha = 3
class Kind: pass

def cube(x):
    return x**3

def endless(x):
    while x > 0:
        x = x - 0.1
    return x

def two(a, b):
    return a * b

def comma(x):
    return x,

print("hello from the file")
wrong = activation(cube, derivative=lambda x: 2 * x**2, name="wrong")
"""


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    path = tmp_path / "functions.py"
    path.write_text(FUNCTIONS, encoding="utf-8")
    return path


def said(result: Any) -> str:
    """What was printed, in one line: a box may have wrapped it."""
    return re.sub(r"[\s│]+", " ", result.stdout + result.stderr)


def refuses(result: Any, *parts: str) -> None:
    assert result.exit_code == 2, said(result)
    assert isinstance(result.exception, SystemExit)
    for part in parts:
        assert part in said(result)
    assert "Traceback" not in said(result)


# --- what works ---------------------------------------------------------------------------------


def test_check_prints_the_verdict() -> None:
    result = run("check", SPIKY)
    assert result.exit_code == 0
    assert result.stdout.startswith("spiky: exact except at kinks")


def test_check_as_json_is_json_even_if_the_file_prints(functions: Path) -> None:
    result = run("check", f"{functions}:cube", "--json")
    assert json.loads(result.stdout)["verdict"] == "exact"
    assert "hello from the file" in result.stderr


def test_a_wrong_derivative_is_warned_about_and_exits_with_1(functions: Path) -> None:
    result = run("check", f"{functions}:wrong")
    assert result.exit_code == 1
    assert "WRONG" in result.stdout
    assert result.stderr.count("warning: ") == 1


def test_the_only_activation_of_a_file_needs_no_name(functions: Path) -> None:
    assert "wrong: WRONG" in run("check", functions).stdout


def test_a_lambda_goes_by_its_name_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "user.py"
    path.write_text("gate = lambda x: x if x > 0 else 0\n", encoding="utf-8")
    assert run("check", f"{path}:gate").stdout.startswith("gate: exact except at kinks")


def test_a_saved_activation_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    path.write_text(from_json(_saved()).to_json(), encoding="utf-8")
    assert run("source", path, "--framework", "numpy").stdout == from_json(_saved()).source("numpy")


def _saved() -> str:
    from actgrad import activation

    return activation(lambda x: x if x > 0 else 0.1 * x, name="leaky").to_json()


def test_source_is_a_file_that_runs(tmp_path: Path) -> None:
    text = run("source", SPIKY, "--framework", "numpy").stdout
    space: dict[str, Any] = {}
    exec(compile(text, "spiky_numpy.py", "exec"), space)
    np.testing.assert_array_equal(space["spiky"](np.array([0.25, 0.75])), [0.25, 0.0])


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plot_writes_a_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"spiky.{suffix}"
    result = run("plot", SPIKY, "--output", path, "--low", -2, "--high", 2)
    assert result.exit_code == 0, said(result)
    start = {"png": b"\x89PNG", "svg": b"<?xml"}[suffix]
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["check", "plot", "source", "train"])
def test_help_has_examples(name: str) -> None:
    assert f"actgrad {name} spiky.py:spiky" in said(run(name, "--help"))


def test_help_loads_no_framework() -> None:
    code = (
        "import sys\nfrom actgrad.workbench import cli\n"
        "try:\n    cli.app(['train', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'keras', 'torch', 'jax', 'matplotlib', 'sklearn', 'scipy'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    said = python("-c", code)
    assert said[-1] == "loaded: []"
    assert any("--learning-rate" in line for line in said)


# --- what is refused: the function --------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "plot", "source", "train"])
def test_no_such_file(command: str, tmp_path: Path) -> None:
    refuses(run(command, f"{tmp_path}/nowhere.py:f"), "no such file", "nowhere.py")


def test_the_nearest_file_is_suggested(functions: Path) -> None:
    refuses(run("check", f"{functions.parent}/function.py:cube"), "Did you mean", "functions.py")


@pytest.mark.parametrize("target", ["", " ", ":cube"])
def test_no_file_at_all(target: str) -> None:
    refuses(run("check", target), "names no file", "Give FILE:NAME")


def test_the_nearest_choice_is_suggested(functions: Path) -> None:
    result = run("source", f"{functions}:cube", "--framework", "torhc")
    refuses(result, "'torhc' is not one of", "Did you mean 'torch'?")
    assert "Value error" not in said(result)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cub", ["has no 'cub'; did you mean 'cube'?"]),
        ("nothing_like_it", ["has no 'nothing_like_it'; it has cube, endless, two, comma, wrong"]),
        ("alpha", ["'alpha'", "is 3 (int), and should be a function"]),
        ("Kind", ["is a class, and should be a function"]),
        ("comma", ["returns a tuple with one number", "is there a comma after it?"]),
        ("endless", ["'endless' cannot be read", "line 11", "while x > 0"]),
    ],
)
def test_a_name_that_cannot_be_used(functions: Path, name: str, parts: list[str]) -> None:
    refuses(run("check", f"{functions}:{name}"), *parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("x = 1\ny = 1 / 0\n", ["line 2: y = 1 / 0", "ZeroDivisionError: division by zero"]),
        ("def f(x)\n    return x\n", ["line 1: def f(x)", "SyntaxError"]),
        ("import not_there_at_all\n", ["line 1: import not_there_at_all", "ModuleNotFoundError"]),
        ("import sys\nsys.exit(0)\n", ["line 2: sys.exit(0)", "SystemExit"]),
        ("x = 1\0", ["null bytes"]),  # a SyntaxError, or before Python 3.11.4 a ValueError
        ("x = 1\n", ["which function", "it defines none"]),
    ],
    ids=["raises", "syntax", "import", "exit", "null", "empty"],
)
def test_a_file_that_cannot_be_loaded(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = tmp_path / "user.py"
    path.write_text(text, encoding="utf-8")
    refuses(run("check", path), "user.py", *parts)


@pytest.mark.parametrize("name", ["notes.txt", "folder", "broken.json"])
def test_a_file_of_another_kind(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "broken.json").write_text("{}", encoding="utf-8")
    refuses(run("check", tmp_path / name), name)


@pytest.mark.parametrize("output", ["folder", "nowhere/x.png", "x.xyz"])
def test_a_picture_that_cannot_be_written(tmp_path: Path, output: str) -> None:
    (tmp_path / "folder").mkdir()
    refuses(run("plot", SPIKY, "--output", tmp_path / output), "--output")


# --- what is refused: the training --------------------------------------------------------------


def test_an_activation_of_two_inputs_is_not_for_a_network(functions: Path) -> None:
    refuses(run("train", f"{functions}:two"), "takes 2 inputs (a, b)")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--epohcs", 3], ["No such option: --epohcs", "--epochs"]),
        (["--network", "mpl"], ["'mlp'", "'cnn'"]),
        (["--seeds", 0], ["--seeds"]),
        (["--epochs", 0], ["--epochs"]),
        (["--batch-size", -1], ["--batch-size"]),
        (["--learning-rate", 0], ["--learning-rate 0.0"]),
        (["--learning-rate", "nan"], ["--learning-rate nan"]),
        (["--data", "digit"], ["no such data: digit", "did you mean 'digits'?"]),
        (["--resume", "--overwrite"], ["--resume goes on, --overwrite begins anew"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if str(value[0]).startswith("--") else "",
)
def test_options_that_cannot_be_used(tmp_path: Path, options: list[Any], parts: list[str]) -> None:
    folder = tmp_path / "run"
    refuses(run("train", SPIKY, "--output", folder, *options), *parts)
    assert not folder.exists()


X, Y = samples()["x_train"], samples()["y_train"]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"y_test": None}, ["has no y_test", "it has x_train, y_train, x_test"]),
        ({"x_train": np.where(X == X[7, 0, 0], np.nan, 1.0)}, ["x_train", "nan", "sample"]),
        ({"y_train": Y[:-1]}, ["x_train has 200 samples and y_train 199 labels"]),
        ({"y_train": Y.astype(float)}, ["y_train holds float64", "whole numbers"]),
        ({"y_train": np.array(["a"] * 200)}, ["y_train holds <U1"]),
        ({"y_train": np.eye(3)[Y]}, ["y_train has the shape (200, 3)", "one-hot"]),
        ({"y_train": Y - 1}, ["y_train has the label -1"]),
        ({"y_train": Y * 10**8}, ["more than 10,000 classes"]),
        ({"y_train": Y * 0}, ["one class only"]),
        ({"x_train": X[:0], "y_train": Y[:0]}, ["x_train has the shape (0, 4, 4)"]),
        ({"x_train": X[:, 0, 0]}, ["x_train has the shape (200,)"]),
        ({"x_train": X[:, :3]}, ["(3, 4) in x_train and (4, 4) in x_test"]),
        ({"x_train": X.astype(complex)}, ["x_train holds complex128"]),
        ({"x_train": np.full((200, 4, 4), 1e300)}, ["too large for float32"]),
        ({"x_train": X.astype(object)}, ["Python objects", "could run code"]),
    ],
    ids=[
        "missing", "nan", "lengths", "float labels", "text labels", "one-hot", "negative", "huge label",
        "one class", "empty", "flat", "shapes", "complex", "too large", "objects",
    ],
)  # fmt: skip
def test_data_that_cannot_be_used(
    write_npz: Callable[..., Path], tmp_path: Path, changes: dict[str, Any], parts: list[str]
) -> None:
    folder = tmp_path / "run"
    result = run("train", SPIKY, "--data", write_npz(changes), "--output", folder)
    refuses(result, "changed.npz", "An .npz file is expected", *parts)
    assert not folder.exists()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_npz(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    refuses(run("train", SPIKY, "--data", path), "data.npz cannot be read")


def test_a_damaged_array(write_npz: Callable[..., Path]) -> None:
    path = write_npz({})
    content = bytearray(path.read_bytes())
    content[400:600] = bytes(200)
    path.write_bytes(content)
    refuses(run("train", SPIKY, "--data", path), "x_train", "damaged")


def test_a_single_array(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    refuses(run("train", SPIKY, "--data", tmp_path / "x.npy"), "holds one array")


def test_a_convolution_needs_images(write_npz: Callable[..., Path]) -> None:
    flat = {name: samples()[name].reshape(-1, 16) for name in ("x_train", "x_test")}
    refuses(
        run("train", SPIKY, "--data", write_npz(flat), "--network", "cnn"),
        "--network cnn needs images",
        "(16,)",
    )


def test_a_study_of_a_function_of_a_row_is_refused(functions: Path) -> None:
    text = "\nsquash = activation(lambda x: x / (1 + sum(x * x)), axis=-1, name='squash')\n"
    functions.write_text(FUNCTIONS + text, encoding="utf-8")
    refuses(run("study", f"{functions}:squash"), "is a function of a row", "`check()`")
