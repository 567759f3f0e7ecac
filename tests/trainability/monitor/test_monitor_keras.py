"""The monitor as a Keras callback, on each backend: each in one process of its own."""

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("sklearn")

from actgrad.errors import CallError
from actgrad.trainability.monitor import Monitor
from tests.process import python
from tests.sample import exhaustive_but

SCRIPT = Path(__file__).with_name("keras_script.py")


@cache
def found(backend):
    pytest.importorskip(backend)
    return json.loads(python(SCRIPT, KERAS_BACKEND=backend, OMP_NUM_THREADS="1")[-1])


@pytest.fixture(params=exhaustive_but(["torch"], ["tensorflow", "torch", "jax"]))
def run(request):
    return found(request.param)


@pytest.mark.parametrize("name", ["healthy", "as layers", "normalised"])
def test_no_false_alarm(run, name):
    assert run[name]["findings"] == []
    assert run[name]["layers"] == (4 if name == "normalised" else 3)
    assert math.isfinite(float(run[name]["loss"]))


def test_both_forms_measure_the_same(run):
    assert run["as layers"]["rms"] == pytest.approx(run["healthy"]["rms"], rel=1e-4)
    assert run["as layers"]["gradients"] == pytest.approx(run["healthy"]["gradients"], rel=1e-3)


def test_gradients_are_measured(run):
    assert all(0 < g < 1 for g in run["healthy"]["gradients"])


def test_escape_is_forecast_then_found_and_training_stops(run):
    diverging = run["diverging"]
    forecast, *rest = diverging["findings"]
    assert (forecast[0], forecast[1], forecast[2]) == ("escape", 0, False)
    assert diverging["cause"] == "escape"
    assert any(certain for _, _, certain, _ in rest)
    assert diverging["epochs"] < 4


def test_rolled_back(run):
    assert run["rolled back"]["finite"]
    assert run["rolled back"]["rate"] < 0.3 * 0.11


def test_the_model_is_left_as_it_was(run):
    assert all(part["untouched"] for part in run.values())


def small():
    layers = [keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2)]
    return keras.Sequential(layers)


def test_nan_in_the_data_is_said_before_the_first_step():
    x = np.ones((20, 3), "float32")
    x[7, 1] = np.nan
    monitor = Monitor(small(), x, terminal=False)
    (finding,) = monitor.findings
    assert (finding.cause, finding.layer) == ("nan", "the input")
    assert "1 of 20 samples" in finding.text
    assert "the first is 7" in finding.text


def test_x_is_an_array():
    with pytest.raises(CallError, match="NumPy array"):
        Monitor(small(), [[1.0, 2.0, 3.0]], terminal=False)


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorflow")
    monitor = Monitor({"a": None}, every=1, terminal=False, tensorboard=tmp_path)
    monitor.observe(0, 1.0, {"a": np.ones((2, 3))})
    (path,) = tmp_path.iterdir()
    assert b"rms/a" in path.read_bytes()
