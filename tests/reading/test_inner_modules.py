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


class Doubled(torch.nn.PReLU):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return 2 * super().forward(x)


class Shifted(Doubled):
    def forward(self, x: Any) -> Any:
        return super(Shifted, self).forward(x) + 1


def test_super_finds_the_methods_of_the_bases() -> None:
    shifted = Shifted()
    for f in (activation(shifted), activation(lambda x: shifted(x))):
        assert f.parameters == {"weight": 0.25}
        torch.testing.assert_close(f(X), shifted(X).detach())


def test_super_of_a_keras_layer() -> None:
    keras = pytest.importorskip("keras")

    class Layer(keras.layers.LeakyReLU):  # type: ignore[misc,name-defined]
        @property
        def scale(self) -> float:
            return 3.0

        def call(self, x: Any) -> Any:
            return self.scale * super().call(x)

    class Last(Layer):
        @property
        def scale(self) -> float:
            return 1 + super().scale

    f = activation(Last())
    np.testing.assert_allclose(f(np.array([-1.0, 2.0])), [-1.2, 8.0], rtol=1e-6)


def test_super_of_an_equinox_module() -> None:
    eqx, jnp = pytest.importorskip("equinox"), pytest.importorskip("jax.numpy")

    class Base(eqx.Module):  # type: ignore[misc,name-defined]
        a: float = 2.0

        def __call__(self, x: Any) -> Any:
            return jnp.tanh(self.a * x)

    class Module(Base):
        def __call__(self, x: Any) -> Any:
            return super().__call__(x) + 1

    f = activation(Module())
    assert f.parameters == {"a": 2.0}
    assert f(-0.731) == pytest.approx(1 + np.tanh(-1.462), rel=1e-12)


def test_the_value_of_a_flax_parameter() -> None:
    nnx, jnp = pytest.importorskip("flax.nnx"), pytest.importorskip("jax.numpy")

    class Swish(nnx.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.beta = nnx.Param(jnp.array(1.25))

        def __call__(self, x: Any) -> Any:
            return x * nnx.sigmoid(self.beta.value * x)

    f = activation(Swish())
    assert f.parameters == {"beta": 1.25}
    assert f(2.0) == pytest.approx(2 / (1 + np.exp(-2.5)))


@pytest.mark.parametrize(
    "path",
    ["equinox.filter_jit", "equinox.filter_checkpoint", "equinox.filter_vmap", "flax.nnx.jit"],
)
def test_an_object_around_a_function_is_read_as_the_function(path: str) -> None:
    package, _, name = path.rpartition(".")
    jax = pytest.importorskip("jax")
    wrapped = getattr(pytest.importorskip(package), name)(lambda x: jax.nn.silu(x) * 2)
    for f in (activation(wrapped), activation(lambda x: wrapped(x) + 0)):
        assert f(1.5) == pytest.approx(3 / (1 + np.exp(-1.5)))


def test_a_vectorized_function_that_truncates_is_refused() -> None:
    with pytest.raises(TraceError, match="otypes"):
        activation(lambda x: np.vectorize(abs, otypes=[int])(x))


def test_a_parameter_of_haiku() -> None:
    hk, jax = pytest.importorskip("haiku"), pytest.importorskip("jax")

    class Scaled(hk.Module):  # type: ignore[misc,name-defined]
        def __call__(self, x: Any) -> Any:
            return jax.numpy.tanh(hk.get_parameter("w", (), init=hk.initializers.Constant(1.5)) * x)

    network = hk.without_apply_rng(hk.transform(lambda x: Scaled()(x)))
    weights = network.init(jax.random.key(0), jax.numpy.ones(3))
    f = activation(lambda x: network.apply(weights, x))
    assert f(0.3) == pytest.approx(np.tanh(0.45), rel=1e-6)


class Scaled(torch.nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Any) -> Any:
        return self.a * torch.tanh(x)


def test_a_module_under_torch_compile_is_the_module() -> None:
    f = activation(torch.compile(Scaled()))
    assert f.parameters == {"a": 2.0}
    assert f(0.3) == pytest.approx(2 * np.tanh(0.3), rel=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_module_that_torch_jit_compiled_is_refused() -> None:
    for compiled in (torch.jit.script(torch.nn.PReLU()), torch.jit.trace(Scaled(), X)):
        for function in (compiled, lambda x, compiled=compiled: compiled(x)):
            with pytest.raises(TraceError, match=r"`torch\.jit` has compiled"):
                activation(function)
