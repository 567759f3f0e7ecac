"""What people write in each library, read as that library computes it: the value, and the derivative by
its own autograd, at kinks too.
"""

# ruff: noqa: F821
from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from actgrad import activation, from_json
from actgrad.activation import Activation
from actgrad.errors import ActgradError, ActgradWarning, ImpureError, MixingError
from actgrad.reading.define import define

GRID = np.array(
    [
        0.0,
        0.25,
        -0.25,
        0.5,
        -0.5,
        1.0,
        -1.0,
        1.5,
        -1.5,
        2.5,
        -2.5,
        3.0,
        -3.0,
        6.0,
        -6.0,
        0.3,
        -0.7,
        7.3,
        -9.1,
    ]
)


def _hooked(x):
    y = torch.tanh(x)
    if y.requires_grad and torch.is_grad_enabled():
        y.register_hook(lambda upstream: 2 * upstream)
    return y


def _power(v, n):
    return jnp.tanh(v) ** n


def _decorated_by_tensorflow(x):
    @tf.function(jit_compile=True)
    def scaled(v):
        return tf.tanh(v) * 2.0

    return scaled(x)


def _branch(v, k=0.1):
    return v if v > 0 else k * v


def _both(v):
    return abs(v), v * v


def _discards_what_it_writes(x):
    y = 2 * x
    F.leaky_relu_(y, 0.2)
    return y + 1


def _writes_by_a_function(x):
    F.elu_(x, 0.5)
    return 2 * x


_from_python = np.frompyfunc(_branch, 2, 1)

