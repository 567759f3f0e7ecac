"""`override` reaches functional calls of a PyTorch model. The oracle is PyTorch's own autograd."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("actgrad.frameworks.torch")

from torch import nn
from torch.nn import functional as F

from actgrad import activation, activations, override, replace
from actgrad.errors import OverrideError, UnreachedWarning
from actgrad.models.torch import MODULES

X = torch.tensor([[1.0, -2.0], [0.5, 3.0]])


@activation
def cube(x):
    return x**3


class Calling(nn.Module):
    """Calls a function of tensors; also through a helper that no look at `forward` would find."""

    def __init__(self, function):
        super().__init__()
        self.call = lambda x: function(x)

    def forward(self, x):
        return self.call(x)


FORMS = {
    "F.relu": F.relu,
    "torch.relu": torch.relu,
    "x.relu()": lambda x: x.relu(),
    "F.relu(inplace)": lambda x: F.relu(x.clone(), inplace=True),
    "F.relu_": lambda x: F.relu_(x.clone()),
    "torch.relu_": lambda x: torch.relu_(x.clone()),
    "x.relu_()": lambda x: x.clone().relu_(),
    "nn.ReLU": nn.ReLU(),
}


def gradient(model, x, upstream):
    x = x.clone().requires_grad_()
    y = model(x)
    return y.detach(), torch.autograd.grad(y, x, upstream)[0]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_call(form):
    model = Calling(FORMS[form])
    before = gradient(model, X, torch.ones_like(X))
    with override(model, "relu", cube):
        value, slope = gradient(model, X, torch.ones_like(X))
        assert torch.equal(F.relu(X), X.clamp(min=0)), "a call that is not the model's"
    torch.testing.assert_close(value, X**3)
    torch.testing.assert_close(slope, 3 * X**2)
    for a, b in zip(before, gradient(model, X, torch.ones_like(X)), strict=True):
        assert torch.equal(a, b)


def test_in_place_overwrites_what_it_was_given():
    def call(x):
        y = 1 * x
        F.relu(y, inplace=True)
        return y

    with override(model := Calling(call), "relu", cube):
        torch.testing.assert_close(model(X), X**3)


class Guided(torch.autograd.Function):
    """Guided backpropagation, as it is written by hand."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved_tensors
        return upstream.clamp(min=0) * (x > 0)


class Network(nn.Module):
    """A residual network in which ReLU is a module, a function, a method, and a part of PyTorch's own."""

    def __init__(self, relu=None):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0.0)
        self.last = nn.Linear(4, 3)
        self.act = nn.ReLU()
        self.ways = (self.act, F.relu, lambda x: x.relu_()) if relu is None else (relu,) * 3
        if relu is not None:
            self.encoder.activation = relu

    def forward(self, x):
        one, two, three = self.ways
        x = one(self.first(x))
        x = two(x + self.second(x))
        x = self.encoder(x.flatten(2).transpose(1, 2)).mean(1)
        return self.last(three(x))


@pytest.mark.parametrize("training", [True, False])
def test_guided_backpropagation_of_any_model(training):
    model, by_hand = Network().train(training), Network(Guided.apply).train(training)
    image = torch.randn(2, 1, 5, 5)
    upstream = torch.randn(2, 3)
    with override(model, "relu", gradient=lambda x, grad: max(grad, 0) if x > 0 else 0):
        value, saliency = gradient(model, image, upstream)
    wanted = gradient(by_hand, image, upstream)
    torch.testing.assert_close(value, wanted[0])
    torch.testing.assert_close(saliency, wanted[1])
    plain = gradient(model, image, upstream)[1]
    assert not torch.allclose(saliency, plain)


@pytest.mark.parametrize("name", sorted({name for name, _ in MODULES.values()}))
def test_every_function_that_a_module_stands_for(name):
    arguments = {"threshold": (0.2, -1.0)}.get(name, ())
    model = Calling(lambda x: getattr(F, name)(x, *arguments))
    value = model(X)
    with override(model, name, surrogate=lambda x: 7.0):
        found, slope = gradient(model, X, torch.ones_like(X))
    torch.testing.assert_close(found, value)
    assert slope.tolist() == torch.full_like(X, 7).tolist()


