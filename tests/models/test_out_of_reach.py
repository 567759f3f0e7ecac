"""What is no function of one number is named as such; PyTorch's smaller activations are reached."""

from __future__ import annotations

import pytest

from actgrad import activation, override
from actgrad.errors import OverrideError


@activation
def mine(x):
    return max(x, 0)


@pytest.mark.parametrize("old", ["PReLU", "Softmax"])
def test_keras_layers_that_are_no_function_of_one_number(old):
    keras = pytest.importorskip("keras")
    layers = [keras.layers.PReLU(name="first"), keras.layers.Softmax(name="last")]
    model = keras.Sequential([keras.Input((3,)), *layers])
    with (
        pytest.raises(OverrideError, match=r"out of reach: first \(PReLU\), last \(Softmax\)"),
        override(model, getattr(keras.layers, old), mine),
    ):
        pass


@pytest.mark.parametrize("old", ["PReLU", "RReLU", "Softmax", "GLU"])
def test_torch_modules_that_are_no_function_of_one_number(old):
    torch = pytest.importorskip("torch")
    kind = getattr(torch.nn, old)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), kind(-1) if old == "Softmax" else kind())
    with (
        pytest.raises(OverrideError, match=rf"out of reach: 1 \({old}\)"),
        override(model, kind, mine),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Hardshrink", (0.3,)),
        ("Softshrink", (0.3,)),
        ("Tanhshrink", ()),
        ("LogSigmoid", ()),
        ("Threshold", (0.2, -1.0)),
    ],
)
def test_only_the_derivative_of_a_torch_module(name, arguments):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(getattr(torch.nn, name)(*arguments))
    x = torch.tensor([-1.0, -0.25, 0.1, 0.7], requires_grad=True)
    value = model(x).detach()
    with override(model, type(model[0]), surrogate=lambda x: 7.0):
        y = model(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(y, value)
    assert slope.tolist() == [7.0] * 4
    assert type(model[0]) is getattr(torch.nn, name)