TORCH = {
    "checkpoint": lambda x: torch.utils.checkpoint.checkpoint(torch.tanh, x, use_reentrant=False),
    "a mask's complement": lambda x: torch.where(~(x > 0.1), -2 * x, x),
    "relu": lambda x: F.relu(x),
    "relu_": lambda x: torch.relu_(x),
    "a grid in its dtype": lambda x: torch.exp(
        -((x[..., None] - torch.linspace(-2, 2, 5, dtype=x.dtype, device=x.device)) ** 2)
    ).sum(-1),
    "a sum with dim=": lambda x: torch.sin(
        x.unsqueeze(-1) * torch.arange(1, 4, dtype=x.dtype, device=x.device)
    ).sum(dim=-1),
    "a range of its type": lambda x: (
        (x[..., None] * torch.arange(1, 4).type_as(x)).sin().mean(dim=-1)
    ),
    "a hook where a gradient is asked for": _hooked,
    "hardtanh_, then more": lambda x: F.hardtanh_(x) * 2,
    "a copy, in place by functions": _discards_what_it_writes,
    "the input, in place by a function": _writes_by_a_function,
    "relu, inplace by position": lambda x: F.relu(x, True),
    "amax of three that tie": lambda x: torch.stack([x, 2 * x, 3 * x]).amax(0),
    "amin of three that tie": lambda x: torch.stack([x, 2 * x, 4 * x, 3 + x], -1).amin(-1),
    "relu6": lambda x: F.relu6(x),
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 1.5),
    "hardsigmoid": lambda x: F.hardsigmoid(x),
    "hardswish": lambda x: F.hardswish(x),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1, True),
    "elu": lambda x: F.elu(x, 0.5),
    "selu": lambda x: F.selu(x),
    "celu": lambda x: F.celu(x, 2.0),
    "softshrink": lambda x: F.softshrink(x, 1.0),
    "hardshrink": lambda x: F.hardshrink(x, 1.0),
    "softplus with a threshold": lambda x: F.softplus(x, beta=0.5, threshold=2),
    "softplus by position": lambda x: F.softplus(x, 2, 1),
    "threshold": lambda x: F.threshold(x, 0.5, 0.5),
    "rrelu outside of training": lambda x: F.rrelu(x, 0.1, 0.5),
    "dropout outside of training": lambda x: F.dropout(x, 0.5, False) * x,
    "abs": lambda x: torch.abs(x),
    "sign": lambda x: torch.sign(x) * 3,
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "max of two": lambda x: torch.max(x, torch.tensor(0.5)),
    "min of two": lambda x: torch.min(x, -x),
    "clamp": lambda x: torch.clamp(x, -1, 1),
    "clamp, one side": lambda x: x.clamp(min=0.5),
    "clamp_max": lambda x: x.clamp_max(1.5),
    "div, floor": lambda x: torch.div(x, 0.3, rounding_mode="floor") * x,
    "div, trunc": lambda x: x.div(0.3, rounding_mode="trunc") * x,
    "round to decimals": lambda x: torch.round(x, decimals=1) + x,
    "add, alpha": lambda x: torch.add(x, torch.tanh(x), alpha=0.5),
    "sub, alpha": lambda x: x.sub(x.tanh(), alpha=2),
    "addcmul": lambda x: torch.addcmul(x, x, torch.tanh(x), value=0.5),
    "lerp": lambda x: torch.lerp(x, torch.tanh(x), 0.3),
    "prelu": lambda x: F.prelu(x, torch.tensor([0.3], dtype=torch.float64)),
    "nan_to_num": lambda x: torch.nan_to_num(torch.log(x), nan=-1.0, neginf=-5.0),
    "logit, eps": lambda x: torch.logit(torch.sigmoid(x), eps=0.1),
    "straight-through by detach": lambda x: x + (torch.round(x) - x).detach(),
    "straight-through by data": lambda x: x + (torch.round(x) - x).data,
    "gate without gradient": lambda x: x * torch.sigmoid(x).detach(),
    "condition as a number": lambda x: x * (x > 0),
    "condition as a float": lambda x: (x > 0).to(x.dtype) * x,
    "condition as an int": lambda x: x * ((x > 0).int() + (x > 1).int()),
    "masks joined": lambda x: torch.where((x > -1) & ~(x > 1), x, 0.0),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0.25),
    "view and back": lambda x: torch.tanh(x.view(-1)).view(x.shape),
    "reshape as": lambda x: torch.tanh(x).reshape_as(x).contiguous(),
    "unsqueeze and squeeze": lambda x: torch.sin(x.unsqueeze(-1)).squeeze(-1),
    "an axis and back": lambda x: torch.sin(x[..., None])[..., 0],
    "constants with methods": lambda x: x * torch.tensor(2.0, dtype=torch.float64).sqrt(),
    "constants of a shape": lambda x: torch.maximum(x, torch.full_like(x, 0.2)) + x.new_zeros(()),
    "radial functions": lambda x: torch.exp(-((x[..., None] - torch.linspace(-2, 2, 5)) ** 2)).sum(
        -1
    ),
    "stack and sum": lambda x: torch.stack([x, torch.tanh(x)]).sum(0),
    "stack and max": lambda x: torch.max(torch.stack([x, 0.1 * x], -1), -1).values,
    "stack and softmax": lambda x: torch.softmax(torch.stack([x, -x], -1), -1)[..., 0],
    "stack and logsumexp": lambda x: torch.logsumexp(torch.stack([x, -x]), 0),
    "huber": lambda x: F.huber_loss(x, torch.zeros_like(x), reduction="none"),
    "cross entropy": lambda x: F.binary_cross_entropy_with_logits(
        x, torch.ones_like(x), reduction="none"
    ),
    "fake quantisation": lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -20, 20),
    "cond": lambda x: torch.where(x > 0, x, torch.expm1(x)),
    "a constant's type_as": lambda x: torch.tensor([0.5]).type_as(x) * x,
    "a constant's dtype": lambda x: torch.tensor(0.5).to(x.dtype) * x - torch.tensor(2.0).mul(x),
    "a constant first": lambda x: torch.tensor(2.0) - torch.tensor(0.5) / (1 + x * x),
    "a constant expanded": lambda x: torch.full((1,), 0.25).expand_as(x) * x,
    "in place, by function": lambda x: torch.cos_(x.clone()),
    "to a device": lambda x: x.to("cpu") * x.to(torch.device("cpu"), torch.float64),
    "new ones of a shape": lambda x: (
        x * x.new_ones(x.shape) - x.new_zeros((1,)) + x.new_full((1,), 2.0)
    ),
    "index_put": lambda x: torch.sin(x).index_put((x > 0,), torch.tensor(0.5, dtype=x.dtype)),
    "expanded to itself": lambda x: torch.sin(x).expand_as(x) + x.expand(x.shape),
    "flat twice": lambda x: torch.sin(x.flatten()).ravel().view_as(x),
    "stack and log_softmax": lambda x: torch.log_softmax(torch.stack([x, -x]), 0)[1],
    "stacks joined": lambda x: torch.cat([torch.stack([x, -x], -1), x[..., None]], -1).prod(-1),
    "where a type is asked for": lambda x: (
        x.type(torch.float64) * (x.imag if x.is_complex() else 1)
    ),
}


