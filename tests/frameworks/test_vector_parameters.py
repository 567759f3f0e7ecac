"""Parameters that are vectors in every framework: gradients per entry, layers and modules, per channel,
compiled, in half types, after a save in a fresh process, and in the file that `source` writes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from actgrad import activation, trainable
from tests.process import python

NUMERATOR, DENOMINATOR = [0.2, 1.1, 0.7], [0.4, 0.3]


def rational(x: Any, p: Any = (0.2, 1.1, 0.7), q: Any = (0.4, 0.3)) -> Any:
    return (p[0] + p[1] * x + p[2] * x * x) / (1 + abs(q[0] * x + q[1] * x * x))


f = activation(rational)
X = np.array([[-1.5, -0.5, 0.25], [0.75, 1.25, 2.0]])


def slopes(x: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """By finite differences of Python's own function, in float64, added up over x."""
    steps = [1e-6 * np.eye(len(v)) for v in (p, q)]
    by_p = [
        np.sum(rational(x, np.add(p, s), q) - rational(x, np.subtract(p, s), q)) / 2e-6
        for s in steps[0]
    ]
    by_q = [
        np.sum(rational(x, p, np.add(q, s)) - rational(x, p, np.subtract(q, s))) / 2e-6
        for s in steps[1]
    ]
    return np.array(by_p), np.array(by_q)


BY_P, BY_Q = slopes(X, NUMERATOR, DENOMINATOR)


precisions = pytest.mark.parametrize(("dtype", "rtol"), [("bfloat16", 3e-2), ("float32", 1e-5)])


@pytest.mark.diagonal
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@precisions
def test_torch(compiled: bool, dtype: str, rtol: float) -> None:
    torch = pytest.importorskip("torch")
    module = f.module(p=trainable(), q=trainable(DENOMINATOR))
    assert dict(module.named_parameters()).keys() == {"p", "q"}
    assert module.p.shape == (3,)
    run = torch.compile(module) if compiled else module
    run(torch.tensor(X, dtype=getattr(torch, dtype))).sum().backward()
    np.testing.assert_allclose(module.p.grad.numpy(), BY_P, rtol=rtol)
    np.testing.assert_allclose(module.q.grad.numpy(), BY_Q, rtol=rtol)


def test_torch_per_channel_and_state() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(np.stack([X, X + 0.1]), dtype=torch.float64)[:, :, :, None]  # N, C, H, W
    module = f.module(p=trainable(per_channel=True), q=trainable())
    value = module(x)
    assert module.p.shape == (3, 2)
    np.testing.assert_allclose(value.detach().numpy(), rational(x.numpy()), rtol=1e-6)
    value.sum().backward()
    for channel in range(2):
        by_p, _ = slopes(x[:, channel].numpy(), NUMERATOR, DENOMINATOR)
        np.testing.assert_allclose(module.p.grad[:, channel].numpy(), by_p, rtol=1e-6)
    other = f.module(p=trainable(per_channel=True), q=trainable())
    with torch.no_grad():
        module.p += torch.arange(6.0).reshape(3, 2)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), module(x))


def test_torch_starts_with_another_length() -> None:
    torch = pytest.importorskip("torch")

    def horner(x: Any, c: Any = (1.0, 2.0)) -> Any:
        result = 0.0 * x
        for number in c:
            result = result * x + number
        return result

    module = activation(horner).module(c=trainable([0.5, 1.5, 2.5]))
    x = torch.tensor([0.5, 2.0])
    assert module(x).tolist() == [horner(v, [0.5, 1.5, 2.5]) for v in (0.5, 2.0)]
    fixed = activation(horner).module(c=[0.5, 1.5, 2.5])
    assert fixed(x).tolist() == module(x).tolist()
    assert list(fixed.parameters()) == []


