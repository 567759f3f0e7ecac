"""Flags and TOML -> a design; what cannot be compared is refused, with a way out."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from actgrad.errors import ActgradError, InputError
from actgrad.workbench.compare.design import Asked, Design, make, read_toml, rebuild
from tests.compare.synthetic import design


def labels(plan: Design) -> list[str]:
    return [c.label for c in plan.activations]


def test_a_grid_on_the_command_line_and_in_toml_is_the_same(folder: Path) -> None:
    file = folder / "study.toml"
    file.write_text(
        "activations = ['relu', {name = 'mine.py:leaky', parameters = {slope = [0.1, 0.3]}}]\n"
        "seeds = 2\nrates = [1e-3, 3e-4]\ndata = ['small.npz']\nnetworks = 'deep'\n"
    )
    plan = make(read_toml(file), "tensorflow", lambda _: None)
    assert labels(plan) == ["relu", "leaky(slope=0.1)", "leaky(slope=0.3)"]
    asked = Asked(
        ("relu", f"{folder / 'mine.py'}:leaky?slope=0.1,0.3"), seeds=2, networks=("deep",),
        data=(str(folder / "small.npz"),),
    )  # fmt: skip
    assert make(asked, "tensorflow", lambda _: None) == plan


@pytest.mark.parametrize("slope", [0.1, 0.3])
def test_a_worker_builds_the_same_from_data(folder: Path, slope: float) -> None:
    plan = design(activations=("relu", f"{folder / 'mine.py'}:leaky?slope={slope}"))
    f = rebuild(plan.activations[1])
    assert [float(f(x)) for x in (-2.0, 3.0)] == [-2 * slope, 3.0]


def test_equal_tuning(folder: Path) -> None:
    plan = design(optimizers=("adam", "sgd"), tuning_seeds=2, networks=("mlp", "cnn"))
    assert [str(t) for t in plan.tries] == ["adam 0.001", "adam 0.0003", "sgd 0.001", "sgd 0.0003"]
    assert plan.size == 3 * 2 * (4 * 2 + 5)


WRONG: dict[str, dict[str, object]] = {
    "did you mean 'gelu'": {"activations": ("relu", "gelo")},
    "is given twice": {"activations": ("relu", "relu")},
    "has no parameter 'slop'; did you mean 'slope'": {"activations": ("mine.py:leaky?slop=1",)},
    "parameters are NAME=NUMBER": {"activations": ("mine.py:leaky?slope=a",)},
    "no such file: none.py": {"activations": ("none.py:f",)},
    "networks 'mpl' is not known; did you mean 'mlp'": {"networks": ("mpl",)},
    "optimizers 'adan' is not known": {"optimizers": ("adan",)},
    "rates -1.0: it should be a number above 0": {"rates": (-1.0,)},
    "rates: 0.1 is given twice": {"rates": (0.1, 0.1)},
    "seeds 0: it should be": {"seeds": 0},
    "no such data: dig": {"data": ("dig",)},
    "reference 'tan' is not compared; did you mean 'tanh'": {"reference": "tan"},
}


@pytest.mark.parametrize("message", WRONG)
def test_what_cannot_be_compared(
    folder: Path, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(ActgradError, match=message):
        design(**WRONG[message])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("activation = ['relu']", "the key 'activation'; did you mean 'activations'"),
        ("seeds = 3", "has no activations"),
        ("activations = [", "is not TOML"),
    ],
)
def test_toml_that_is_no_design(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_toml(tmp_path / "wrong.toml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["relu", "--networks", "mlp", "gelu"], "networks 'gelu' is not known"),
        (["relu", "--engine", "dask"], "--engine dask needs --address"),
        (["nowhere", "--table"], "no comparison in nowhere"),
    ],
)
def test_exit_code_2_and_nothing_is_written(
    folder: Path,
    compare: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    output = [] if "--table" in arguments else ["-o", tmp_path / "out"]
    done = compare(*arguments, *output)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
