"""`actgrad train`, driven as a user drives it: the real command in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import COMMAND, ROOT, environment

pytest.importorskip("tensorflow")
pytest.importorskip("keras")

pytestmark = pytest.mark.slow

SPIKY = f"{ROOT / 'examples' / 'spiky.py'}:spiky"
OPTIONS = ("--epochs", "12", "--seeds", "2", "--learning-rate", "0.01")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def whole(actgrad: Run, small: Path, tmp_path_factory: Any) -> tuple[str, str, Path]:
    """One uninterrupted training: what it printed, on both streams, and its folder."""
    folder = tmp_path_factory.mktemp("whole") / "deep" / "run"
    done = actgrad("train", SPIKY, "--data", small, "--output", folder, *OPTIONS)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr, folder


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


def without_times(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for run in runs:
        for row in run["history"]:
            del row["seconds"]
    return runs


def test_it_prints_the_check_the_table_and_that_the_model_came_back(whole: Any) -> None:
    printed, _, _ = whole
    assert "spiky: exact except at kinks" in printed
    assert "200 for training, 60 for testing, 4×4, 3 classes" in printed
    assert "mean ± standard deviation over 2 seeds" in printed
    assert "identical predictions, and it goes on learning in the same way" in printed


def test_nothing_but_its_own_words_is_printed(whole: Any) -> None:
    printed, complained, _ = whole
    assert complained == ""
    assert "\x1b" not in printed  # no colours in a pipe


def test_it_writes_what_it_says(whole: Any) -> None:
    printed, _, folder = whole
    made = {"activation.json", "curves.png", "function.png", "model.keras", "results.json"}
    assert {p.name for p in folder.iterdir()} == made | {"settings.json", "checkpoints"}
    assert all(name in printed for name in made)
    for name in ("curves.png", "function.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_results_hold_each_epoch_and_their_mean(whole: Any) -> None:
    _, _, folder = whole
    found = results(folder)
    assert [(r["who"], r["seed"], len(r["history"])) for r in found["runs"]] == [
        ("own", 0, 12),
        ("own", 1, 12),
        ("relu", 0, 12),
        ("relu", 1, 12),
    ]
    last = [r["history"][-1]["accuracy"] for r in found["runs"]]
    own = found["summary"]["own"]["accuracy"]
    assert own["mean"] == pytest.approx((last[0] + last[1]) / 2)
    assert own["deviation"] == pytest.approx(abs(last[0] - last[1]) / 2**0.5)
    assert min(last[2:]) > 0.9  # ReLU has learnt bright rows


def test_the_two_networks_begin_alike_and_the_seeds_do_not(whole: Any) -> None:
    _, _, folder = whole
    first = {(r["who"], r["seed"]): r["history"][0]["train_loss"] for r in results(folder)["runs"]}
    assert len(set(first.values())) == 4


def interrupt(arguments: list[str], when: Callable[[], bool]) -> tuple[int, str]:
    """Run the command, press Ctrl-C at the moment, and see how it ends."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 1200
        while not when() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        assert process.poll() is None, "it ended before it could be interrupted"
        process.send_signal(signal.SIGINT)
        _, complained = process.communicate(timeout=1200)
        return process.returncode, complained
    finally:
        process.kill()


@pytest.mark.exhaustive
def test_stopped_and_resumed_is_the_same_as_uninterrupted(
    actgrad: Run, whole: Any, small: Path, tmp_path: Path
) -> None:
    _, _, reference = whole
    folder = tmp_path / "run"
    arguments = ["train", SPIKY, "--data", str(small), "--output", str(folder), *OPTIONS]
    code, complained = interrupt(arguments, (folder / "checkpoints" / "own-0.npz").exists)
    assert code == 130
    assert "Every finished epoch is kept" in complained
    assert complained.rstrip().endswith("--resume")
    assert "Traceback" not in complained
    assert not (folder / "results.json").exists()
    assert not list(folder.rglob(".*"))  # nothing half-written
    with np.load(folder / "checkpoints" / "own-0.npz") as kept:
        before = len(json.loads(str(kept["progress"]))["history"])
    assert before >= 1
    refused = actgrad(*arguments)
    assert refused.returncode == 2
    assert "--resume goes on with it, --overwrite begins anew" in refused.stderr

    assert actgrad(*arguments, "--resume").returncode == 0
    a, b = results(folder), results(reference)
    assert without_times(a["runs"]) == without_times(b["runs"])
    for name in ("own-0.npz", "own-1.npz", "relu-0.npz", "relu-1.npz"):
        with (
            np.load(folder / "checkpoints" / name) as resumed,
            np.load(reference / "checkpoints" / name) as once,
        ):
            weights = [key for key in once.files if key != "progress"]
            assert len(weights) > 8  # weights, and the optimiser's two moments of each
            for key in weights:
                np.testing.assert_array_equal(resumed[key], once[key])


@pytest.mark.exhaustive
def test_nan_is_named_in_words(actgrad: Run, small: Path, tmp_path: Path) -> None:
    file = tmp_path / "grows.py"
    file.write_text("def grows(x):\n    return 1e38 * x**2\n", encoding="utf-8")
    folder = tmp_path / "run"
    done = actgrad(
        "train", f"{file}:grows", "--data", small, "--output", folder, "--network", "cnn",
        "--seeds", "1", "--epochs", "2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = results(folder)
    own = found["runs"][0]
    share = float(np.mean(np.load(small)["y_test"] == 0))
    assert own["broke"]["epoch"] == len(own["history"])
    assert own["history"][-1]["loss"] is None
    assert own["history"][-1]["accuracy"] == pytest.approx(share)
    text = " ".join(done.stdout.split())
    assert f"grows, seed 0: the loss became nan in epoch {own['broke']['epoch']}" in text
    assert "gives class 0 for every test sample" in text
    assert "is the share of class 0" in text


@pytest.mark.exhaustive
def test_stabilised(actgrad: Any, small: Path, tmp_path: Path) -> None:
    square = ROOT / "examples" / "square.py"
    done = actgrad(
        "train", f"{square}:square", "--data", small, "--output", tmp_path / "out",
        "--network", "deep", "--stabilise", "auto", "--epochs", 1, "--seeds", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "Stabilised: square, 4 layers" in said
    assert "normalisation of each sample" in said
    assert "identical predictions" in said
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["stabilise"] == "auto"
