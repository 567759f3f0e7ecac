"""`override` and `replace` on Keras models with the other backends, each in a process of its own.

The oracle is backpropagation by hand, in NumPy.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.process import python

# A process of Keras for each; `make test` has TensorFlow in test_override_keras.py.
pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]


PROBE = """
import json
import keras
import numpy as np
from actgrad import activation, override, replace
from actgrad.errors import OverrideError

keras.utils.set_random_seed(1)
X = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.7]], "float32")
layers = [keras.layers.Dense(5, activation="relu"), keras.layers.Dense(4), keras.layers.ReLU()]
model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1)])

if keras.config.backend() == "jax":
    import jax

    def gradient():
        kept = [v.value for v in model.trainable_variables]
        rest = [v.value for v in model.non_trainable_variables]
        return np.asarray(jax.grad(lambda x: model.stateless_call(kept, rest, x)[0].sum())(X))
else:
    import torch

    def gradient():
        x = torch.tensor(X, requires_grad=True)
        return torch.autograd.grad(model(x).sum(), x)[0].detach().numpy()

def by_hand(rule):
    dense = [layer.get_weights() for layer in model.layers if layer.get_weights()]
    values, zs = X, []
    for kernel, bias in dense[:-1]:
        zs.append(values @ kernel + bias)
        values = np.maximum(zs[-1], 0)
    up = np.ones((len(X), 1)) @ dense[-1][0].T
    for z, (kernel, _) in zip(zs[::-1], dense[-2::-1]):
        up = rule(z, up) @ kernel.T
    return up

def far(a, b):
    return float(np.abs(a - b).max())

plain = lambda z, up: np.where(z > 0, up, 0)
guided = lambda z, up: np.where(z > 0, np.maximum(up, 0), 0)
found = {"backend": keras.config.backend(), "plain": far(gradient(), by_hand(plain))}
before = gradient()
with override(model, "relu", gradient=lambda x, up: max(up, 0) if x > 0 else 0):
    found["guided"] = far(gradient(), by_hand(guided))
    found["guided and plain"] = far(gradient(), before)
    with override(model, model.layers[0], surrogate=lambda x: 7.0):
        found["nested"] = far(gradient(), by_hand(guided)) > 1e-3
found["restored"] = bool(np.array_equal(gradient(), before))
try:
    with override(model, "relu", surrogate=lambda x: 7.0):
        found["seven"] = far(gradient(), by_hand(lambda z, up: 7 * up))
        raise KeyError
except KeyError:
    found["restored after an exception"] = bool(np.array_equal(gradient(), before))

# What was compiled for the model does not outlive a change: with a slope of 0 nothing before it learns.
y = np.ones((3, 1), "float32")
model.compile("sgd", "mse")
first = model.layers[0]

def moved():
    old = first.get_weights()[0]
    model.fit(X, y, epochs=1, verbose=0)
    return bool(np.any(first.get_weights()[0] != old))

found["moves"] = moved()
with override(model, "relu", gradient=lambda x, up: 0 * up):
    found["moves without a gradient"] = moved()
found["moves again"] = moved()

replace(model, {"relu": activation(lambda x: x * x, name="square")})
z = X @ first.get_weights()[0] + first.get_weights()[1]
z = z**2 @ model.layers[1].get_weights()[0] + model.layers[1].get_weights()[1]
value = z**2 @ model.layers[3].get_weights()[0] + model.layers[3].get_weights()[1]
found["replaced"] = far(model.predict(X, verbose=0), value) / float(np.abs(value).max())
try:
    replace(model, {"relu": "gelu"})
except OverrideError as error:
    found["gone"] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module", params=["jax", "torch"])
def found(request: Any) -> dict[str, Any]:
    pytest.importorskip("keras")
    pytest.importorskip(request.param)
    said = python("-c", PROBE, KERAS_BACKEND=request.param)
    answer: dict[str, Any] = json.loads(said[-1])
    assert answer["backend"] == request.param
    return answer


@pytest.mark.parametrize("rule", ["plain", "guided", "seven", "replaced"])
def test_it_is_what_one_computes_by_hand(found: dict[str, Any], rule: str) -> None:
    assert found[rule] < 1e-4


def test_the_rule_makes_a_difference(found: dict[str, Any]) -> None:
    assert found["guided and plain"] > 1e-3
    assert found["nested"]


@pytest.mark.parametrize("when", ["restored", "restored after an exception"])
def test_it_is_as_before_afterwards(found: dict[str, Any], when: str) -> None:
    assert found[when]


def test_what_was_compiled_does_not_outlive_a_change(found: dict[str, Any]) -> None:
    assert found["moves"]
    assert not found["moves without a gradient"]
    assert found["moves again"]


def test_what_is_gone_is_not_found(found: dict[str, Any]) -> None:
    assert "the model has no activation 'relu'" in found["gone"]
    assert "square: " in found["gone"]