def _no_grad(x):
    with torch.no_grad():
        jump = torch.where(x > 0, 1.0, -1.0) - x
    return x + jump


def _grad_off_and_on(x):
    with torch.set_grad_enabled(False):
        gain = torch.exp(-x.abs())
        with torch.enable_grad():
            pass
    return x * gain


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    """The names that the functions above use."""
    import jax
    import jax.numpy
    import keras
    import scipy.special
    import tensorflow
    import torch

    globals().update(scipy=scipy, torch=torch, F=torch.nn.functional, tf=tensorflow, keras=keras)
    globals().update(jax=jax, jnp=jax.numpy, K=tensorflow.keras.backend)


def _clone_and_mask(x):
    y = x.clone()
    y[x < 0] = 0.1 * x[x < 0]
    y[y > 2] -= 1
    return y


def _zeros_and_masks(x):
    out = torch.zeros_like(x)
    out[x > 0.5] = 1.0
    out[torch.where(x < -0.5)] = -1.0
    return out + x


def _in_place_chain(x):
    y = x.clone()
    y.mul_(2).add_(1).clamp_(min=0)
    y[y > 3].sum  # noqa: B018
    y += x
    return y.relu_()


def _empty_and_write(x):
    out = torch.empty_like(x)
    out[x >= 0] = torch.sqrt(x[x >= 0] + 1)
    out[x < 0] = x[x < 0]
    return out


def _decorated(x):
    import torch

    @torch.no_grad()
    def sign(v):
        return torch.sign(v)

    return x.clamp(-1, 1) * 0.5 + sign(x)


TORCH |= {
    "no_grad decorator": _decorated,
    "no_grad": _no_grad,
    "set_grad_enabled": _grad_off_and_on,
    "clone and mask": _clone_and_mask,
    "zeros and masks": _zeros_and_masks,
    "in place on a copy": _in_place_chain,
    "empty, then written": _empty_and_write,
}

