"""Thirty activations of the literature, each written once with TensorFlow, once with PyTorch, once with
JAX and once in plain Python: all four are read into programs that agree, and run everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")
tf = pytest.importorskip("tensorflow")
torch = pytest.importorskip("torch")
import jax.numpy as jnp
import torch.nn.functional as F

from actgrad import Activation, activation
from tests.sample import exhaustive_but

LIBRARIES = ("tf", "torch", "jnp", "python")
FRAMEWORKS = ("numpy", "tensorflow", "torch", "jax")
# Beside the kinks of all thirty.
POINTS = np.array(
    [-7.3, -3.7, -2.2, -1.7, -1.2, -0.61, -0.3, -0.11, 0.07, 0.21, 0.43, 0.83, 1.4, 2.6, 4.3]
)


def python_soft_shrink(x, threshold=0.5):
    if x > threshold:
        return x - threshold
    if x < -threshold:
        return x + threshold
    return 0.0


def python_elish(x):
    s = 1 / (1 + math.exp(-x))
    return x * s if x >= 0 else (math.exp(x) - 1) * s


def python_isrlu(x, alpha=1.0):
    if x >= 0:
        return x
    return x / math.sqrt(1 + alpha * x * x)


def python_hard_sigmoid(x):
    y = (x + 3) / 6
    if y < 0:
        y = 0.0
    if y > 1:
        y = 1.0
    return y


def python_srelu(x, low=-0.4, high=0.4, slope=0.2):
    if x >= high:
        return high + slope * (x - high)
    elif x <= low:
        return low + slope * (x - low)
    return x


def python_spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0.0


def tf_serf(x):
    return x * tf.math.erf(tf.math.softplus(x))


Written = Callable[[Any], Any]
ACTIVATIONS: dict[str, tuple[Written, Written, Written, Written]] = {
    "relu": (tf.nn.relu, torch.relu, jax.nn.relu, lambda x: max(x, 0.0)),
    "leaky_relu": (
        lambda x: tf.nn.leaky_relu(x, alpha=0.1),
        lambda x: F.leaky_relu(x, negative_slope=0.1),
        lambda x: jax.nn.leaky_relu(x, negative_slope=0.1),
        lambda x: x if x >= 0 else 0.1 * x,
    ),
    "relu6": (
        tf.nn.relu6,
        lambda x: torch.clamp(x, 0.0, 6.0),
        lambda x: jnp.minimum(jnp.maximum(x, 0.0), 6.0),
        lambda x: min(max(x, 0.0), 6.0),
    ),
    "elu": (
        tf.nn.elu,
        lambda x: torch.where(x > 0, x, torch.expm1(x)),
        lambda x: jax.nn.elu(x),
        lambda x: x if x > 0 else math.exp(x) - 1,
    ),
    "selu": (
        tf.nn.selu,
        F.selu,
        jax.nn.selu,
        lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    ),
    "celu": (
        lambda x: tf.maximum(x, 0.0) + tf.minimum(1.5 * tf.math.expm1(x / 1.5), 0.0),
        lambda x: F.celu(x, alpha=1.5),
        lambda x: jax.nn.celu(x, 1.5),
        lambda x: max(x, 0.0) + min(0.0, 1.5 * (math.exp(x / 1.5) - 1)),
    ),
    "gelu": (
        lambda x: tf.nn.gelu(x),
        lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
        lambda x: jax.nn.gelu(x, approximate=False),
        lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
    ),
    "gelu_tanh": (
        lambda x: tf.nn.gelu(x, approximate=True),
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: jax.nn.gelu(x),
        lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    "silu": (
        lambda x: x * tf.sigmoid(x),
        lambda x: F.silu(x),
        lambda x: x * jax.nn.sigmoid(x),
        lambda x: x / (1 + math.exp(-x)),
    ),
    "mish": (
        lambda x: x * tf.tanh(tf.math.softplus(x)),
        F.mish,
        lambda x: x * jnp.tanh(jnp.log1p(jnp.exp(x))),
        lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    ),
    "softplus": (
        tf.nn.softplus,
        lambda x: torch.log1p(torch.exp(x)),
        lambda x: jnp.logaddexp(x, 0.0),
        lambda x: math.log(1 + math.exp(x)),
    ),
    "softsign": (
        tf.nn.softsign,
        lambda x: x / (1 + x.abs()),
        jax.nn.soft_sign,
        lambda x: x / (1 + abs(x)),
    ),
    "log_sigmoid": (
        tf.math.log_sigmoid,
        lambda x: -torch.logaddexp(torch.zeros_like(x), -x),
        lambda x: -jax.nn.softplus(-x),
        lambda x: -math.log(1 + math.exp(-x)),
    ),
    "tanh_shrink": (
        lambda x: x - tf.tanh(x),
        F.tanhshrink,
        lambda x: x - jnp.tanh(x),
        lambda x: x - math.tanh(x),
    ),
    "hard_tanh": (
        lambda x: tf.clip_by_value(x, -1.0, 1.0),
        F.hardtanh,
        jax.nn.hard_tanh,
        lambda x: max(-1.0, min(1.0, x)),
    ),
    "hard_sigmoid": (
        lambda x: tf.nn.relu6(x + 3.0) / 6.0,
        lambda x: ((x + 3) / 6).clamp(0, 1),
        lambda x: jax.nn.hard_sigmoid(x),
        python_hard_sigmoid,
    ),
    "hard_swish": (
        lambda x: x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0),
        F.hardswish,
        jax.nn.hard_swish,
        lambda x: x * min(max(x + 3, 0), 6) / 6,
    ),
    "soft_shrink": (
        lambda x: tf.sign(x) * tf.maximum(tf.abs(x) - 0.5, 0.0),
        lambda x: F.softshrink(x, lambd=0.5),
        lambda x: jnp.where(x > 0.5, x - 0.5, jnp.where(x < -0.5, x + 0.5, 0.0)),
        python_soft_shrink,
    ),
    "hard_shrink": (
        lambda x: tf.where(tf.abs(x) > 0.5, x, 0.0),
        lambda x: F.hardshrink(x),
        lambda x: jnp.select([x > 0.5, x < -0.5], [x, x], 0.0),
        lambda x: x if x > 0.5 or x < -0.5 else 0.0,
    ),
    "squareplus": (
        lambda x: (x + tf.sqrt(tf.square(x) + 4.0)) / 2.0,
        lambda x: 0.5 * (x + (x * x + 4).sqrt()),
        jax.nn.squareplus,
        lambda x: 0.5 * (x + math.sqrt(x * x + 4)),
    ),
    "isrlu": (
        lambda x: tf.where(x >= 0.0, x, x * tf.math.rsqrt(1.0 + x * x)),
        lambda x: torch.where(x >= 0, x, x * torch.rsqrt(1 + x**2)),
        lambda x: jnp.where(x >= 0, x, x / jnp.sqrt(1 + jnp.square(x))),
        python_isrlu,
    ),
    "bent_identity": (
        lambda x: (tf.sqrt(x**2 + 1.0) - 1.0) / 2.0 + x,
        lambda x: (torch.hypot(x, torch.ones_like(x)) - 1) / 2 + x,
        lambda x: (jnp.hypot(x, 1.0) - 1) / 2 + x,
        lambda x: (math.sqrt(x * x + 1) - 1) / 2 + x,
    ),
    "snake": (
        lambda x: x + tf.math.square(tf.sin(2.0 * x)) / 2.0,
        lambda x: x + torch.sin(2 * x).pow(2) / 2,
        lambda x: x + (1 - jnp.cos(4 * x)) / 4,
        lambda x: x + math.sin(2 * x) ** 2 / 2,
    ),
    "serf": (
        tf_serf,
        lambda x: x * torch.erf(F.softplus(x)),
        lambda x: x * jax.lax.erf(jnp.log1p(jnp.exp(x))),
        lambda x: x * math.erf(math.log(1 + math.exp(x))),
    ),
    "elish": (
        lambda x: tf.where(x >= 0, x * tf.sigmoid(x), tf.math.expm1(x) * tf.sigmoid(x)),
        lambda x: torch.where(x >= 0, x, torch.exp(x) - 1) * torch.sigmoid(x),
        lambda x: jnp.where(x >= 0, x, jnp.expm1(x)) / (1 + jnp.exp(-x)),
        python_elish,
    ),
    "lisht": (
        lambda x: x * tf.math.tanh(x),
        lambda x: x * x.tanh(),
        lambda x: x * jnp.tanh(x),
        lambda x: x * math.tanh(x),
    ),
    "logish": (
        lambda x: x * tf.math.log1p(tf.sigmoid(x)),
        lambda x: x * torch.log1p(torch.sigmoid(x)),
        lambda x: x * jnp.log1p(jax.nn.sigmoid(x)),
        lambda x: x * math.log(1 + 1 / (1 + math.exp(-x))),
    ),
    "smooth_arctan": (
        lambda x: x * (0.5 + tf.math.atan(x) / math.pi),
        lambda x: x * (0.5 + torch.arctan(x) / torch.pi),
        lambda x: x * (0.5 + jnp.arctan(x) / jnp.pi),
        lambda x: x * (0.5 + math.atan(x) / math.pi),
    ),
    "srelu": (
        lambda x: tf.where(
            x >= 0.4, 0.4 + 0.2 * (x - 0.4), tf.where(x <= -0.4, -0.4 + 0.2 * (x + 0.4), x)
        ),
        lambda x: x.clamp(-0.4, 0.4) + 0.2 * (x - torch.clamp(x, min=-0.4, max=0.4)),
        lambda x: jnp.clip(x, -0.4, 0.4) + 0.2 * F_soft(x),
        python_srelu,
    ),
    "spiky": (
        lambda x: tf.where(tf.math.floormod(x, 1.0) <= 0.5, tf.math.floormod(x, 1.0), 0.0),
        lambda x: torch.where(torch.remainder(x, 1) <= 0.5, torch.remainder(x, 1), 0.0),
        lambda x: jnp.where(x - jnp.floor(x) <= 0.5, x - jnp.floor(x), 0.0),
        python_spiky,
    ),
}  # fmt: skip


def F_soft(x):
    """What is beyond 0.4 on either side, in jnp."""
    return jnp.sign(x) * jnp.maximum(jnp.abs(x) - 0.4, 0.0)


# Where the four texts say the same, in whatever words. (A library's `relu` is another than Python's `max`: at
# a kink it has the library's derivative.)
THE_SAME = ("softsign", "tanh_shrink", "silu", "lisht", "serf", "mish")


def read(name: str, library: str) -> Activation:
    return activation(ACTIVATIONS[name][LIBRARIES.index(library)], name=name)


def test_there_are_thirty() -> None:
    assert len(ACTIVATIONS) == 30


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_value_is_that_of_plain_python(name: str, library: str) -> None:
    plain = ACTIVATIONS[name][3]
    found = read(name, library)(POINTS)
    np.testing.assert_allclose(found, [plain(x) for x in POINTS.tolist()], rtol=1e-13, atol=1e-15)


def difference(plain: Written, x: float) -> float:
    """Of the plain Python function, with an error of the order of its step to the fourth."""
    h = 1e-3
    near, far = ((plain(x + k * h) - plain(x - k * h)) / (2 * k * h) for k in (1, 2))
    return (4 * near - far) / 3


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_derivatives_agree(name: str, library: str) -> None:
    plain, f = ACTIVATIONS[name][3], read(name, library).derivative
    wanted = [difference(plain, x) for x in POINTS.tolist()]
    np.testing.assert_allclose(f(POINTS), wanted, rtol=1e-8, atol=1e-9)
    second = read(name, "python").derivative.derivative(POINTS)
    np.testing.assert_allclose(f.derivative(POINTS), second, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("library", LIBRARIES[:3])
@pytest.mark.parametrize("name", THE_SAME)
def test_the_same_steps_are_the_same_program(name: str, library: str) -> None:
    assert read(name, library) == read(name, "python")


def in_numpy(f: Any, x: Any) -> tuple[Any, Any]:
    return f(x), f.derivative(x)


def in_tensorflow(f: Any, x: Any) -> tuple[Any, Any]:
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = f(x)
    return value.numpy(), tape.gradient(value, x).numpy()


def in_torch(f: Any, x: Any) -> tuple[Any, Any]:
    x = torch.tensor(x, requires_grad=True)
    value = f(x)
    return value.detach().numpy(), torch.autograd.grad(value.sum(), x)[0].numpy()


def in_jax(f: Any, x: Any) -> tuple[Any, Any]:
    value, back = jax.vjp(f, jnp.asarray(x))
    return value, back(jnp.ones_like(value))[0]


RUN = {"numpy": in_numpy, "tensorflow": in_tensorflow, "torch": in_torch, "jax": in_jax}


# That the four texts are one function is tested above, so `make test` takes one of them, in turn.
READ = [(name, library) for name in ACTIVATIONS for library in LIBRARIES]
IN_TURN = [(name, LIBRARIES[i % len(LIBRARIES)]) for i, name in enumerate(ACTIVATIONS)]


@pytest.mark.diagonal
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("read_as", exhaustive_but(IN_TURN, READ), ids="-".join)
def test_it_runs_in_the_others(read_as: tuple[str, str], framework: str) -> None:
    name, library = read_as
    plain, points = ACTIVATIONS[name][3], POINTS.astype(np.float32)
    value, slope = RUN[framework](read(name, library), points)
    wanted = [plain(x) for x in points.tolist()]
    np.testing.assert_allclose(value, wanted, rtol=2e-5, atol=1e-6)
    wanted = [difference(plain, x) for x in points.tolist()]
    np.testing.assert_allclose(slope, wanted, rtol=5e-5, atol=1e-6)