@pytest.mark.diagonal
@pytest.mark.parametrize("around", ["eager", "function", "xla"])
@precisions
def test_tensorflow(around: str, dtype: str, rtol: float) -> None:
    tf = pytest.importorskip("tensorflow")
    x, p, q = tf.constant(X, dtype), tf.Variable(NUMERATOR), tf.Variable(DENOMINATOR)

    def gradients() -> Any:
        with tf.GradientTape() as tape:
            value = f(x, p=p, q=q)
        return tape.gradient(value, [p, q])

    if around != "eager":
        gradients = tf.function(gradients, jit_compile=around == "xla")
    by_p, by_q = gradients()
    np.testing.assert_allclose(by_p, BY_P, rtol=rtol)
    np.testing.assert_allclose(by_q, BY_Q, rtol=rtol)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_keras_per_channel(data_format: str) -> None:
    keras = pytest.importorskip("keras")
    before = keras.config.image_data_format()
    keras.config.set_image_data_format(data_format)
    try:
        layer = f.layer(p=trainable(per_channel=True), q=trainable())
    finally:
        keras.config.set_image_data_format(before)
    x = np.stack([X, X + 0.1], axis=-1)[:, :, None, :].astype("float32")  # N, H, W, C
    given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1)
    value = keras.ops.convert_to_numpy(layer(given))
    weights = {w.name: w for w in layer.trainable_weights}
    assert {name: tuple(w.shape) for name, w in weights.items()} == {"p": (3, 2), "q": (2,)}
    weights["p"].assign(np.array([[0.2, 1.0], [1.1, 2.0], [0.7, 3.0]]))
    value = keras.ops.convert_to_numpy(layer(given))
    value = value if data_format == "channels_last" else np.moveaxis(value, 1, -1)
    np.testing.assert_allclose(value[..., 0], rational(x[..., 0]), rtol=1e-5)
    np.testing.assert_allclose(value[..., 1], rational(x[..., 1], p=(1.0, 2.0, 3.0)), rtol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
def test_keras_trains_and_is_saved(jit: bool, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((3,)), f.layer(p=trainable(), q=trainable())])
    model.compile("sgd", "mse", jit_compile=jit)
    x = X.astype("float32")
    model.fit(x, np.ones_like(x), verbose=0)
    learnt = [np.asarray(w) for w in model.layers[0].trainable_weights]
    assert not np.allclose(learnt[0], NUMERATOR)
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.saving.load_model(path)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.diagonal
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@precisions
def test_jax(compiled: bool, dtype: str, rtol: float) -> None:
    jax = pytest.importorskip("jax")
    x = jax.numpy.asarray(X, dtype)
    gradient = jax.grad(lambda p, q: f(x, p=p, q=q).sum(), (0, 1))
    gradient = jax.jit(gradient) if compiled else gradient
    by_p, by_q = gradient(jax.numpy.asarray(NUMERATOR), jax.numpy.asarray(DENOMINATOR))
    np.testing.assert_allclose(by_p, BY_P, rtol=rtol)
    np.testing.assert_allclose(by_q, BY_Q, rtol=rtol)


def test_native_takes_vectors() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X)
    native = f.native("torch")
    assert torch.equal(native(x, p=[1.0, 2.0, 3.0]), f(x, p=[1.0, 2.0, 3.0]))


@pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow", "jax"])
def test_source(framework: str) -> None:
    pytest.importorskip(framework)
    text = f.source(framework)
    assert "p=(0.2, 1.1, 0.7), q=(0.4, 0.3)" in text
    space: dict[str, Any] = {"__name__": "written"}
    exec(compile(text, "written.py", "exec"), space)
    function, other = space["rational"], np.array([1.0, 2.0, 3.0])
    expected = rational(X, other)
    if framework == "numpy":
        np.testing.assert_allclose(function(X, other), expected)
    elif framework == "torch":
        import torch

        p = torch.tensor(NUMERATOR, dtype=torch.float64, requires_grad=True)
        np.testing.assert_allclose(function(torch.tensor(X), list(other)).numpy(), expected)
        function(torch.tensor(X), p).sum().backward()
        np.testing.assert_allclose(p.grad.numpy(), BY_P, rtol=1e-7)
    elif framework == "tensorflow":
        import tensorflow as tf

        p = tf.Variable(NUMERATOR, dtype=tf.float64)

        @tf.function
        def gradient() -> Any:
            with tf.GradientTape() as tape:
                value = function(tf.constant(X), p)
            return tape.gradient(value, p)

        np.testing.assert_allclose(function(tf.constant(X), list(other)), expected)
        np.testing.assert_allclose(gradient(), BY_P, rtol=1e-7)
    else:
        import jax

        by_p = jax.jit(jax.grad(lambda p: function(jax.numpy.asarray(X), p).sum()))
        np.testing.assert_allclose(by_p(jax.numpy.asarray(NUMERATOR)), BY_P, rtol=1e-5)


REOPENED = """
import numpy as np, torch, jax
from actgrad import load
f = load("rational.json")
x = torch.tensor({X})
p = torch.tensor({P}, requires_grad=True)
f(x, p=p).sum().backward()
print(*p.grad.tolist())
print(*jax.grad(lambda p: f(jax.numpy.asarray({X}), p=p).sum())(jax.numpy.asarray({P})).tolist())
module = torch.load("module.pt", weights_only=False)
print(*module.p.tolist())
"""


@pytest.mark.exhaustive  # tests/frameworks/test_table_parameters.py has one in make test
def test_it_is_there_in_a_fresh_process(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("jax")
    f.save(tmp_path / "rational.json")
    torch.save(f.module(p=trainable([1.0, 2.0, 3.0])), tmp_path / "module.pt")
    text = REOPENED.format(X=X.tolist(), P=NUMERATOR)
    said = python("-c", text, folder=tmp_path)
    *rows, kept = [np.array(line.split(), float) for line in said]
    for row in rows:
        np.testing.assert_allclose(row, BY_P, rtol=1e-5)
    assert kept.tolist() == [1.0, 2.0, 3.0]


def test_keras_excludes_a_parameter_from_weight_decay_by_its_name() -> None:
    keras = pytest.importorskip("keras")
    optimizer = keras.optimizers.AdamW(weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["p"])
    layer = f.layer(p=trainable(), q=trainable())
    layer(X.astype("float32"))
    optimizer.build(layer.trainable_weights)
    decayed = {w.name: optimizer._use_weight_decay(w) for w in layer.trainable_weights}
    assert decayed == {"p": False, "q": True}
