"""The same question asked of each framework: value and gradient, on float32 tensors."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import pytest


class TensorFlow:
    def __init__(self):
        self.tf = pytest.importorskip("tensorflow")

    def run(self, f, xs, upstream):
        tensors = [self.tf.constant(x) for x in xs]
        with self.tf.GradientTape() as tape:
            tape.watch(tensors)
            y = f(*tensors)
        return y.numpy(), [g.numpy() for g in tape.gradient(y, tensors, upstream)]


class TensorFlowGraph(TensorFlow):
    def run(self, f, xs, upstream):
        return super().run(self.tf.function(f), xs, upstream)


class TensorFlowXLA(TensorFlow):
    def run(self, f, xs, upstream):
        return super().run(self.tf.function(f, jit_compile=True), xs, upstream)


class Keras(TensorFlow):
    def __init__(self):
        super().__init__()
        keras = pytest.importorskip("keras")
        if keras.config.backend() != "tensorflow":
            pytest.skip("Keras runs on another backend here")

    def run(self, f, xs, upstream):
        return super().run(f.layer(), xs, upstream)


class Torch:
    def __init__(self):
        self.torch = pytest.importorskip("torch")
        room("torch")

    def run(self, f, xs, upstream):
        tensors = [self.torch.tensor(x, requires_grad=True) for x in xs]
        y = f(*tensors)
        up = self.torch.ones_like(y) if upstream is None else self.torch.tensor(upstream)
        return y.detach().numpy(), [g.numpy() for g in self.torch.autograd.grad(y, tensors, up)]


class Jax:
    def __init__(self):
        self.jax = pytest.importorskip("jax")
        room("jax")

    def run(self, f, xs, upstream):
        y, vjp = self.jax.vjp(f, *map(self.jax.numpy.asarray, xs))
        up = np.ones_like(y) if upstream is None else upstream
        return np.asarray(y), [np.asarray(g) for g in vjp(self.jax.numpy.asarray(up))]


class JaxJit(Jax):
    def run(self, f, xs, upstream):
        return super().run(self.jax.jit(f.native("jax")), xs, upstream)


def room(framework):
    try:
        importlib.import_module(f"actgrad.frameworks.{framework}")
    except ModuleNotFoundError:
        pytest.skip(f"{framework} is not installed")


FRAMEWORKS = {
    "tensorflow": TensorFlow,
    "tensorflow graph": TensorFlowGraph,
    "tensorflow xla": TensorFlowXLA,
    "keras": Keras,
    "torch": Torch,
    "jax": Jax,
    "jax jit": JaxJit,
}

Run = Callable[..., tuple[np.ndarray, list[np.ndarray]]]


@pytest.fixture(params=FRAMEWORKS)
def run(request) -> Run:
    """`run(f, *xs, upstream=None)`: the value and a gradient per input, all float32."""
    framework = FRAMEWORKS[request.param]()

    def run(f, *xs, upstream=None):
        xs = [np.asarray(x, np.float32) for x in xs]
        upstream = None if upstream is None else np.asarray(upstream, np.float32)
        value, gradients = framework.run(f, xs, upstream)
        assert value.dtype == np.float32
        assert [g.dtype for g in gradients] == [np.float32] * len(xs)
        return value, gradients

    return run