TF = {
    "reduce_max of three that tie": lambda x: tf.reduce_max(tf.stack([x, 2 * x, 3 * x]), axis=0),
    "relu": lambda x: tf.nn.relu(x),
    "relu6": lambda x: tf.nn.relu6(x),
    "a function made inside": _decorated_by_tensorflow,
    "a range cast to its dtype": lambda x: tf.reduce_sum(
        tf.sin(x[..., None] * tf.cast(tf.range(1, 4), x.dtype)), axis=-1
    ),
    "leaky_relu": lambda x: tf.nn.leaky_relu(x),
    "elu": lambda x: tf.nn.elu(x),
    "selu": lambda x: tf.nn.selu(x),
    "maximum": lambda x: tf.maximum(x, 0.5),
    "maximum, the constant first": lambda x: tf.maximum(tf.constant(0.5, x.dtype), x),
    "minimum": lambda x: tf.minimum(x, 1.5),
    "clip": lambda x: tf.clip_by_value(x, -1.0, 1.5),
    "sign": lambda x: tf.sign(x) * x,
    "abs": lambda x: tf.abs(x),
    "floordiv": lambda x: tf.math.floordiv(x, 0.3) * x,
    "cast of a condition": lambda x: tf.cast(x > 0, x.dtype) * x,
    "cast to int": lambda x: tf.cast(tf.cast(x, tf.int32), tf.float64) + x,
    "stop_gradient": lambda x: x + tf.stop_gradient(tf.round(x) - x),
    "silu, beta": lambda x: tf.nn.silu(x, 2.0),
    "reduce over a stack": lambda x: tf.reduce_logsumexp(tf.stack([x, -x], -1), -1),
    "a grid": lambda x: tf.reduce_sum(
        tf.exp(-tf.square(x[..., None] - tf.constant([-1.0, 0.0, 1.0], x.dtype))), -1
    ),
    "zeros of its shape": lambda x: x + tf.zeros(tf.shape(x), x.dtype),
    "v1 relu6": lambda x: tf.compat.v1.nn.relu6(x),
    "numpy's names": lambda x: tf.experimental.numpy.log1p(tf.experimental.numpy.exp(x)),
    "polyval": lambda x: tf.math.polyval([tf.ones_like(x), 2 * x, x], x),
    "K.sigmoid": lambda x: K.sigmoid(x) * x,
    "K.relu": lambda x: K.relu(x, alpha=0.1, max_value=2.0),
    "K.hard_sigmoid": lambda x: K.hard_sigmoid(x),
    "K.clip": lambda x: K.clip(x, 0.0, 1.0) + K.square(x),
    "stack and norm": lambda x: tf.math.reduce_euclidean_norm(tf.stack([x, x + 1]), 0),
    "log_poisson_loss": lambda x: tf.nn.log_poisson_loss(tf.ones_like(x), x),
}
KERAS = {
    "relu": lambda x: keras.activations.relu(x, negative_slope=0.25, max_value=2.0, threshold=0.5),
    "relu, six": lambda x: keras.activations.relu(x, max_value=6.0),
    "leaky": lambda x: keras.ops.leaky_relu(x),
    "relu, leaky": lambda x: keras.activations.relu(x, negative_slope=0.25),
    "swish": lambda x: keras.activations.swish(x) + keras.activations.hard_swish(x),
    "hard_sigmoid": lambda x: keras.ops.hard_sigmoid(x),
    "hard_silu": lambda x: keras.activations.hard_silu(x),
    "hard_tanh": lambda x: keras.activations.hard_tanh(x),
    "soft_shrink": lambda x: keras.activations.soft_shrink(x, threshold=1.0),
    "threshold": lambda x: keras.ops.threshold(x, 0.5, 0.5),
    "clip": lambda x: keras.ops.clip(x, -1.0, 1.5),
    "where": lambda x: keras.ops.where(x > 0, x, keras.ops.expm1(x)),
    "sparse_plus": lambda x: keras.ops.sparse_plus(x),
    "cast": lambda x: keras.ops.cast(x > 0, x.dtype) * x,
}
JAX = {
    "a constant in the input's dtype": lambda x: x * jnp.log(2.0).astype(x.dtype),
    "max of three that tie": lambda x: jnp.max(jnp.stack([x, 2 * x, 3 * x]), axis=0),
    "relu": lambda x: jax.nn.relu(x),
    "relu6": lambda x: jax.nn.relu6(x),
    "jit with static arguments": lambda x: jax.jit(_power, static_argnums=(1,))(x, 3),
    "vmap with axes": lambda x: jax.vmap(_power, in_axes=(0, None))(x, 3),
    "checkpoint": lambda x: jax.checkpoint(_power, static_argnums=(1,), prevent_cse=False)(x, 2),
    "leaky_relu": lambda x: jax.nn.leaky_relu(x),
    "elu": lambda x: jax.nn.elu(x, 0.5),
    "selu": lambda x: jax.nn.selu(x),
    "hard_sigmoid": lambda x: jax.nn.hard_sigmoid(x),
    "hard_silu": lambda x: jax.nn.hard_silu(x),
    "hard_tanh": lambda x: jax.nn.hard_tanh(x),
    "maximum": lambda x: jnp.maximum(x, 0.5),
    "minimum": lambda x: jnp.minimum(1.5, x),
    "clip": lambda x: jnp.clip(x, -1.0, 1.5),
    "clamp": lambda x: jax.lax.clamp(-1.0, x, 1.5),
    "sign": lambda x: jnp.sign(x) * x,
    "where": lambda x: jnp.where(x > 0, x, jnp.expm1(x)),
    "at set": lambda x: x.at[x < 0].set(0.25),
    "at multiply": lambda x: x.at[x < 0].multiply(0.25),
    "cond": lambda x: jax.lax.select(x > 0, x, 0.1 * x),
    "fori_loop": lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * 0.5, x),
    "scan": lambda x: jax.lax.scan(lambda c, k: (c * 0.5 + k, c), x, jnp.array([1.0, 2.0]))[0],
    "switch": lambda x: jax.lax.select_n((x > 0).astype("int32"), -x, x * x),
    "stop_gradient": lambda x: x + jax.lax.stop_gradient(jnp.round(x) - x),
    "constants": lambda x: jnp.array([0.1, 0.5])[0] + jnp.float32(0.5) * x * jnp.float32(x > 0),
    "a stack": lambda x: jax.nn.logsumexp(jnp.stack([x, -x], -1), axis=-1),
    "vectorize": lambda x: jnp.vectorize(lambda v: v * v)(x),
    "jit inside": lambda x: jax.jit(lambda v: jnp.tanh(v))(x),
    "abs": lambda x: jnp.abs(x),
    "reduce_precision": lambda x: jax.lax.reduce_precision(x * x, 8, 23),
    "types asked for": lambda x: (
        x.astype(jnp.result_type(x)) * (2.0 if jnp.issubdtype(x.dtype, jnp.floating) else 1.0)
    ),
    "modf": lambda x: jnp.modf(x)[0] + jnp.modf(x)[1],
    "checkpoint inside": lambda x: jax.checkpoint(jnp.tanh)(x),
}


