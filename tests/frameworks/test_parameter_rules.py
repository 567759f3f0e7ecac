"""A rule for a parameter is honoured in every framework: eager, compiled, forward, twice, in half types,
in the file that `source` writes, and after a save in another process.

The rules are false on purpose, so that a framework that puts the exact derivative in their place is seen.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from actgrad import activation
from tests.process import python

X = np.array([[-1.5, -0.5, 0.25], [0.75, 1.25, 2.0]])
A = 1.5


def wave(x: Any, a: Any = 2.0, b: Any = 1.0) -> Any:
    return np.sin(a * x) + b * x


SURROGATE = activation(
    wave, surrogate=lambda x, a: {"x": 7.0 * x, "a": x * x * x * a}, name="surrogate"
)
WHOLE = activation(
    wave,
    gradient=lambda x, upstream, a: {"a": x * x * a * upstream * upstream},
    name="whole",
)
UPSTREAM = np.array([[1.0, -2.0, 0.5], [3.0, 1.0, -1.0]])

BY_A = (X**3 * A * UPSTREAM).sum()
BY_X = 7.0 * X * UPSTREAM
WHOLE_BY_A = (X * X * A * UPSTREAM**2).sum()
WHOLE_BY_X = UPSTREAM * (A * np.cos(A * X) + 1.0)
BY_B = (X * UPSTREAM).sum()

CASES = [(SURROGATE, BY_X, BY_A), (WHOLE, WHOLE_BY_X, WHOLE_BY_A)]
cases = pytest.mark.parametrize(("f", "by_x", "by_a"), CASES, ids=["surrogate", "gradient"])
dtypes = pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2, "float64": 1e-12}


def close(found: Any, expected: Any, dtype: str = "float32") -> None:
    size = np.abs(np.asarray(expected)).max()
    np.testing.assert_allclose(
        np.asarray(found, np.float64), expected, atol=TOLERANCE[dtype] * size, rtol=0
    )


# PyTorch.


def torch_gradients(f: Any, dtype: str, compiled: bool) -> list[Any]:
    torch = pytest.importorskip("torch")
    kind = getattr(torch, dtype)
    x = torch.tensor(X, dtype=kind, requires_grad=True)
    wide = torch.float64 if dtype == "float64" else torch.float32
    a = torch.tensor(A, dtype=wide, requires_grad=True)
    b = torch.tensor(1.0, dtype=wide, requires_grad=True)

    def call(x: Any, a: Any, b: Any) -> Any:
        return f(x, a=a, b=b)

    call = torch.compile(call) if compiled else call
    value = call(x, a, b)
    value.backward(torch.tensor(UPSTREAM, dtype=kind))
    return [t.grad.to(torch.float64).numpy() for t in (x, a, b)]


@cases
@dtypes
def test_torch(f: Any, by_x: Any, by_a: Any, dtype: str) -> None:
    found = torch_gradients(f, dtype, compiled=False)
    for got, expected in zip(found, (by_x, by_a, BY_B), strict=True):
        close(got, expected, dtype)


@cases
def test_torch_compiled(f: Any, by_x: Any, by_a: Any) -> None:
    found = torch_gradients(f, "float32", compiled=True)
    for got, expected in zip(found, (by_x, by_a, BY_B), strict=True):
        close(got, expected)


def test_torch_forward_mode_and_second_order() -> None:
    torch = pytest.importorskip("torch")
    x, a = torch.tensor(X), torch.tensor(A, dtype=torch.float64)
    _, moved = torch.func.jvp(lambda a: SURROGATE(x, a=a), (a,), (torch.ones_like(a),))
    close(moved, X**3 * A, "float64")
    once = torch.func.grad(lambda a: SURROGATE(x, a=a).sum())
    close(torch.func.grad(once)(a), (X**3).sum(), "float64")
    mixed = torch.func.grad(lambda x: torch.func.grad(lambda a: SURROGATE(x, a=a).sum())(a))
    close(mixed(x), 3 * X * X * A, "float64")


# TensorFlow.


def tensorflow_gradients(f: Any, dtype: str, around: str) -> list[Any]:
    tf = pytest.importorskip("tensorflow")
    x = tf.constant(X, dtype)
    wide = "float64" if dtype == "float64" else "float32"
    a, b = tf.Variable(A, dtype=wide), tf.Variable(1.0, dtype=wide)

    def gradients() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = f(x, a=a, b=b)
        return tape.gradient(value, [x, a, b], tf.constant(UPSTREAM, dtype))

    if around != "eager":
        gradients = tf.function(gradients, jit_compile=around == "xla")
    return [tf.cast(g, tf.float64).numpy() for g in gradients()]


@cases
@dtypes
def test_tensorflow(f: Any, by_x: Any, by_a: Any, dtype: str) -> None:
    found = tensorflow_gradients(f, dtype, "eager")
    for got, expected in zip(found, (by_x, by_a, BY_B), strict=True):
        close(got, expected, dtype)


@cases
@pytest.mark.parametrize("around", ["function", "xla"])
def test_tensorflow_compiled(f: Any, by_x: Any, by_a: Any, around: str) -> None:
    found = tensorflow_gradients(f, "float32", around)
    for got, expected in zip(found, (by_x, by_a, BY_B), strict=True):
        close(got, expected)


def test_tensorflow_forward_mode_and_second_order() -> None:
    tf = pytest.importorskip("tensorflow")
    x, a = tf.constant(X), tf.constant(A, tf.float64)
    with tf.autodiff.ForwardAccumulator(a, tf.ones_like(a)) as accumulator:
        value = SURROGATE(x, a=a)
    close(accumulator.jvp(value), X**3 * A, "float64")
    with tf.GradientTape() as outer:
        outer.watch([x, a])
        with tf.GradientTape() as inner:
            inner.watch(a)
            value = SURROGATE(x, a=a)
        once = inner.gradient(value, a)
    by_x, by_a = outer.gradient(once, [x, a])
    close(by_a, (X**3).sum(), "float64")
    close(by_x, 3 * X * X * A, "float64")


# JAX.


def jax_gradients(f: Any, dtype: str, compiled: bool) -> list[Any]:
    jax = pytest.importorskip("jax")
    x = jax.numpy.asarray(X, dtype)
    wide = "float64" if dtype == "float64" else "float32"
    a, b = jax.numpy.asarray(A, wide), jax.numpy.asarray(1.0, wide)

    def pull(x: Any, a: Any, b: Any) -> Any:
        _, back = jax.vjp(lambda x, a, b: f(x, a=a, b=b), x, a, b)
        return back(jax.numpy.asarray(UPSTREAM, dtype))

    return [np.asarray(g, np.float64) for g in (jax.jit(pull) if compiled else pull)(x, a, b)]


@cases
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
def test_jax(f: Any, by_x: Any, by_a: Any, dtype: str, compiled: bool) -> None:
    found = jax_gradients(f, dtype, compiled)
    for got, expected in zip(found, (by_x, by_a, BY_B), strict=True):
        close(got, expected, dtype)


def test_jax_forward_mode_and_second_order() -> None:
    jax = pytest.importorskip("jax")
    x, a = jax.numpy.asarray(X), jax.numpy.asarray(A)
    _, moved = jax.jvp(lambda a: SURROGATE(x, a=a), (a,), (jax.numpy.ones_like(a),))
    close(moved, X**3 * A)
    once = jax.grad(lambda a, x: SURROGATE(x, a=a).sum())
    close(jax.grad(once)(a, x), (X**3).sum())
    close(jax.grad(once, 1)(a, x), 3 * X * X * A)


# Files.


SOURCES = {
    "torch": """
