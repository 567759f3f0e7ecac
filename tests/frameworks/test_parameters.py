"""`trainable(...)`, what a parameter may be, and the hook by which Keras learns of us."""

from __future__ import annotations

import numpy as np
import pytest

from actgrad import activation, trainable
from actgrad.errors import CallError, SettingError
from actgrad.frameworks.trainable import Trainable
from tests.process import python
from tests.sample import exhaustive_but
from tests.tensors import tensor


def _line(x, k=1.0, *, shift=0.0):
    return k * x + shift


line = activation(_line, name="line")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"initial": 1.0},
        {"initial": 1, "low": 0},
        {"initial": [0.5, 1.0], "high": 2.0},
        {"low": -1.0, "high": -1.0, "per_channel": True},
    ],
    ids=str,
)
def test_it_comes_back_from_its_config(options):
    found = trainable(**options)
    assert Trainable(**found.get_config()) == found
    assert hash(found) == hash(trainable(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 2.0, "high": 1.0}, r"low=2\.0 is above high=1\.0"),
        ({"initial": 0.0, "low": 1.0}, r"initial=0\.0 is not within \[1\.0, inf\]"),
        ({"initial": [0.0, 5.0], "high": 1.0}, "is not within"),
        ({"initial": float("nan")}, "is not within"),
        ({"initial": "1"}, "initial='1' is not a number"),
        ({"initial": True}, "initial=True is not a number"),
        ({"low": [0.0, 1.0]}, r"low=\[0\.0, 1\.0\] is not a number"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(SettingError, match=message):
        trainable(**options)


@pytest.mark.parametrize("x", [2.0, np.float32(2.0), np.array([2.0])], ids=repr)
def test_it_belongs_to_a_layer(x):
    with pytest.raises(
        CallError, match=r"'k' of 'line' must be a number(.|\n)*line.layer\(k=...\)"
    ):
        line(x, k=trainable(1.0))


@pytest.mark.parametrize("value", [3, 3.0, np.float32(3), np.array(3.0), np.int64(3)], ids=repr)
def test_any_number_is_a_parameter(value):
    assert line(2.0, k=value) == 6.0
    assert line(k=value)(2.0) == 6.0
    assert line(k=value) == line(k=3.0)


def test_an_array_is_a_parameter():
    bent = line(k=np.array([1.0, 2.0]), shift=[1, 1])
    np.testing.assert_array_equal(bent(np.ones((3, 2))), [[2, 3]] * 3)
    assert bent.parameters == {"k": (1.0, 2.0), "shift": (1.0, 1.0)}
    assert bent(k=1.0, shift=0.0) == line


def _repeated(x, n=2):
    for _ in range(n):
        x = np.tanh(x)
    return x


repeated = activation(_repeated, name="repeated")


@pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow", "jax", "keras"])
def test_native_takes_what_the_activation_takes(framework):
    x = tensor("tensorflow" if framework == "keras" else framework, [1.0, 2.0])
    assert np.asarray(line.native(framework)(x, k=3.0)).tolist() == [3.0, 6.0]
    with pytest.raises(CallError, match=r"no parameter 'shft'; did you mean 'shift'\?"):
        line.native(framework)(x, shft=1.0)
    with pytest.raises(CallError, match=r"takes 1 input \(x\), and got 2"):
        line.native(framework)(x, x)
    with pytest.raises(CallError, match=r"must be a number, and is 'two'"):
        line.native(framework)(x, k="two")
    with pytest.raises(CallError, match=r"shaped 'repeated' .*\n.*repeated\(n=\.\.\.\)\.native"):
        repeated.native(framework)(x, n=3)


HOOK = """
import sys
import actgrad
assert "keras" not in sys.modules
import {first}
import keras
key = "actgrad>Activation"
assert keras.saving.get_registered_object(key) is actgrad.Activation, "not registered"
watched = [finder.name for finder in sys.meta_path if type(finder).__name__ == "_Watch"]
assert "keras" not in watched, watched
print("done")
"""


@pytest.mark.parametrize("first", exhaustive_but(["json"], ["keras", "tensorflow", "json"]))
def test_keras_knows_us_once_it_is_imported(first):
    pytest.importorskip("keras")
    assert python("-c", HOOK.format(first=first), KERAS_BACKEND="jax")[-1] == "done"


FAILING = """
import sys, pathlib
pathlib.Path("keras.py").write_text("raise ImportError('broken on purpose')")
sys.path.insert(0, ".")
import actgrad
for _ in range(2):
    try:
        import keras
    except ImportError as error:
        assert "broken on purpose" in str(error)
    else:
        raise AssertionError("it was imported")
print("done")
"""


def test_a_keras_that_cannot_be_imported_fails_as_it_would(tmp_path):
    assert python("-c", FAILING, folder=tmp_path) == ["done"]
