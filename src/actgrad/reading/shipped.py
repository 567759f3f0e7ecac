"""The activations that frameworks ship, with each framework's derivative at the kinks.

At a kink libraries differ: PyTorch's `hardtanh` has the derivative 0 at both edges, TensorFlow's clip 1,
JAX's half of it. A name without a suffix is what most of them do.
"""

from __future__ import annotations

import math
from typing import Any

from actgrad.errors import ImpureError
from actgrad.reading.formulas import normal_cdf, square
from actgrad.reading.meanings import (
    absolute,
    add,
    clip,
    clip_half,
    clip_open,
    divide,
    exp,
    expm1,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_or,
    multiply,
    negative,
    sigmoid,
    sqrt,
    subtract,
    tanh,
    where,
)
from actgrad.reading.reader import mixes
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, apply

Number = Any

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def relu(
    x: Number, negative_slope: Number = 0.0, max_value: Number = None, threshold: Number = 0.0
) -> Number:
    """Keras's, with all its arguments, part by part as Keras adds them; the derivative at 0 is 0."""
    sloped, moved = _is_set(negative_slope), _is_set(threshold)
    if sloped and max_value is None and not moved:
        return leaky_relu(x, negative_slope)
    positive = where(less(threshold, x), x, 0.0) if moved else where(less_equal(x, 0.0), 0.0, x)
    if max_value is not None:
        bounded = clip_open if not moved and not _is_set(subtract(max_value, 6.0)) else clip
        positive = bounded(positive, 0.0, max_value)
    if not sloped:
        return positive
    below = subtract(threshold, x)
    return subtract(positive, multiply(negative_slope, where(less_equal(below, 0.0), 0.0, below)))


def _is_set(value: Number) -> bool:
    return isinstance(value, Symbol) or float(value) != 0.0


def keras_relu(
    x: Number, alpha: Number = 0.0, max_value: Number = None, threshold: Number = 0.0
) -> Number:
    """`keras.backend.relu`."""
    return relu(x, alpha, max_value, threshold)


def relu6(x: Number) -> Number:
    return clip_open(x, 0.0, 6.0)


def leaky_relu(x: Number, slope: Number = 0.01) -> Number:
    return where(less(0, x), x, multiply(slope, x))


def leaky_relu_jax(x: Number, slope: Number = 0.01) -> Number:
    return where(greater_equal(x, 0), x, multiply(slope, x))


def prelu(x: Number, weight: Number) -> Number:
    return where(less(0, x), x, multiply(weight, x))


def threshold(x: Number, at: Number, value: Number) -> Number:
    return where(greater(x, at), x, value)


def elu(x: Number, alpha: Number = 1.0) -> Number:
    return where(less(0, x), x, multiply(alpha, expm1(x)))


def elu_tf(x: Number, alpha: Number = 1.0) -> Number:
    """TensorFlow's: at 0 the derivative of the right side."""
    return where(less(x, 0), multiply(alpha, expm1(x)), x)


def celu(x: Number, alpha: Number = 1.0) -> Number:
    return where(less(0, x), x, multiply(alpha, expm1(divide(x, alpha))))


def selu(x: Number) -> Number:
    negative_side = multiply(_SELU_SCALE * _SELU_ALPHA, expm1(x))
    return where(less(0, x), multiply(_SELU_SCALE, x), negative_side)


def selu_tf(x: Number) -> Number:
    """TensorFlow's, which has the slope of the right side where exp(x) rounds to 1."""
    negative_side = multiply(_SELU_SCALE * _SELU_ALPHA, expm1(x))
    return where(less(add(x, 1.0), 1.0), negative_side, multiply(_SELU_SCALE, x))


def gelu(x: Number, approximate: bool | str = False) -> Number:
    if approximate is False or approximate == "none":
        return multiply(x, normal_cdf(x))
    inner = multiply(
        2 * math.sqrt(2 / math.pi), add(x, multiply(0.044715, multiply(x, multiply(x, x))))
    )
    return multiply(x, sigmoid(inner))


def silu(x: Number, beta: Number = 1.0) -> Number:
    plain = isinstance(beta, (int, float)) and beta == 1
    return multiply(x, sigmoid(x if plain else multiply(beta, x)))


def softplus(x: Number, beta: Number = 1.0) -> Number:
    """log(1 + exp(beta x)) / beta."""
    plain = isinstance(beta, (int, float)) and beta == 1
    return apply("softplus", x) if plain else divide(apply("softplus", multiply(beta, x)), beta)


def softplus_torch(x: Number, beta: Number = 1.0, threshold: Number = 20.0) -> Number:
    """PyTorch's, which is x itself where beta x is above the threshold."""
    smooth = softplus(x, beta)
    if type(threshold) in (int, float) and threshold >= 20:
        return smooth  # the difference is below 2.1e-9
    return where(greater(multiply(beta, x), threshold), x, smooth)


def mish(x: Number) -> Number:
    return multiply(x, tanh(softplus(x)))


def log_sigmoid(x: Number) -> Number:
    return negative(softplus(negative(x)))


def softsign(x: Number) -> Number:
    return divide(x, add(1, absolute(x)))