def _np_copy(x):
    y = np.copy(x)
    y[y < 0] *= 0.1
    return y


def _np_copyto(x):
    y = np.array(x)
    np.copyto(y, 0.5, where=x > 1)
    np.putmask(y, x < -1, -0.5)
    np.putmask(y, x > 2, x * x)
    return y


def _np_out(x):
    y = np.zeros_like(x)
    np.divide(1.0, x, out=y, where=x != 0)
    return y


def _np_place(x):
    y = np.copy(x)
    np.place(y, y < 0, 0.5)
    np.copyto(y, y * y)
    return y


NUMPY = {
    "a mask's complement": lambda x: np.where(~(x > 0.1), -2 * x, x),
    "chebval": lambda x: np.polynomial.chebyshev.chebval(x / 10, [0.1, 0.4, -0.3]),
    "a constant in the input's dtype": lambda x: x * np.float32(1.5).astype(x.dtype),
    "copy and mask": _np_copy,
    "copyto and putmask": _np_copyto,
    "out and where": _np_out,
    "zeros of its shape": lambda x: np.zeros(x.shape) + x,
    "nan_to_num": lambda x: np.nan_to_num(np.log(x), nan=0.5, neginf=-1.0),
    "clip by keyword": lambda x: np.clip(x, min=-1, max=0.5),
    "round to decimals": lambda x: np.round(x, 1),
    "round to tens": lambda x: np.round(10 * x, -1),
    "a dtype by its letters": lambda x: x.astype("f8") * (x > 0).astype(np.dtype("f4")),
    "place": _np_place,
    "select": lambda x: np.select([x > 1, x > 0], [x, 2 * x], default=-1.0),
    "piecewise": lambda x: np.piecewise(x, [x < 0, x >= 1], [lambda v: -v, 2.0]),
    "interp": lambda x: np.interp(x, [-1.0, 0.0, 2.0], [0.0, 1.0, -1.0]),
    "vectorized": lambda x: np.vectorize(_branch, otypes=[float], excluded=["k"])(x, k=0.2),
    "frompyfunc": lambda x: np.frompyfunc(_branch, 1, 1)(x).astype(float),
    "frompyfunc made before": lambda x: _from_python(x, 0.3).astype(float),
    "frompyfunc of two results": lambda x: sum(np.frompyfunc(_both, 1, 2)(x)).astype(float),
}

CASES = [
    pytest.param(library, function, id=f"{library}-{name}")
    for library, cases in [
        ("torch", TORCH),
        ("tf", TF),
        ("keras", KERAS),
        ("jax", JAX),
        ("numpy", NUMPY),
    ]
    for name, function in cases.items()
]


