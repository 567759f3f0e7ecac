"""Functions of a row in PyTorch, JAX, TensorFlow and Keras: the same values, gradients of every order."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf
import torch

from actgrad import activation, from_json, trainable
from actgrad.errors import CallError, NoDerivativeError
from tests.rows.functions import FUNCTIONS, SIZE, by_row, gradients, rows
from tests.sample import exhaustive_but

SOME = ["sparsemax", "glu", "masked_softmax", "norm", "winners"]
NAMES = exhaustive_but(SOME, FUNCTIONS)
SECOND = ["softmax", "sparsemax", "glu", "layer_norm", "unit", "squash"]
STEP = dict(rtol=2e-5, atol=2e-7)


pytestmark = pytest.mark.usefixtures("float64")


def made(name: str) -> Any:
    return activation(FUNCTIONS[name], axis=-1)


def case(name: str, *batch: int) -> tuple[Any, list[Any], Any, Any, list[Any]]:
    inputs = rows(name, *batch)
    expected = by_row(name, inputs)
    upstream = np.random.default_rng(1).normal(size=expected.shape)
    return made(name), inputs, expected, upstream, gradients(name, inputs, upstream)


@pytest.mark.parametrize("name", NAMES)
def test_torch(name: str) -> None:
    f, inputs, expected, upstream, slopes = case(name, 3)
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    result = f(*tensors)
    np.testing.assert_allclose(result.detach(), expected, rtol=1e-11, atol=1e-13)
    found = torch.autograd.grad(result, tensors, torch.tensor(upstream), materialize_grads=True)
    for slope, own in zip(slopes, found, strict=True):
        np.testing.assert_allclose(own, slope, **STEP)
    one = [torch.tensor(x[:1], requires_grad=True) for x in inputs]
    assert torch.autograd.gradcheck(f, one, check_forward_ad=True, check_undefined_grad=False)
    mapped = torch.func.vmap(f)(*(t.detach() for t in tensors))
    np.testing.assert_allclose(mapped, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", exhaustive_but(["sparsemax", "unit"], SECOND))
def test_torch_second_order(name: str) -> None:
    f = made(name)
    (x,) = rows(name, 1)
    assert torch.autograd.gradgradcheck(f, torch.tensor(x, requires_grad=True))
    reverse = torch.func.jacrev(torch.func.jacrev(f))(torch.tensor(x[0]))
    forward = torch.func.jacfwd(torch.func.jacfwd(f))(torch.tensor(x[0]))
    np.testing.assert_allclose(reverse, forward, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_jax(name: str) -> None:
    f, inputs, expected, upstream, slopes = case(name, 3)
    arrays = [jnp.asarray(x) for x in inputs]
    for each in (f, jax.jit(f)):
        result, pull = jax.vjp(each, *arrays)
        np.testing.assert_allclose(result, expected, rtol=1e-11, atol=1e-13)
        for slope, own in zip(slopes, pull(jnp.asarray(upstream)), strict=True):
            np.testing.assert_allclose(own, slope, **STEP)
    along = [
        jnp.asarray(np.random.default_rng(5 + i).normal(size=x.shape)) for i, x in enumerate(inputs)
    ]
    _, tangent = jax.jvp(f, arrays, along)
    other = sum((s * d).sum() for s, d in zip(slopes, along, strict=True))
    np.testing.assert_allclose((tangent * upstream).sum(), other, **STEP)
    np.testing.assert_allclose(jax.vmap(f)(*arrays), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", exhaustive_but(["unit"], SECOND))
def test_jax_second_order(name: str) -> None:
    f = made(name)
    (x,) = rows(name)
    x = jnp.asarray(x)

    def loss(x: Any) -> Any:
        return jnp.sum(f(x) ** 2)

    forward = jax.hessian(loss)(x)
    reverse = jax.jit(jax.jacrev(jax.grad(loss)))(x)
    np.testing.assert_allclose(reverse, forward, rtol=1e-9, atol=1e-11)
    step = 1e-5 * np.eye(SIZE)
    grad = jax.jit(jax.grad(loss))
    slope = [(grad(x + s) - grad(x - s)) / 2e-5 for s in step]
    np.testing.assert_allclose(forward, np.stack(slope), rtol=1e-5, atol=1e-7)
    batch = jnp.stack([x, 2 * x, -x])
    by_one = jnp.stack([jax.grad(loss)(row) for row in batch])
    np.testing.assert_allclose(jax.vmap(jax.grad(loss))(batch), by_one, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_tensorflow(name: str) -> None:
    f, inputs, expected, upstream, slopes = case(name, 3)
    tensors = [tf.constant(x) for x in inputs]
    for each in (f, tf.function(f)):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            result = each(*tensors)
        np.testing.assert_allclose(result, expected, rtol=1e-11, atol=1e-13)
        found = tape.gradient(result, tensors, tf.constant(upstream), unconnected_gradients="zero")
        for slope, own in zip(slopes, found, strict=True):
            np.testing.assert_allclose(own, slope, **STEP)


def in_torch(f: Any, x: Any, above: Any) -> tuple[Any, Any]:
    x = torch.tensor(x, requires_grad=True)
    y = f(x)
    return y.detach(), *torch.autograd.grad(y, x, torch.tensor(above))


def in_jax(f: Any, x: Any, above: Any) -> tuple[Any, Any]:
    y, pull = jax.vjp(f, jnp.asarray(x))
    return y, *pull(jnp.asarray(above))


def in_tensorflow(f: Any, x: Any, above: Any) -> tuple[Any, Any]:
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return y, tape.gradient(y, x, tf.constant(above))


WAYS = {
    "torch": (in_torch, lambda f: f),
    "jax": (in_jax, jax.jit),
    "tensorflow": (in_tensorflow, lambda f: f),
    "tf.function": (in_tensorflow, tf.function),
}


@pytest.mark.parametrize("axis", [0, 1, 2, -2, -3])
@pytest.mark.parametrize("way", WAYS)
def test_along_each_axis(way: str, axis: int) -> None:
    """The tensor has another size along each, so no axis passes for another."""
    differentiate, mode = WAYS[way]
    for name in ("softmax", "crelu", "norm"):
        _, (x,), expected, upstream, (slope,) = case(name, 2, 3)

        def laid(y: Any) -> Any:
            return np.moveaxis(y, -1, axis) if y.ndim == 3 else y

        f = activation(FUNCTIONS[name], axis=axis)
        value, found = differentiate(mode(f), laid(x), laid(upstream))
        np.testing.assert_allclose(value, laid(expected), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(found, laid(slope), **STEP)


@pytest.mark.parametrize("name", ["softmax", "sparsemax", "glu", "crelu", "norm"])
def test_tensorflow_compiled_and_of_second_order(name: str) -> None:
    f, (x,), expected, upstream, (slope,) = case(name, 3)
    x = tf.constant(x)
    along = tf.constant(np.random.default_rng(5).normal(size=x.shape))

    @tf.function(jit_compile=True)
    def gradient(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = f(x)
        return result, tape.gradient(result, x, tf.constant(upstream))

    result, found = gradient(x)
    np.testing.assert_allclose(result, expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found, slope, **STEP)
    with tf.autodiff.ForwardAccumulator(x, along) as accumulator:
        result = f(x)
    np.testing.assert_allclose(
        tf.reduce_sum(accumulator.jvp(result) * upstream), np.sum(slope * along), **STEP
    )
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            result = f(x)
        first = inner.gradient(result, x, tf.constant(upstream))
    second = outer.gradient(first, x, along, unconnected_gradients="zero")
    steps = [gradient(x + s * 1e-5 * along)[1] for s in (1, -1)]
    np.testing.assert_allclose(
        tf.reduce_sum(second * along),
        np.sum((steps[0] - steps[1]) / 2e-5 * along),
        rtol=1e-4,
        atol=1e-6,
    )


def test_tensorflow_rows_of_unknown_length() -> None:
    spec = [tf.TensorSpec([None, None], tf.float64)]
    (x,) = rows("softmax", 3)
    f = tf.function(made("softmax"), input_signature=spec)
    np.testing.assert_allclose(f(x), by_row("softmax", [x]), rtol=1e-12)
    with pytest.raises(CallError, match="not known yet"):
        tf.function(made("glu"), input_signature=spec)(tf.constant(x))
    narrow = [tf.TensorSpec([None, SIZE], tf.float64)]
    glu = tf.function(made("glu"), input_signature=narrow)
    np.testing.assert_allclose(glu(x), by_row("glu", [x]), rtol=1e-12)


def test_an_empty_row_of_unknown_length_gives_no_number() -> None:
    spec = [tf.TensorSpec([None, None], tf.float32)]
    shares, mean = (
        tf.function(activation(each, axis=-1, name="f"), input_signature=spec)
        for each in (lambda x: x / np.sum(x), lambda x: np.mean(x))
    )
    assert shares(tf.zeros([2, 0])).shape == (2, 0)
    with pytest.raises(tf.errors.InvalidArgumentError):
        mean(tf.zeros([2, 0]))


@pytest.mark.parametrize("array", [torch.ones, jnp.ones, tf.ones, np.ones])
def test_empty_rows_are_refused(array: Any) -> None:
    f = made("softmax")
    with pytest.raises(CallError, match="rows of length 0"):
        f(array((2, 0)))
    assert f(array((0, 3))).shape == (0, 3)


def test_tensorflow_jacobian() -> None:
    f, (x,) = made("softmax"), rows("softmax", 2)
    with tf.GradientTape() as tape:
        tensor = tf.constant(x)
        tape.watch(tensor)
        result = f(tensor)
    found = tape.batch_jacobian(result, tensor)
    expected = torch.func.vmap(torch.func.jacrev(f))(torch.tensor(x))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_torch_compile(name: str) -> None:
    f, inputs, expected, upstream, slopes = case(name, 3)
    torch.compiler.reset()
    compiled = torch.compile(lambda *x: f(*x), fullgraph=True, backend="aot_eager")
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    result = compiled(*tensors)
    np.testing.assert_allclose(result.detach(), expected, rtol=1e-11, atol=1e-13)
    found = torch.autograd.grad(result, tensors, torch.tensor(upstream), materialize_grads=True)
    for slope, own in zip(slopes, found, strict=True):
        np.testing.assert_allclose(own, slope, **STEP)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", SOME)
def test_torch_compiled_by_inductor(name: str) -> None:
    f, inputs, expected, upstream, slopes = case(name, 5)
    torch.compiler.reset()
    compiled = torch.compile(lambda *x: f(*x, axis=0), fullgraph=True)
    tensors = [torch.tensor(x.T.copy(), requires_grad=True) for x in inputs]
    result = compiled(*tensors)
    np.testing.assert_allclose(result.detach().numpy().T, expected, rtol=1e-9, atol=1e-11)
    found = torch.autograd.grad(
        result, tensors, torch.tensor(upstream.T.copy()), materialize_grads=True
    )
    for slope, own in zip(slopes, found, strict=True):
        np.testing.assert_allclose(own.numpy().T, slope, **STEP)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_halves_compute_in_float32(half: str) -> None:
    f, x = made("softmax"), np.random.default_rng(0).normal(size=(2, 3000)).astype(np.float32)
    tensor = torch.tensor(x).to(getattr(torch, half)).requires_grad_()
    wide = tensor.detach().float().requires_grad_()
    result = f(tensor)
    assert result.dtype == tensor.dtype
    np.testing.assert_allclose(result.detach().float(), f(wide).detach(), rtol=1e-2)
    assert f(jnp.asarray(x, half)).dtype == half
    np.testing.assert_allclose(
        np.asarray(f(jnp.asarray(x, half)), np.float32), f(wide).detach(), rtol=1e-2
    )
    (f(tensor)[:, :5].float().sum()).backward()
    (f(wide)[:, :5].sum()).backward()
    assert tensor.grad.dtype == tensor.dtype
    np.testing.assert_allclose(tensor.grad.float()[:, :5], wide.grad[:, :5], rtol=3e-2)
    eager = f(tf.cast(x, half))
    assert eager.dtype.name == half
    np.testing.assert_allclose(tf.cast(eager, tf.float32), f(wide).detach(), rtol=1e-2)


def test_a_module_learns_its_numbers() -> None:
    f = made("rms_norm")
    (x,) = rows("rms_norm", 4)
    module = f.module(gain=trainable(1.0, per_channel=True)).double()
    result = module(torch.tensor(x))
    result.sum().backward()
    np.testing.assert_allclose(result.detach(), f(x, gain=1.0))
    np.testing.assert_allclose(module.gain.grad, f(x, gain=1.0).sum(0))
    number = made("softmax").module(temperature=trainable(2.0)).double()
    (number(torch.tensor(x))[:, 0]).sum().backward()
    ends = [made("softmax")(x, temperature=2 + s)[:, 0].sum() for s in (1e-6, -1e-6)]
    np.testing.assert_allclose(number.temperature.grad, [(ends[0] - ends[1]) / 2e-6], rtol=1e-6)


def test_a_keras_layer_is_saved_and_trained(tmp_path: Any) -> None:
    import keras

    inputs = keras.Input((5, 4))
    x = keras.layers.Dense(SIZE)(inputs)
    x = made("glu")(x)
    x = made("softmax").layer(temperature=trainable(1.5))(x)
    x = made("rms_norm").layer(gain=trainable(1.0, per_channel=True))(x)
    outputs = made("norm")(axis=1)(x)
    assert outputs.shape == (None, SIZE // 2)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    data = np.random.default_rng(0).normal(size=(8, 5, 4)).astype(np.float32)
    before = [keras.ops.convert_to_numpy(w) for w in model.trainable_weights]
    model.fit(data, np.ones((8, SIZE // 2), np.float32), verbose=0)
    after = [keras.ops.convert_to_numpy(w) for w in model.trainable_weights]
    assert all((a != b).any() for a, b in zip(before, after, strict=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(data, verbose=0), model.predict(data, verbose=0), rtol=1e-6
    )


def test_a_saved_model_keeps_the_first_derivative(tmp_path: Any) -> None:
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, SIZE], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return made("softmax")(x)

    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(Module(), str(tmp_path), options=options)
    loaded = tf.saved_model.load(str(tmp_path))
    x = tf.constant(rows("softmax", 3)[0].astype(np.float32))
    grads = []
    for f in (loaded, made("softmax")):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = f(x)[:, 0]
        grads.append(tape.gradient(result, x))
    np.testing.assert_allclose(grads[0], grads[1], rtol=1e-5, atol=1e-7)


def test_a_gradient_rule_in_every_framework() -> None:
    f = activation(
        lambda x: x / np.sum(np.abs(x)),
        axis=-1,
        name="share",
        gradient=lambda x, upstream: upstream - np.mean(upstream),
    )
    x, upstream = rows("softmax", 3)[0], np.random.default_rng(0).normal(size=(3, SIZE))
    expected = upstream - upstream.mean(-1, keepdims=True)
    tensor = torch.tensor(x, requires_grad=True)
    f(tensor).backward(torch.tensor(upstream))
    np.testing.assert_allclose(tensor.grad, expected)
    _, pull = jax.vjp(f, jnp.asarray(x))
    np.testing.assert_allclose(pull(jnp.asarray(upstream))[0], expected)
    with tf.GradientTape() as tape:
        constant = tf.constant(x)
        tape.watch(constant)
        result = f(constant)
    np.testing.assert_allclose(tape.gradient(result, constant, tf.constant(upstream)), expected)
    with pytest.raises(NoDerivativeError, match="reverse mode"):
        jax.jvp(f, (jnp.asarray(x),), (jnp.asarray(x),))
    with pytest.raises(NoDerivativeError, match="reverse mode"):
        torch.func.jvp(f, (torch.tensor(x),), (torch.tensor(x),))


READ = {
    "torch softmax": lambda x: torch.softmax(x, dim=-1) * x,
    "torch methods": lambda x: x.sub(x.mean(-1, keepdim=True)) / x.std(-1, unbiased=False),
    "torch max": lambda x: x - x.max(dim=-1).values + x.amin(-1),
    "torch sort": lambda x: torch.sort(x, dim=-1, descending=True)[0] * torch.arange(len(x)),
    "torch chunk": lambda x: torch.mul(*x.chunk(2, dim=-1)),
    "torch glu": lambda x: torch.nn.functional.glu(x, dim=-1),
    "torch cat": lambda x: torch.cat([torch.relu(x), torch.relu(-x)], dim=-1),
    "torch topk": lambda x: torch.where(x >= torch.topk(x, 2).values[-1], x, 0.0),
    "torch norm": lambda x: torch.nn.functional.normalize(x, dim=-1) + x.norm(),
    "torch logsumexp": lambda x: torch.logsumexp(x, -1) + torch.cumsum(x, 0),
    "torch size": lambda x: x[: x.size(-1) // 2] * x.shape[-1],
    "tf reductions": lambda x: x - tf.reduce_max(x, axis=-1) + tf.reduce_mean(x),
    "tf split": lambda x: tf.multiply(*tf.split(x, 2, axis=-1)),
    "tf sort": lambda x: tf.sort(x, direction="DESCENDING") * tf.nn.softmax(x),
    "tf top_k": lambda x: tf.where(x >= tf.math.top_k(x, k=3).values[-1], x, 0.0),
    "tf concat": lambda x: tf.concat([tf.nn.relu(x), tf.nn.relu(-x)], axis=-1),
    "tf norm": lambda x: tf.math.l2_normalize(x, axis=-1) * tf.norm(x),
    "jax softmax": lambda x: jax.nn.softmax(x, axis=-1) - jax.nn.log_softmax(x),
    "jax top_k": lambda x: jnp.where(x >= jax.lax.top_k(x, 2)[0][-1], x, 0.0),
    "jax one hot": lambda x: jax.nn.one_hot(jnp.argmax(x), len(x)) * x,
    "jax logsumexp": lambda x: x - jax.nn.logsumexp(x) + jnp.cumsum(x) + jnp.any(x > 1),
    "jax glu": lambda x: jax.nn.glu(x),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_libraries_of_tensors_are_read(name: str) -> None:
    function = READ[name]
    (x,) = rows("softmax", 4)
    library = {"torch": torch.tensor, "tf": tf.constant, "jax": jnp.asarray}[name.split()[0]]
    expected = np.stack([np.asarray(function(library(row))) for row in x])
    f = activation(function, axis=-1, name="f")
    np.testing.assert_allclose(f(x), expected, rtol=1e-6, atol=1e-7)
    assert from_json(f.to_json()) == f


def above(x: Any, k: Any = 2.0, b: Any = 0.5) -> Any:
    return np.where(x >= k * np.mean(x), b, 0.0)


def by_name(x: Any, upstream: Any, k: Any) -> Any:
    return {"x": upstream * k + x, "k": k * np.sum(upstream * x)}


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_gradient_rule_by_name(saved: bool, compiled: bool) -> None:
    f = activation(above, axis=-1, gradient=by_name)
    f = from_json(f.to_json()) if saved else f
    x, upstream = np.random.default_rng(0).normal(size=(2, 3, SIZE))
    k, b = 1.5, 0.5
    chosen = upstream * (x >= k * x.mean(-1, keepdims=True))
    expected = [upstream * k + x, k * (upstream * x).sum(), chosen.sum()]

    tensors = [torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in (x, k, b)]
    call = torch.compile(f, backend="eager") if compiled else f
    call(tensors[0], k=tensors[1], b=tensors[2]).backward(torch.tensor(upstream))

    def backward(x: Any, k: Any, b: Any) -> Any:
        return jax.vjp(lambda x, k, b: f(x, k=k, b=b), x, k, b)[1](jnp.asarray(upstream))

    def taped(x: Any, k: Any, b: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([x, k, b])
            y = f(x, k=k, b=b)
        return tape.gradient(y, [x, k, b], output_gradients=tf.constant(upstream))

    backward = jax.jit(backward) if compiled else backward
    taped = tf.function(taped, jit_compile=True) if compiled else taped
    found = [
        [each.grad for each in tensors],
        backward(*map(jnp.asarray, (x, k, b))),
        taped(*(tf.constant(each, tf.float64) for each in (x, k, b))),
    ]
    for each_found in found:
        for mine, right in zip(each_found, expected, strict=True):
            np.testing.assert_allclose(np.asarray(mine), right, rtol=1e-6)