def tanh_shrink(x: Number) -> Number:
    return subtract(x, tanh(x))


def soft_shrink(x: Number, threshold: Number = 0.5) -> Number:
    return where(
        greater(x, threshold),
        subtract(x, threshold),
        where(less(x, negative(threshold)), add(x, threshold), 0.0),
    )


def hard_shrink(x: Number, threshold: Number = 0.5) -> Number:
    return where(logical_or(greater(x, threshold), less(x, negative(threshold))), x, 0.0)


def hard_tanh(x: Number, low: Number = -1.0, high: Number = 1.0) -> Number:
    return clip(x, low, high)


def hard_tanh_open(x: Number, low: Number = -1.0, high: Number = 1.0) -> Number:
    return clip_open(x, low, high)


def hard_sigmoid(x: Number) -> Number:
    return divide(clip(add(x, 3), 0.0, 6.0), 6)


def hard_sigmoid_open(x: Number) -> Number:
    return divide(clip_open(add(x, 3), 0.0, 6.0), 6)


def hard_silu(x: Number) -> Number:
    return multiply(x, hard_sigmoid(x))


def hard_silu_open(x: Number) -> Number:
    return multiply(x, hard_sigmoid_open(x))


def squareplus(x: Number, b: Number = 4.0) -> Number:
    return multiply(0.5, add(x, sqrt(add(square(x), b))))


def sparse_plus(x: Number) -> Number:
    return where(
        less_equal(x, -1), 0.0, where(greater_equal(x, 1), x, multiply(0.25, square(add(x, 1))))
    )


def sparse_sigmoid(x: Number) -> Number:
    return where(less_equal(x, -1), 0.0, where(greater_equal(x, 1), 1.0, multiply(0.5, add(x, 1))))


def sparse_sigmoid_half(x: Number) -> Number:
    return multiply(0.5, clip_half(add(x, 1), 0.0, 2.0))


def rrelu(x: Number, lower: float = 0.125, upper: float = 1 / 3, training: bool = False) -> Number:
    """PyTorch's, outside of training: the mean of its slopes."""
    if training:
        refuse(
            "`rrelu` draws its slope at random while training",
            "Take the slope as an input, or give `training=False`.",
            ImpureError,
        )
    return prelu(x, (lower + upper) / 2)


def dropout(x: Number, p: float = 0.5, training: bool = True, rate: float | None = None) -> Number:
    """Nothing is dropped outside of training; in training the function is random."""
    if training and (p if rate is None else rate) != 0:
        refuse(
            "`dropout` draws random numbers while training",
            "Put the dropout into the network, beside the activation; or give `training=False`.",
            ImpureError,
        )
    return x


def dropout_tf(x: Number, rate: float) -> Number:
    return dropout(x, rate)


# Losses, of one element.


def _each(reduction: str, name: str) -> None:
    if reduction != "none":
        mixes(f"{name}(reduction={reduction!r})")


def huber(x: Number, target: Number, reduction: str = "mean", delta: float = 1.0) -> Number:
    _each(reduction, "huber_loss")
    distance = absolute(subtract(x, target))
    far = multiply(delta, subtract(distance, 0.5 * delta))
    return where(less_equal(distance, delta), multiply(0.5, square(distance)), far)


def smooth_l1(x: Number, target: Number, reduction: str = "mean", beta: float = 1.0) -> Number:
    _each(reduction, "smooth_l1_loss")
    distance = absolute(subtract(x, target))
    near = divide(multiply(0.5, square(distance)), beta)
    return where(less(distance, beta), near, subtract(distance, 0.5 * beta))


def squared_error(x: Number, target: Number, reduction: str = "mean") -> Number:
    _each(reduction, "mse_loss")
    return square(subtract(x, target))


def absolute_error(x: Number, target: Number, reduction: str = "mean") -> Number:
    _each(reduction, "l1_loss")
    return absolute(subtract(x, target))


def soft_margin(x: Number, target: Number, reduction: str = "mean") -> Number:
    _each(reduction, "soft_margin_loss")
    return softplus(negative(multiply(target, x)))


def cross_entropy_with_logits(
    x: Number, target: Number, pos_weight: Number = 1.0, reduction: str = "mean"
) -> Number:
    """PyTorch's `binary_cross_entropy_with_logits`."""
    _each(reduction, "binary_cross_entropy_with_logits")
    yes = multiply(multiply(pos_weight, target), softplus(negative(x)))
    return add(yes, multiply(subtract(1, target), softplus(x)))


def log_poisson(targets: Number, log_input: Number, compute_full_loss: bool = False) -> Number:
    """TensorFlow's `log_poisson_loss`."""
    if compute_full_loss:
        refuse(
            "`log_poisson_loss` with compute_full_loss=True",
            "Leave it out: what it adds does not depend on the input.",
        )
    return subtract(exp(log_input), multiply(log_input, targets))


def cross_entropy_tf(labels: Number, logits: Number) -> Number:
    return cross_entropy_with_logits(logits, labels, 1.0, "none")


def hard_sigmoid_keras2(x: Number) -> Number:
    """`keras.backend.hard_sigmoid`."""
    return clip(add(multiply(0.2, x), 0.5), 0.0, 1.0)
