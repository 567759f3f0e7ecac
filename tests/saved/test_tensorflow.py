"""A SavedModel keeps its derivatives in a process without actgrad; TFLite keeps its values."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import actgrad
from actgrad import activation
from tests.process import WITHOUT_ACTGRAD, python

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

if keras.config.backend() != "tensorflow":
    pytest.skip("Keras runs on another backend", allow_module_level=True)

X = np.float32([-1.7, -0.6, -0.2, 0.3, 0.7, 1.1])


def _spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


def _d_spiky(x):
    return 1.0 if x % 1 <= 0.5 else 0.0


def _step(x, k=2.0):
    return 1.0 if x >= 0 else 0.0


def _triangle(x, k):
    return k / (1 + (k * x) ** 2)


spiky = activation(_spiky, derivative=_d_spiky, name="spiky")
step = activation(_step, surrogate=_triangle, name="step")
seven = activation(lambda x: x * x, surrogate=lambda x: 7.0, name="seven")
swish = activation(lambda x, b=1.0: x / (1 + math.exp(-b * x)), name="swish")
guided = activation(
    lambda x: max(x, 0.0), gradient=lambda x, g: g if x > 0 < g else 0, name="guided"
)
gate = activation(lambda a, b: a * b, surrogate=lambda a, b: (3 * b, 5 * a), name="gate")


class Network(tf.Module):
    """Weights, learnt parameters, several inputs, a second activation after a first."""

    def __init__(self):
        self.w = tf.Variable(1.25)
        self.k = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def __call__(self, x):
        z = self.w * x
        return seven(step(z, k=self.k) + spiky(z)) + gate(z, self.k) + guided(z)


def signed(f: Any) -> Any:
    return tf.function(lambda x: f(x), input_signature=[tf.TensorSpec([None], tf.float32)])


def by_hand(w: float, k: float, x: float) -> tuple[float, float, float]:
    """The value, and the gradients by w and k: the chain rule over the given derivatives."""
    z = w * x
    inner = _step(z) + _spiky(z)
    by_z = 7 * (_triangle(z, k) + _d_spiky(z)) + 3 * k + (1.0 if z > 0 else 0.0)
    # The step does not depend on k, and its derivative by k was not given.
    return inner * inner + z * k + max(z, 0), by_z * x, 5 * z


OPENED = """
import json, logging, sys, warnings
warnings.simplefilter("error")
import tensorflow as tf, numpy as np
said = []
class Listener(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
tf.get_logger().addHandler(Listener())
logging.getLogger("absl").addHandler(Listener())
x = tf.constant(json.loads(sys.argv[2]), tf.float32)
found = {}

model = tf.saved_model.load(sys.argv[1] + "/module")
with tf.GradientTape(persistent=True) as tape:
    y = model(x)
    each = [y[i] for i in range(len(x))]
found["value"] = y
for name in "wk":
    found[name] = [tape.gradient(one, getattr(model, name)) for one in each]

model = tf.saved_model.load(sys.argv[1] + "/single")
with tf.GradientTape(persistent=True) as outer:
    outer.watch(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = {n: getattr(model, n)(x) for n in ("step", "swish", "seven")}
    first = {n: tape.gradient(v, x) for n, v in y.items()}
for n in y:
    found[n] = [y[n], first[n], outer.gradient(first[n], x)]

def gradient(f):
    def of(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x)
    return of
third = gradient(gradient(gradient(model.step)))
found["step"] += [third(x), np.isfinite(gradient(third)(x)).tolist()]

model = tf.saved_model.load(sys.argv[1] + "/keras")
data = np.load(sys.argv[1] + "/keras.npz")
with tf.GradientTape() as tape:
    y = model.serve(data["x"])
    loss = tf.reduce_sum(y * data["t"])
gradients = tape.gradient(loss, model.trainable_variables)
apart = [np.abs(g - data[f"g{i}"]).max() for i, g in enumerate(gradients)]
found["keras"] = [np.abs(y - data["y"]).max(), *apart]

assert "actgrad" not in sys.modules
try:
    import actgrad
    found["alone"] = False
except ImportError:
    found["alone"] = True
found["said"] = said
print(json.dumps(found, default=lambda a: np.asarray(a).tolist()))
"""


@pytest.fixture(scope="module")
def network() -> Any:
    f = activation(lambda x: 1.0 if x >= 0 else 0.0, surrogate=lambda x: 1 / (1 + x * x), name="f")
    layers = [
        keras.layers.Dense(6, activation=f),
        swish.layer(b=actgrad.trainable(1.5, low=0.0, per_channel=True)),
        keras.layers.Dense(4, activation=activation(_spiky, surrogate=7, name="g")),
        keras.layers.Dense(2),
    ]
    return keras.Sequential([keras.Input((3,)), *layers])


@pytest.fixture(scope="module")
def opened(tmp_path_factory: Any, network: Any) -> Any:
    folder = tmp_path_factory.mktemp("saved")
    tf.saved_model.save(Network(), str(folder / "module"))
    single = tf.Module()
    for f in (step, swish, seven):
        setattr(single, f.name, signed(f))
    tf.saved_model.save(single, str(folder / "single"))
    network.export(str(folder / "keras"), verbose=False)
    random = np.random.default_rng(0)
    x, t = random.normal(size=(5, 3)).astype("f"), random.normal(size=(5, 2)).astype("f")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(x) * t)
    gradients = tape.gradient(loss, network.trainable_variables)
    data = {f"g{i}": g.numpy() for i, g in enumerate(gradients)}
    np.savez(folder / "keras.npz", x=x, t=t, y=network(x).numpy(), **data)
    numbers = json.dumps(X.tolist())
    return json.loads(
        python("-I", "-c", WITHOUT_ACTGRAD + OPENED, folder, numbers, folder=folder)[-1]
    )


def test_it_was_opened_without_actgrad(opened: Any) -> None:
    assert opened["alone"]


def test_nothing_was_warned_about(opened: Any) -> None:
    assert opened["said"] == []


@pytest.mark.parametrize(("part", "at"), [("value", 0), ("w", 1), ("k", 2)])
def test_a_module(opened: Any, part: str, at: int) -> None:
    wanted = [by_hand(1.25, 2.0, float(x))[at] for x in X]
    np.testing.assert_allclose(opened[part], wanted, rtol=1e-5, atol=1e-6)


SECOND = {
    "step": (
        lambda x: 1.0 if x >= 0 else 0.0,
        lambda x: 2 / (1 + 4 * x * x),
        lambda x: -16 * x / (1 + 4 * x * x) ** 2,
    ),
    "seven": (lambda x: x * x, lambda x: 7.0, lambda x: 0.0),
}


def test_up_to_the_third_derivative_and_no_number_beyond(opened: Any) -> None:
    wanted = [16 * (12 * x * x - 1) / (1 + 4 * x * x) ** 3 for x in X.astype(float)]
    np.testing.assert_allclose(opened["step"][3], wanted, rtol=1e-4)
    assert opened["step"][4] == [False] * len(X)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", SECOND)
def test_the_derivative_of_the_derivative(opened: Any, name: str, order: int) -> None:
    wanted = [SECOND[name][order](float(x)) for x in X]
    np.testing.assert_allclose(opened[name][order], wanted, rtol=1e-5, atol=1e-6)


def test_the_second_derivative_of_what_nobody_gave(opened: Any) -> None:
    x, h = X.astype(float), 1e-4
    s = lambda x: x / (1 + np.exp(-x))
    second = (s(x + h) - 2 * s(x) + s(x - h)) / h**2
    np.testing.assert_allclose(opened["swish"][2], second, atol=1e-5)


def test_an_exported_keras_model_is_trained_on(opened: Any) -> None:
    value, *gradients = opened["keras"]
    assert value == 0
    assert len(gradients) == 7
    assert max(gradients) < 1e-5


def test_what_runs_on_the_host_is_refused(tmp_path: Path, capfd: Any) -> None:
    f = activation(lambda x: x, name="f", host=True, derivative=1)
    module = tf.Module()
    module.f = signed(f)
    with pytest.raises(ValueError, match="gradient") as caught:
        tf.saved_model.save(module, str(tmp_path / "m"))
    assert "host=True" in str(caught.value.__cause__)


# TFLite.


def lite(function: Any, *arrays: Any) -> Any:
    """What TFLite's own operations make of it."""
    specifications = [tf.TensorSpec([None, *a.shape[1:]], tf.float32) for a in arrays]
    concrete = tf.function(function).get_concrete_function(*specifications)
    return run_lite(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert(), *arrays)


def run_lite(content: bytes, *arrays: Any) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's: the interpreter will move to ai_edge_litert
        interpreter = tf.lite.Interpreter(model_content=content)
    for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
        interpreter.resize_tensor_input(detail["index"], array.shape)
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


LITE = {
    "spiky": _spiky,
    "step": lambda x: 1.0 if x >= 0 else 0.0,
    "a remainder": lambda x: x % 0.7,
    "a negative divisor": lambda x: x % -0.75,
    "a floored quotient": lambda x: x // 0.4 + x // -2,
    "swish": lambda x: x / (1 + math.exp(-x)),
    "branches": lambda x: math.log(x) if x > 0.5 else math.expm1(x) if x > -1 else x % 1,
    "rounded": lambda x: round(x) + math.trunc(x) - math.ceil(x),
}


@pytest.mark.parametrize("name", LITE)
def test_tflite_is_python(name: str) -> None:
    function = LITE[name]
    f = activation(function, name="f", surrogate=1)
    x = np.float32(np.arange(-13, 14) / 5 + 0.03)
    wanted = [function(float(v)) for v in x]
    np.testing.assert_allclose(lite(f, x), wanted, rtol=1e-5, atol=1e-6)


def test_a_keras_model_in_tflite(network: Any) -> None:
    x = np.random.default_rng(1).normal(size=(4, 3)).astype("f")
    content = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    np.testing.assert_allclose(run_lite(content, x), network(x), rtol=1e-5, atol=1e-6)