def test_options_of_a_call_are_kept():
    model = Calling(lambda x: F.leaky_relu(x, 0.25) + F.leaky_relu(x, negative_slope=0.5))
    with override(model, F.leaky_relu, surrogate=lambda x: 7.0):
        value, slope = gradient(model, X, torch.ones_like(X))
    torch.testing.assert_close(value, F.leaky_relu(X, 0.25) + F.leaky_relu(X, 0.5))
    assert slope.tolist() == torch.full_like(X, 14).tolist()


def test_an_option_that_is_a_tensor_is_refused():
    model = Calling(lambda x: F.softplus(x, torch.tensor(2.0)))
    with (
        override(model, "softplus", surrogate=lambda x: 7.0),
        pytest.raises(OverrideError, match="a tensor as an option"),
    ):
        model(X)


def test_what_an_activation_computes_with_is_no_call_of_the_model():
    """mish is made of tanh, and the function in the place of tanh calls tanh itself."""
    model = Calling(lambda x: activations.mish(x) + torch.tanh(x))
    with override(model, "tanh", lambda x: 2 * torch.tanh(x)):
        torch.testing.assert_close(model(X), F.mish(X) + 2 * torch.tanh(X))
    both = nn.Sequential(nn.Tanh(), activations.mish.module())
    with override(both, "tanh", lambda x: 2 * torch.tanh(x)):
        torch.testing.assert_close(both(X), F.mish(2 * torch.tanh(X)))


def test_scopes_nest():
    model = Calling(lambda x: F.relu(x) + torch.tanh(x))
    with override(model, "relu", lambda x: torch.tanh(x) * 3), override(model, "tanh", cube):
        torch.testing.assert_close(model(X), 3 * torch.tanh(X) + X**3)
    with override(model, "tanh", cube), override(model, "relu", lambda x: torch.tanh(x) * 3):
        torch.testing.assert_close(model(X), 3 * torch.tanh(X) + X**3)
    torch.testing.assert_close(model(X), F.relu(X) + torch.tanh(X))


def test_a_failing_model_leaves_nothing_behind():
    def fails(x):
        raise ZeroDivisionError

    model = nn.Sequential(Calling(F.relu), Calling(fails))
    with override(model, "relu", cube):
        with pytest.raises(ZeroDivisionError):
            model(X)
        assert torch.equal(F.relu(X), X.clamp(min=0))
        torch.testing.assert_close(model[0](X), X**3)


@pytest.mark.parametrize("fullgraph", [False, True])
def test_compiled_within_the_scope(fullgraph):
    model = Calling(lambda x: F.relu(x) + activations.mish(x))
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=fullgraph)
    with override(model, "relu", cube):
        value, slope = gradient(compiled, X, torch.ones_like(X))
        assert torch.equal(gradient(model, X, torch.ones_like(X))[1], slope)
        torch.testing.assert_close(value, X**3 + F.mish(X))
    torch.testing.assert_close(compiled(X), F.relu(X) + F.mish(X))


def test_a_function_that_nothing_calls_is_an_error_when_the_scope_ends():
    model = Calling(F.relu)
    with pytest.raises(OverrideError, match="no activation 'selu'"), override(model, "selu", cube):
        model(X)


def test_a_type_reaches_its_modules_alone():
    model = nn.Sequential(nn.ReLU(), Both())
    with pytest.warns(UnreachedWarning, match=r"Both\.forward"), override(model, nn.ReLU, cube):
        torch.testing.assert_close(model(X), F.relu(X**3))


class Both(nn.Module):
    def forward(self, x):
        return F.relu(x)


@pytest.mark.parametrize("held", [F.relu, nn.ReLU()], ids=["function", "module"])
def test_replaced_in_an_encoder_whose_kernel_knows_relu(held):
    """In evaluation nn.TransformerEncoderLayer runs a kernel that does not look at what it holds."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, activation=held).eval()
    other = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, activation=torch.tanh).eval()
    other.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3, 4)
    with torch.no_grad():
        before = layer(x)
        with override(layer, "relu", torch.tanh):
            torch.testing.assert_close(layer(x), other(x))
        torch.testing.assert_close(layer(x), before)
        replace(layer, {"relu": torch.tanh})
        torch.testing.assert_close(layer(x), other(x))
