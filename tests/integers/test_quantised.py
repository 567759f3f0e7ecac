"""The quantised activation in every framework: mpmath's codes forward, PyTorch's own estimators backward."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actgrad
from actgrad import activation, activations
from tests.integers import oracle
from tests.sample import exhaustive_but
from tests.tensors import ROOMS, tensor


@lru_cache(maxsize=8)
def quantised(name: str, scales: int, bits: int = 8) -> Any:
    """The same activation for every framework: the cases of a test come one after another."""
    return getattr(activations, name).quantised(*oracle.pairs(scales, bits), bits=bits)


def every_input(scales: int, bits: int = 8) -> tuple[np.ndarray[Any, Any], np.float32]:
    """A number in float32 near each code's, in its middle or beside it, and the output's scale."""
    (scale, zero), (out_scale, _) = oracle.pairs(scales, bits)
    codes = np.arange(-(1 << bits - 1), 1 << bits - 1) - zero
    moved = codes + np.random.default_rng(0).choice([0.0, -0.37, 0.49], len(codes))
    return np.float32(moved * scale), np.float32(out_scale)


def graph(q: Any, x: Any) -> Any:
    tf = pytest.importorskip("tensorflow")
    return tf.function(q)(tf.constant(x))


def xla(q: Any, x: Any) -> Any:
    tf = pytest.importorskip("tensorflow")
    return tf.function(q, jit_compile=True)(tf.constant(x))


def jit(q: Any, x: Any) -> Any:
    jax = pytest.importorskip("jax")
    return jax.jit(q)(x)


def keras_layer(q: Any, x: Any) -> Any:
    pytest.importorskip("keras")
    return q.layer()(x)


MODES = {
    **{name: lambda q, x, name=name: q(tensor(name, x)) for name in ROOMS},
    "graph": graph,
    "xla": xla,
    "jit": jit,
    "keras": keras_layer,
}


def check_every_input(mode: str, name: str, scales: int, bits: int = 8) -> None:
    x, out_scale = every_input(scales, bits)
    q, out_zero = quantised(name, scales, bits), oracle.SCALES[scales][1][1]
    wanted = (oracle.rounded(name, scales, bits) - out_zero).astype(np.float32) * out_scale
    # From 32,768 numbers on PyTorch compiles a loop, for seconds: one case shows it, the others go in parts.
    parts = 4 if mode == "torch" and bits == 16 and (name, scales) != ("relu", 0) else 1
    found = np.concatenate([np.asarray(MODES[mode](q, part)) for part in np.split(x, parts)])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)


CASES = [(name, scales) for name in oracle.FUNCTIONS for scales in range(3)]
CHOSEN = [("gelu", 1), ("spiky", 0), ("sinc", 2)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", exhaustive_but(CHOSEN, CASES), ids=str)
def test_bit_for_bit_on_every_int8_input(mode: str, case: tuple[str, int]) -> None:
    check_every_input(mode, *case)


@pytest.mark.parametrize("mode", exhaustive_but(["numpy", "jit"], MODES))
@pytest.mark.parametrize("case", exhaustive_but([("relu", 0)], CASES), ids=str)
def test_bit_for_bit_on_every_int16_input(mode: str, case: tuple[str, int]) -> None:
    check_every_input(mode, *case, bits=16)


@pytest.mark.slow
def test_bit_for_bit_under_torch_compile() -> None:
    torch = pytest.importorskip("torch")
    MODES["compile"] = lambda q, x: torch.compile(q)(torch.tensor(x))
    try:
        check_every_input("compile", "gelu", 1)
    finally:
        del MODES["compile"]


@pytest.mark.parametrize("rounding", ["even", "away"])
@pytest.mark.parametrize("mode", MODES)
def test_halfway_inputs_and_those_beside_them(mode: str, rounding: Any) -> None:
    scale = np.float32(0.0431)
    x = (np.arange(-140, 140, dtype=np.float32) + np.float32(0.5)) * scale
    x = np.concatenate([x, np.nextafter(x, np.float32(9)), np.nextafter(x, np.float32(-9))])
    steps = (x / scale).astype(np.float64)
    nearest = np.rint(steps) if rounding == "even" else np.trunc(steps + np.copysign(0.5, steps))
    wanted = np.clip(nearest, -128, 127).astype(np.float32)
    q = activation(lambda v: v / float(scale), name="steps").quantised(
        (0.0431, 0), (1.0, 0), rounding=rounding
    )
    np.testing.assert_array_equal(np.asarray(MODES[mode](q, x)), wanted)


@pytest.mark.parametrize("framework", ["torch", "tensorflow", "jax"])
def test_backward_is_two_straight_through_estimators(framework: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip(framework)
    # A step of 0.04 at the input, within ±5; at the output 0.02 from -1 to 1.6: gelu saturates there.
    (s, z), (t, y) = (np.float32(0.04), 3), (np.float32(0.02), -48)
    x = np.random.default_rng(1).uniform(-6, 6, 4000).astype(np.float32)
    x = x[np.abs(x / s - np.floor(x / s) - 0.5) > 0.01]
    leaf = torch.tensor(x, requires_grad=True)
    fake = torch.fake_quantize_per_tensor_affine
    inner = fake(leaf, float(s), z, -128, 127)
    outer = fake(torch.nn.functional.gelu(inner), float(t), y, -128, 127)
    outer.sum().backward()
    q = activations.gelu.quantised((0.04, z), (0.02, y))
    found = gradient(framework, q, x)
    assert 0.2 < float((leaf.grad == 0).float().mean()) < 0.8
    np.testing.assert_allclose(found, leaf.grad.numpy(), rtol=2e-5, atol=2e-6)


def gradient(framework: str, q: Any, x: Any) -> Any:
    if framework == "torch":
        import torch

        leaf = torch.tensor(x, requires_grad=True)
        q(leaf).sum().backward()
        return leaf.grad.numpy()
    if framework == "jax":
        import jax

        return np.asarray(jax.vmap(jax.grad(q))(x))
    import tensorflow as tf

    leaf = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(leaf)
        value = q(leaf)
    return tape.gradient(value, leaf).numpy()


def test_backward_is_the_derivative_in_force() -> None:
    step = activation(
        lambda x: 1.0 if x >= 0 else 0.0, surrogate=lambda x: max(0.0, 1 - abs(x)), name="step"
    )
    q = step.quantised((1 / 16, 0), (1 / 127, 0))
    assert [q.derivative(x) for x in (0.0, 0.26, -0.5, 3.0)] == [1.0, 0.75, 0.5, 0.0]
    rule = activation(lambda x: x, gradient=lambda x, g: 3 * g * x, name="rule")
    torch = pytest.importorskip("torch")
    leaf = torch.tensor([0.51, 2.0, 9.0, -9.0], requires_grad=True)
    rule.quantised((1 / 16, 0), (1 / 16, 0))(leaf).backward(torch.tensor([1.0, -1.0, 1.0, 1.0]))
    assert leaf.grad.tolist() == [1.5, -6.0, 0.0, 0.0]


def test_it_is_saved(tmp_path: Path) -> None:
    q = quantised("gelu", 0)
    q.save(tmp_path / "q.json")
    assert actgrad.load(tmp_path / "q.json") == q
    assert q.name == "gelu_int8"
    assert q.check().verdict == "surrogate (declared)"
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4, activation=q)])
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert again.layers[0].activation == q