import numpy as np, torch
x = torch.tensor(X, requires_grad=True)
a = torch.tensor(A, dtype=torch.float64, requires_grad=True)
f(x, a).backward(torch.tensor(U))
found = [x.grad.numpy(), a.grad.numpy()]
""",
    "tensorflow": """
import numpy as np, tensorflow as tf
x, a = tf.constant(X), tf.constant(A, tf.float64)
with tf.GradientTape() as tape:
    tape.watch([x, a])
    value = f(x, a)
found = [g.numpy() for g in tape.gradient(value, [x, a], tf.constant(U))]
""",
    "jax": """
import numpy as np, jax
jax.config.update("jax_enable_x64", True)
x, a = jax.numpy.asarray(X), jax.numpy.asarray(A)
_, back = jax.vjp(lambda x, a: f(x, a), x, a)
found = back(jax.numpy.asarray(U))
""",
}


@cases
@pytest.mark.parametrize("framework", SOURCES)
def test_source(f: Any, by_x: Any, by_a: Any, framework: str, tmp_path: Path) -> None:
    pytest.importorskip(framework)
    space: dict[str, Any] = {"__name__": "written"}
    if framework == "jax":
        pytest.importorskip("jax")
    exec(compile(f.source(framework), "written.py", "exec"), space)
    names = {"X": X, "A": A, "U": UPSTREAM, "f": space[f.name]}
    text = SOURCES[framework].replace('jax.config.update("jax_enable_x64", True)', "")
    exec(text, names)
    dtype = "float32" if framework == "jax" else "float64"
    close(names["found"][0], by_x, dtype)
    close(names["found"][1], by_a, dtype)


REOPENED = """
import sys
import numpy as np, torch, tensorflow as tf, jax
from actgrad import load
X, U, A = np.array({X}), np.array({U}), {A}
for name in ("surrogate", "whole"):
    f = load(name + ".json")
    x, a = torch.tensor(X, requires_grad=True), torch.tensor(A, dtype=torch.float64, requires_grad=True)
    f(x, a=a).backward(torch.tensor(U))
    t, v = tf.constant(X), tf.Variable(A, dtype=tf.float64)
    with tf.GradientTape() as tape:
        value = f(t, a=v)
    by_tf = tape.gradient(value, v, tf.constant(U))
    _, back = jax.vjp(lambda a: f(jax.numpy.asarray(X), a=a), jax.numpy.asarray(A))
    print(name, float(a.grad), float(by_tf), float(back(jax.numpy.asarray(U, "float32"))[0]))
"""


@pytest.mark.exhaustive  # test_vector_parameters.py has one in make test
def test_it_is_there_in_a_fresh_process(tmp_path: Path) -> None:
    for framework in ("torch", "tensorflow", "jax"):
        pytest.importorskip(framework)
    for f in (SURROGATE, WHOLE):
        f.save(tmp_path / f"{f.name}.json")
    text = REOPENED.format(X=X.tolist(), U=UPSTREAM.tolist(), A=A)
    rows = [line.split() for line in python("-c", text, folder=tmp_path)]
    assert [row[0] for row in rows] == ["surrogate", "whole"]
    for row, expected in zip(rows, (BY_A, WHOLE_BY_A), strict=True):
        np.testing.assert_allclose(np.array(row[1:], float), expected, rtol=1e-5)
