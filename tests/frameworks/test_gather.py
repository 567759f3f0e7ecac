"""A constant vector, read at a computed index: one operation in every framework, at any length."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from actgrad import Activation
from actgrad.language.expression import const, make, var, vector
from actgrad.language.program import Program
from tests.tensors import ROOMS, tensor

TABLE = (0.5, -1.25, 3.0, math.inf, 2.5)
INDEX = [-math.inf, -7.5, -1.0, -0.5, -0.0, 0.0, 0.99, 1.0, 2.75, 3.5, 4.0, 4.99, 5.0, 60000.0]
INDEX += [math.inf, math.nan]


def looked_up(index: float) -> float:
    """What the operation means, in Python."""
    if math.isnan(index):
        return math.nan
    return TABLE[int(min(max(index, 0.0), len(TABLE) - 1.0))]


def program(factor: float = 1.0, numbers: tuple[float, ...] = TABLE) -> Activation:
    """The element at factor * x, times x."""
    index = make("mul", const(factor), var("x")) if factor != 1.0 else var("x")
    value = make("mul", make("gather", vector(numbers), index), var("x"))
    return Activation(Program("table", ("x",), (), value))


LOOKUP = Activation(Program("lookup", ("x",), (), make("gather", vector(TABLE), var("x"))))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("framework", ROOMS)
def test_it_reads_the_element_at_the_index(framework: str, dtype: str) -> None:
    x = np.array(INDEX).astype(dtype)
    if framework == "jax":
        import jax

        with jax.enable_x64(dtype == "float64"):
            found = np.asarray(LOOKUP(tensor(framework, x)))
    else:
        found = np.asarray(LOOKUP(tensor(framework, x)))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, [looked_up(float(v)) for v in x])


def _jit(f: Activation, x: Any) -> Any:
    jax = pytest.importorskip("jax")
    return jax.jit(f)(x)


def _vmap(f: Activation, x: Any) -> Any:
    jax = pytest.importorskip("jax")
    return jax.vmap(f)(x)


def _jax_slope(f: Activation, x: Any) -> Any:
    jax = pytest.importorskip("jax")
    return jax.vmap(jax.grad(f))(x)


def _graph(f: Activation, x: Any) -> Any:
    tf = pytest.importorskip("tensorflow")
    return tf.function(f)(tf.constant(x))


def _xla(f: Activation, x: Any) -> Any:
    tf = pytest.importorskip("tensorflow")
    return tf.function(f, jit_compile=True)(tf.constant(x))


def _tf_slope(f: Activation, x: Any) -> Any:
    tf = pytest.importorskip("tensorflow")
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x)


def _torch_compile(f: Activation, x: Any) -> Any:
    torch = pytest.importorskip("torch")
    return torch.compile(f, backend="aot_eager", fullgraph=True)(torch.tensor(x))


def _torch_large(f: Activation, x: Any) -> Any:
    torch = pytest.importorskip("torch")
    return f(torch.tensor(np.resize(x, 40_000)))[: len(x)]


def _torch_vmap(f: Activation, x: Any) -> Any:
    torch = pytest.importorskip("torch")
    return torch.func.vmap(f)(torch.tensor(x))


def _torch_slope(f: Activation, x: Any) -> Any:
    torch = pytest.importorskip("torch")
    return torch.func.vmap(torch.func.grad(f))(torch.tensor(x))


def _numpy_large(f: Activation, x: Any) -> Any:
    return f(np.resize(x, 200_000))[: len(x)]


MODES = [_jit, _vmap, _graph, _xla, _torch_compile, _torch_large, _torch_vmap, _numpy_large]
X = np.array([-2.0, -0.25, 0.0, 0.3, 0.7, 1.1, 1.9, 2.2, 40.0], np.float32)


@pytest.mark.parametrize("run", MODES)
def test_in_every_mode(run: Any) -> None:
    f = program(2.0, TABLE[:3])
    expected = [TABLE[int(min(max(2 * float(x), 0), 2))] * float(x) for x in X]
    np.testing.assert_array_equal(np.asarray(run(f, X)), np.float32(expected))


@pytest.mark.parametrize("run", [_jax_slope, _tf_slope, _torch_slope])
def test_the_derivative_by_the_index_is_zero(run: Any) -> None:
    f = program(2.0, TABLE[:3])
    expected = [TABLE[int(min(max(2 * float(x), 0), 2))] for x in X]
    np.testing.assert_array_equal(np.asarray(run(f, X)), np.float32(expected))


@pytest.mark.parametrize("framework", ROOMS)
def test_the_text_grows_by_the_vector_and_by_nothing_else(framework: str) -> None:
    short, long = (program(2.0, tuple(range(n))).source(framework) for n in (8, 4096))
    assert short.count("\ndef") == long.count("\ndef")
    assert len(long) < len(short) + 2 * 4096 * 10
    namespace: dict[str, Any] = {}
    exec(long, namespace)
    x = tensor(framework, np.float32([3.25, 5000.0]))
    np.testing.assert_array_equal(np.asarray(namespace["table"](x)), [6 * 3.25, 4095 * 5000.0])