def own(library: str, function: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Value and derivative as the library itself computes them."""
    if library == "torch":
        leaf = torch.tensor(GRID, requires_grad=True)
        y = function(leaf * 1)
        y.sum().backward()
        return y.detach().numpy(), leaf.grad.numpy()
    if library in {"tf", "keras"}:
        x = tf.constant(GRID)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return y.numpy(), tf.convert_to_tensor(tape.gradient(y, x)).numpy()
    if library == "jax":
        x = jnp.asarray(GRID, "float32")
        # In one compiled program: one by one, XLA would compile a dozen operations.
        both = jax.value_and_grad(lambda v: (lambda y: (jnp.sum(y), y))(function(v)), has_aux=True)
        try:
            (_, value), slope = jax.jit(both)(x)
        except jax.errors.NonConcreteBooleanIndexError:  # x.at[x < 0]
            (_, value), slope = both(x)
        return np.asarray(value), np.asarray(slope)
    with np.errstate(all="ignore"):
        return np.asarray(function(GRID.copy())), None


def read(function: Any) -> Activation:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        return Activation(define(function))


@pytest.mark.parametrize(("library", "function"), CASES)
def test_an_idiom_is_read_as_its_library_computes_it(library: str, function: Any) -> None:
    activation = from_json(read(function).to_json())
    value, slope = own(library, function)
    loose = library == "jax" or value.dtype == np.float32
    tolerance = 3e-6 if loose else 1e-7  # constants of float32 in kernels of float64
    np.testing.assert_allclose(activation(GRID), value, tolerance, tolerance)
    if slope is not None:
        ours = np.broadcast_to(activation.derivative(GRID), GRID.shape)
        known = np.isfinite(slope)  # the library's nan of a branch that is not taken
        np.testing.assert_allclose(ours[known], slope[known], tolerance, tolerance)


def _writes(x):
    x[x < 0] = 0
    return x


def _writes_one(x):
    y = x.clone()
    y[0] = 1.0
    return y


def _writes_all_where(x):
    y = x.clone()
    y[y < 0] = 2 * x
    return y


def _writes_data(x):
    y = x.clone()
    y.data = torch.round(x)
    return y


def _jacobian_of_a_tape(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.sin(x)
    return tape.jacobian(y, x)


REFUSED = {
    "an input written to": (_writes, "x.clone()"),
    "an input changed in place": (lambda x: x.mul_(2), "x.clone()"),
    "half": (lambda x: x.half().float(), "narrow format"),
    "float8": (lambda x: x.to(torch.float8_e4m3fn).to(torch.float32), "narrow format"),
    "int8": (lambda x: x.to(torch.int8).float(), "narrow format"),
    "the shape": (lambda x: x / x.shape[0], "size of its input"),
    "the number of dimensions": (lambda x: x if x.dim() > 1 else -x, "number of dimensions"),
    "the dtype": (lambda x: x if x.dtype == torch.float16 else -x, "dtype of its input"),
    "an outer product": (lambda x: (x.unsqueeze(-1) * x).squeeze(-1), "different shapes"),
    "an argument that is not read": (
        lambda x: np.interp(x, [0.0, 1.0], [0.0, 1.0], period=2.0),
        "period",
    ),
    "too many arguments": (lambda x: torch.relu(x, True), "does not take these arguments"),
    "a dtype of complex numbers": (lambda x: x.to(torch.complex64).real, "casts to complex64"),
    "a precision of few bits": (lambda x: jax.lax.reduce_precision(x, 5, 10), "narrow format"),
    "a rounding mode of its own": (lambda x: x.div(0.3, rounding_mode="up"), "rounding_mode='up'"),
    "a part of the shape": (lambda x: x * x.shape[-1], "size of its input"),
    "a table of a matrix": (lambda x: np.interp(x, [1.0, 0.0], [0.0, 1.0]), "must be sorted"),
    "a number as text": (lambda x: x * np.add(x, "2"), "expected a number"),
    "one place": (lambda x: x.clone().index_put((torch.tensor([0]),), x[0]), "sequence"),
    "a write to one place": (_writes_one, "single places"),
    "another array's numbers": (_writes_all_where, "same places on both sides"),
    "positions": (lambda x: np.where(x > 0)[0] * x, "positions of the elements"),
    "the other shape's mask": (lambda x: x[(x > 0).reshape(2, -1)], "different shapes"),
    "a loss that is reduced": (lambda x: F.mse_loss(x, x, reduction="sum"), "mixes the elements"),
    "a gradient that is kept": (lambda x: x * x.grad, "is no function of its numbers"),
    "numbers behind autograd": (_writes_data, "behind the back of autograd"),
    "a Bessel function of order 2": (lambda x: scipy.special.iv(2, x), "order above 1"),
    "the zeta function at 1": (lambda x: scipy.special.zeta(1, x), "at least 2"),
    "a matrix of knots": (lambda x: np.digitize(x, [[0.0], [1.0]]), "along one axis"),
    "a tape's jacobian": (_jacobian_of_a_tape, "`watch` and `gradient`"),
    "a sum of several rows": (lambda x: torch.stack([x, -x]).sum(0, keepdim=True), "keepdims=True"),
}


@pytest.mark.parametrize(("function", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_read_is_refused_with_a_way_out(function: Any, says: str) -> None:
    with pytest.raises(ActgradError) as refused:
        read(function)
    message = str(refused.value)
    assert says in message
    assert f'File "{__file__}"' in message
    assert len(message.splitlines()[-1]) > 25, "a way out"


MIXED = {
    "np.sum": lambda x: x / (1 + np.sum(x * x)),
    "a method": lambda x: x / x.sum(-1),
    "softmax": lambda x: F.softmax(x, -1),
    "mean": lambda x: x - torch.mean(x),
    "max": lambda x: x - x.max(),
    "any": lambda x: 2 * x if np.any(x > 0) else x,
    "dot": lambda x: x / np.dot(x, x),
    "norm": lambda x: x / torch.linalg.norm(x),
    "python's sum": lambda x: x / sum(x),
    "python's max": lambda x: x / max(x),
    "keras": lambda x: keras.ops.softmax(x),
    "along another axis of a stack": lambda x: torch.stack([x, -x]).sum(-1),
    "transposed": lambda x: x + x.T,
    "tensorflow": lambda x: x / tf.reduce_max(x),
}


@pytest.mark.parametrize("function", MIXED.values(), ids=MIXED)
def test_what_mixes_elements_says_so(function: Any) -> None:
    with pytest.raises(MixingError) as refused:
        read(function)
    assert "host=True" not in str(refused.value)


def test_randomness_is_always_refused() -> None:
    noisy = [
        lambda x: x * torch.distributions.Bernoulli(0.5).sample(),
        lambda x: x * F.dropout(torch.ones(1), 0.5),
        lambda x: x * tf.nn.dropout(tf.ones([]), 0.5),
        lambda x: x + torch.empty(1).normal_(),
        lambda x: x if float(tf.random.uniform([])) > 0.1 else 0.0,
        lambda x: x + jax.random.normal(jax.random.key(0)),
    ]
    before = torch.random.get_rng_state()
    for function in noisy * 5:
        with pytest.raises(ImpureError):
            read(function)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_constant_of_the_inputs_dtype_is_not_rounded_to_float32():
    ops = pytest.importorskip("keras").ops

    def shifted(x):
        return ops.softplus(x) - ops.log(ops.convert_to_tensor(2.0, dtype=x.dtype))

    f = activation(shifted, name="f")
    assert f(1e-4) == pytest.approx(math.log1p(math.exp(1e-4)) - math.log(2), rel=1e-10)


def test_cancellation_in_float32_is_rounding_and_no_difference():
    tf = pytest.importorskip("tensorflow")
    f = activation(lambda x: 2595.0 * tf.math.log(1.0 + tf.cast(x, tf.float32) / 700.0), name="f")
    assert f(-0.023) == pytest.approx(2595 * math.log1p(-0.023 / 700), rel=1e-9)


def test_a_table_in_a_dict_is_read_with_its_keys():
    steps = {2: 0.5, 5: 0.1}

    def schedule(x):
        for at, scale in steps.items():
            x = x * np.where(x > at, scale, 1.0)
        return x

    assert activation(schedule, name="f")(6.0) == schedule(6.0)
