"""Modules and layers that a function calls: their weights are parameters of the activation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actgrad import activation, trainable
from actgrad.errors import TraceError

torch = pytest.importorskip("torch")
X = torch.linspace(-3, 3, 25)


class Gated(torch.nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.beta = torch.nn.Parameter(torch.tensor(1.5))
        self.inner = torch.nn.PReLU()

    def forward(self, x: Any) -> Any:
        return self.inner(x) * torch.sigmoid(self.beta * x)


def test_the_weights_are_parameters_named_after_their_attributes() -> None:
    gated = Gated()
    f = activation(lambda x: gated(x) + 1)
    assert f.parameters == {"weight": 0.25, "beta": 1.5}
    torch.testing.assert_close(f(X), gated(X).detach() + 1)
    module = f.module(beta=trainable())
    assert [name for name, _ in module.named_parameters()] == ["beta"]
    y = module(X).sum()
    y.backward()
    (expected,) = torch.autograd.grad(gated(X).sum(), [gated.beta])
    torch.testing.assert_close(module.beta.grad.sum(), expected)


def test_weights_of_one_name_are_numbered() -> None:
    first, second = torch.nn.PReLU(), torch.nn.PReLU(1, 0.5)
    f = activation(lambda x: first(x) + second(-x) - first(2 * x))
    assert f.parameters == {"weight": 0.25, "weight_2": 0.5}
    expected = first(X) + second(-X) - first(2 * X)
    torch.testing.assert_close(f(X), expected.detach())


def test_a_rule_beside_it_keeps_the_parameters() -> None:
    inner = torch.nn.PReLU()
    f = activation(lambda x: inner(x), surrogate=lambda x: x)
    assert f.parameters == {"weight": 0.25}
    assert float(f.derivative(3.0)) == 3.0
    with pytest.raises(TraceError, match="uses the weight 'weight'"):
        activation(lambda x: inner(x), surrogate=lambda x: inner(x))


def test_a_weight_that_the_function_itself_takes_from_a_module_is_refused() -> None:
    class Net(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.beta = torch.nn.Parameter(torch.tensor(1.0))
            self.act = activation(lambda x: x * torch.sigmoid(self.beta * x))

    with pytest.raises(
        TraceError, match=r"uses the weight 'beta'.*\n.*\n.*\n.*trainable\(\.\.\.\)"
    ):
        Net()


def test_a_keras_layer() -> None:
    keras = pytest.importorskip("keras")
    layer = keras.layers.PReLU()
    with pytest.raises(
        TraceError, match=r"has no 'alpha' before it is built\n.*\n.*\n.*Build it first"
    ):
        activation(lambda x: layer(x))
    layer.build((None, 1))
    layer.set_weights([np.array([0.5])])
    assert activation(lambda x: layer(x) + 1).parameters == {"alpha": 0.5}
