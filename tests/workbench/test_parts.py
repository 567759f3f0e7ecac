"""The parts behind `actgrad train` that need no framework."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actgrad.errors import InputError, WriteError
from actgrad.workbench import data, folder, results
from actgrad.workbench.export import drafted
from actgrad.workbench.folder import Folder, load_state, save_state
from actgrad.workbench.quiet import quiet
from actgrad.workbench.signals import ctrl_c, ends_as_by_ctrl_c
from actgrad.workbench.train import Run

from .conftest import samples

NAN = float("nan")
SETTINGS = {"epochs": 5, "seeds": 2, "network": "mlp"}


def row(accuracy: float, loss: float = 0.5, seconds: float = 1.0) -> dict[str, float]:
    return {
        "train_loss": loss,
        "train_accuracy": accuracy,
        "loss": loss,
        "accuracy": accuracy,
        "seconds": seconds,
    }


# --- data ---------------------------------------------------------------------------------------


def test_whole_numbers_are_scaled_by_the_training_data(tmp_path: Path) -> None:
    arrays = samples()
    np.savez(tmp_path / "a.npz", **arrays)
    found = data.load(str(tmp_path / "a.npz"))
    assert found.x_train.max() == 1
    expected = arrays["x_test"] / np.float32(arrays["x_train"].max())
    np.testing.assert_array_equal(found.x_test, expected.astype(np.float32))


def test_other_numbers_and_columns_of_labels_are_taken(tmp_path: Path) -> None:
    arrays = samples()
    arrays["x_train"] = arrays["x_train"].astype(np.float64) - 50
    arrays["y_train"] = arrays["y_train"][:, None]
    np.savez(tmp_path / "a.npz", **arrays)
    found = data.load(str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(found.x_train, arrays["x_train"].astype(np.float32))
    assert found.y_train.shape == (200,)


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    arrays = samples()
    np.savez(tmp_path / "a.npz", **arrays)
    np.savez_compressed(tmp_path / "b.npz", **arrays)
    arrays["y_test"] = arrays["y_test"][::-1]
    np.savez(tmp_path / "c.npz", **arrays)
    a, b, c = (data.load(str(tmp_path / f"{name}.npz")).digest for name in "abc")
    assert a == b != c


def test_the_digits_are_there() -> None:
    pytest.importorskip("sklearn")
    found = data.load("digits")
    assert str(found) == "digits: 1,437 for training, 360 for testing, 8×8, 10 classes"
    assert (found.x_train.min(), found.x_train.max()) == (0, 1)


# --- results ------------------------------------------------------------------------------------


def test_runs_that_became_nan_are_counted_and_not_averaged() -> None:
    runs = [
        Run("own", "f", 0, [row(0.5), row(0.8)]),
        Run("own", "f", 1, [row(0.1, NAN)], broke={"epoch": 1, "step": 3}, constant=0),
        Run("own", "f", 2, [row(0.5), row(0.6)]),
    ]
    found = results.summary(runs)
    assert (found["runs"], found["broke"]) == (3, 1)
    assert found["accuracy"] == {
        "mean": pytest.approx(0.7),
        "deviation": pytest.approx(0.02**0.5),
    }


def test_the_first_epoch_compiles_and_does_not_count() -> None:
    assert Run("own", "f", 0, [row(0, 0, 9.0), row(0, 0, 1.0), row(0, 0, 3.0)]).seconds == 2.0
    assert Run("own", "f", 0, [row(0, 0, 9.0)]).seconds == 9.0


def test_the_difference_is_seed_by_seed() -> None:
    own = [Run("own", "f", s, [row(a)]) for s, a in enumerate((0.5, 0.7))]
    relu = [Run("relu", "ReLU", s, [row(a)]) for s, a in enumerate((0.6, 0.8))]
    found = results.difference(own, relu)
    assert found["mean"] == pytest.approx(-0.1)
    assert found["deviation"] == pytest.approx(0, abs=1e-12)


def test_a_run_that_learns_needs_no_words() -> None:
    assert results.notes(Run("own", "f", 0, [row(0.5), row(0.9), row(0.88)]), 10) == []


NOTES = {
    "nan": (
        Run("own", "f", 1, [row(0.9), row(0.1, NAN)], {"epoch": 2, "step": 4}, 0, 0.1),
        ["f, seed 1: the loss became nan in epoch 2, step 4 of 10", "share of class 0", "90.0 %"],
    ),
    "infinite": (
        Run("own", "f", 0, [row(0.3, float("inf"))], {"epoch": 1, "step": 10}),
        ["became infinite in epoch 1"],
    ),
    "nan in the test data": (
        Run("own", "f", 0, [row(0.3) | {"loss": NAN}], {"epoch": 1, "step": 10}),
        ["the loss of the test data became nan after epoch 1"],
    ),
    "one class": (
        Run("own", "f", 0, [row(0.1)], None, 7, 0.1),
        ["gives class 7 for every test sample", "10.0 %", "learnt nothing"],
    ),
    "fell": (
        Run("own", "f", 0, [row(0.3), row(0.92), row(0.1)]),
        ["best in epoch 2, 92.0 %", "fell to 10.0 % in epoch 3"],
    ),
}


@pytest.mark.parametrize("case", NOTES)
def test_what_went_wrong_is_said_in_words(case: str) -> None:
    run, parts = NOTES[case]
    (note,) = results.notes(run, 10)
    assert [part for part in parts if part not in note] == []


# --- the folder ---------------------------------------------------------------------------------


def started(path: Path, finished: bool, settings: dict[str, Any] = SETTINGS) -> Folder:
    found = Folder(path)
    found.open(settings, resume=False)
    if finished:
        (found / folder.RESULTS).write_text("{}", encoding="utf-8")
    return found


@pytest.mark.parametrize("finished", [False, True])
def test_a_training_is_not_written_over_unasked(tmp_path: Path, finished: bool) -> None:
    here = started(tmp_path / "run", finished=finished)
    with pytest.raises(InputError, match="--resume goes on with it, --overwrite begins anew"):
        here.check(SETTINGS, resume=False, overwrite=False)
    here.check(SETTINGS, resume=False, overwrite=True)


def test_a_stopped_training_can_be_resumed(tmp_path: Path) -> None:
    started(tmp_path / "run", finished=False).check(SETTINGS, resume=True, overwrite=False)


def test_a_finished_training_may_be_replaced_and_leaves_nothing_behind(tmp_path: Path) -> None:
    here = started(tmp_path / "run", finished=True)
    here.checkpoint("own", 0).write_bytes(b"old")
    here.check(SETTINGS, resume=False, overwrite=True)
    here.open(SETTINGS, resume=False)
    assert sorted(p.name for p in here.path.rglob("*")) == ["checkpoints", "settings.json"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_of_others_are_not_written_over(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "results.json").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"results\.json that `actgrad train` did not write"):
        Folder(tmp_path).check(SETTINGS, resume=False, overwrite=overwrite)


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to resume"):
        Folder(tmp_path / "run").check(SETTINGS, resume=True, overwrite=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "the training there is complete"),
        ({"network": "cnn"}, "network: mlp then, cnn now"),
        ({"epochs": 4}, "epochs: 5 then, 4 now"),
    ],
    ids=["complete", "network", "fewer epochs"],
)
def test_what_resume_refuses(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    here = started(tmp_path / "run", finished=True)
    with pytest.raises(InputError, match=message):
        here.check({**SETTINGS, **change}, resume=True, overwrite=False)


@pytest.mark.parametrize("change", [{"epochs": 6}, {"seeds": 3}], ids=["epochs", "seeds"])
def test_resume_takes_more(tmp_path: Path, change: dict[str, Any]) -> None:
    here = started(tmp_path / "run", finished=True)
    here.check({**SETTINGS, **change}, resume=True, overwrite=False)


def test_an_output_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        Folder(tmp_path / "file" / "run").check(SETTINGS, resume=False, overwrite=False)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_an_output_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(
        WriteError, match=r"no permission in .*\n  Choose a folder in which you may"
    ):
        Folder(tmp_path / "run").check(SETTINGS, resume=False, overwrite=False)


@pytest.mark.skipif(sys.platform != "linux", reason="a file system that takes no folders")
def test_an_output_that_cannot_be_made() -> None:
    with pytest.raises(WriteError, match="cannot be written"):
        Folder(Path("/proc/actgrad/run")).open(SETTINGS, resume=False)


# --- checkpoints --------------------------------------------------------------------------------


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    values = [np.arange(6, dtype=np.float32).reshape(2, 3), np.int64(7)]
    path = tmp_path / "a.npz"
    save_state(path, values, {"history": [row(0.5, NAN)], "broke": None})
    found = load_state(path, [(2, 3), ()])
    assert found is not None
    back, progress = found
    np.testing.assert_array_equal(back[0], values[0])
    assert back[1] == 7
    assert np.isnan(progress["history"][0]["loss"])


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_state(tmp_path / "a.npz", []) is None


@pytest.mark.parametrize("damage", ["cut", "other shapes", "no progress"])
def test_a_damaged_checkpoint_is_said_to_be(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.npz"
    save_state(path, [np.zeros(4)], {})
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "no progress":
        np.savez(path, v0=np.zeros(4))
    with pytest.raises(InputError, match="is damaged"):
        load_state(path, [(5,)] if damage == "other shapes" else [(4,)])


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    folder.write_json(path, {"a": 1})
    old = path.read_bytes()
    with pytest.raises(TypeError):
        folder.write_json(path, {"a": object()})
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


# --- quiet --------------------------------------------------------------------------------------

NOISE = b"I0000 00:00:1795216244.757790    9371 port.cc:153] oneDNN custom operations are on.\n"


def test_only_the_notices_are_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        os.write(2, NOISE + b"something else\n")
    assert capfd.readouterr().err == "something else\n"


def test_the_error_stream_is_restored_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        os.write(2, b"before it failed\n")
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"), quiet():
        fail()
    os.write(2, NOISE)
    assert capfd.readouterr().err == "before it failed\n" + NOISE.decode()


class PressesCtrlC:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_in_a_destructor_is_not_lost() -> None:
    before = signal.getsignal(signal.SIGINT)
    with ctrl_c() as heed:
        heed()
        PressesCtrlC()
        with pytest.raises(KeyboardInterrupt):
            heed()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("ctrl_c_does", [signal.default_int_handler, signal.SIG_IGN])
def test_sigterm_leaves_nothing_half_written(ctrl_c_does: Any, tmp_path: Path) -> None:
    """Also where Ctrl-C is ignored, as in what a script starts in the background."""

    def stopped() -> None:
        with ends_as_by_ctrl_c(), drafted(tmp_path / "f.onnx", "onnx") as draft:
            draft.write_text("half")
            signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGINT, ctrl_c_does)
    try:
        with pytest.raises(KeyboardInterrupt):
            stopped()
    finally:
        signal.signal(signal.SIGINT, before)
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
