"""`override` and `replace` on PyTorch modules."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("actgrad.frameworks.torch")

from torch import nn
from torch.nn import functional

from actgrad import activation, override, replace, trainable
from actgrad.errors import OverrideError, UnreachedWarning


@activation(surrogate=lambda x: 7.0)
def seven(x):
    return max(x, 0.0)


@activation
def cube(x):
    return x**3


X = torch.tensor([[1.0, -2.0], [0.5, 3.0]])


def gradient(model, x=X):
    x = x.clone().requires_grad_()
    y = model(x)
    return torch.autograd.grad(y.sum(), x)[0]


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Identity(), nn.ReLU())
        self.bend = functional.relu

    def forward(self, x):
        return self.inner(x) + self.bend(x)


class Calls(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(x) + functional.relu(x)


MODELS = {"a child": lambda: nn.Sequential(nn.ReLU()), "deep, and an attribute": Own}


@pytest.mark.parametrize("kind", MODELS)
def test_swapped_by_name_and_restored(kind):
    model = MODELS[kind]()
    times = model(torch.ones(1)).item()
    before, children = gradient(model), list(model.modules())
    with override(model, "relu", cube):
        torch.testing.assert_close(model(X), times * X**3)
        torch.testing.assert_close(gradient(model), times * 3 * X**2)
    assert all(a is b for a, b in zip(model.modules(), children, strict=True))
    torch.testing.assert_close(gradient(model), before)


OLD = {"type": nn.ReLU, "name": "relu"}


@pytest.mark.parametrize("old", OLD.values(), ids=OLD)
def test_only_the_derivative(old):
    model = nn.Sequential(nn.ReLU())
    with override(model, old, gradient=lambda x, grad: 7 * grad):
        torch.testing.assert_close(model(X), X.clamp(min=0))
        torch.testing.assert_close(gradient(model), torch.full_like(X, 7))


def test_only_the_derivative_of_a_module_with_options():
    model = nn.Sequential(nn.LeakyReLU(0.25))
    with override(model, nn.LeakyReLU, surrogate=lambda x: 7.0):
        torch.testing.assert_close(model(X), functional.leaky_relu(X, 0.25))
        torch.testing.assert_close(gradient(model), torch.full_like(X, 7))


def test_ones_own_module():
    model = nn.Sequential(cube.module(), nn.Linear(2, 2))
    with override(model, cube, seven):
        torch.testing.assert_close(model[0](X), X.clamp(min=0))
    torch.testing.assert_close(model[0](X), X**3)


def test_a_trainable_module_keeps_its_weight():
    @activation
    def scaled(x, beta=1.0):
        return beta * x

    model = nn.Sequential(scaled.module(beta=trainable(3.0)))
    with override(model, scaled, surrogate=lambda x: 7.0):
        torch.testing.assert_close(model(X), 3 * X)
        torch.testing.assert_close(gradient(model), torch.full_like(X, 7))
    torch.testing.assert_close(gradient(model), torch.full_like(X, 3))
    with (
        pytest.raises(OverrideError, match="parameters \\['beta'\\]"),
        override(model, scaled, cube),
    ):
        pass


def test_replace():
    model = nn.Sequential(nn.ReLU(), nn.Tanh())
    assert replace(model, {nn.ReLU: nn.Tanh(), nn.Tanh: seven}) is model
    torch.testing.assert_close(model(X), X.tanh().clamp(min=0))


def test_replace_reports_functional_calls():
    model = Calls()
    with pytest.warns(UnreachedWarning, match=r"Calls\.forward"):
        replace(model, {"relu": cube})
    torch.testing.assert_close(model(X), X**3 + X.clamp(min=0))


def test_not_found_lists_what_there_is():
    with (
        pytest.raises(OverrideError, match="relu: 0"),
        override(nn.Sequential(nn.ReLU()), "selu", cube),
    ):
        pass
