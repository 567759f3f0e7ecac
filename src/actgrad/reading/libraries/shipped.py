"""Activations and roundings of libraries whose arguments choose between formulas."""

from __future__ import annotations

import math

from actgrad.errors import ImpureError
from actgrad.reading.libraries.formulas import (
    clip_open,
    greater,
    leaky_relu,
    maximum,
    maximum_half,
    minimum_half,
    normal_cdf,
    prelu,
    softplus,
    straight_through,
    to_nearest,
)
from actgrad.reading.libraries.meanings import (
    Number,
    add,
    clip,
    divide,
    exp,
    floor,
    floor_divide,
    less,
    less_equal,
    multiply,
    rint,
    sigmoid,
    subtract,
    trunc,
    where,
)
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, is_symbolic, whole


def relu(
    x: Number, slope: Number = 0.0, max_value: Number = None, threshold: Number = 0.0
) -> Number:
    """Keras's, with all its arguments, part by part as Keras adds them; the derivative at 0 is 0."""
    sloped, moved = _is_set(slope), _is_set(threshold)
    if sloped and max_value is None and not moved:
        return leaky_relu(x, slope)
    positive = where(less(threshold, x), x, 0.0) if moved else where(less_equal(x, 0.0), 0.0, x)
    if max_value is not None:
        bounded = clip_open if not moved and not _is_set(subtract(max_value, 6.0)) else clip
        positive = bounded(positive, 0.0, max_value)
    if not sloped:
        return positive
    below = subtract(threshold, x)
    return subtract(positive, multiply(slope, where(less_equal(below, 0.0), 0.0, below)))


def _is_set(value: Number) -> bool:
    return isinstance(value, Symbol) or float(value) != 0.0


def gelu(x: Number, approximate: bool | str = False) -> Number:
    if approximate is False or approximate == "none":
        return multiply(x, normal_cdf(x))
    inner = multiply(
        2 * math.sqrt(2 / math.pi), add(x, multiply(0.044715, multiply(x, multiply(x, x))))
    )
    return multiply(x, sigmoid(inner))


def softplus_torch(x: Number, beta: Number = 1.0, threshold: Number = 20.0) -> Number:
    """PyTorch's, which is x itself where beta x is above the threshold."""
    smooth = softplus(x, beta)
    if type(threshold) in (int, float) and threshold >= 20:
        return smooth  # the difference is below 2.1e-9
    return where(greater(multiply(beta, x), threshold), x, smooth)


def rrelu(x: Number, lower: float = 0.125, upper: float = 1 / 3, training: bool = False) -> Number:
    """PyTorch's, outside of training: the mean of its slopes."""
    if training:
        refuse(
            "`rrelu` draws its slope at random while training",
            "Take the slope as an input, or give `training=False`.",
            ImpureError,
        )
    return prelu(x, (lower + upper) / 2)


def dropout(x: Number, rate: float = 0.5, training: bool = True) -> Number:
    """Nothing is dropped outside of training; in training the function is random."""
    if training and rate != 0:
        refuse(
            "`dropout` draws random numbers while training",
            "Put the dropout into the network, beside the activation; or give `training=False`.",
            ImpureError,
        )
    return x


def log_poisson(targets: Number, log_input: Number, compute_full_loss: bool = False) -> Number:
    """TensorFlow's `log_poisson_loss`."""
    if compute_full_loss:
        refuse(
            "`log_poisson_loss` with compute_full_loss=True",
            "Leave it out: what it adds does not depend on the input.",
        )
    return subtract(exp(log_input), multiply(log_input, targets))


def maximum_tnp(x: Number, y: Number) -> Number:
    """TensorFlow's NumPy: `relu`, with the derivative 0 at 0, where the second is the number 0."""
    if isinstance(y, (int, float)) and y == 0:
        return where(less_equal(x, 0.0), 0.0, x)
    return maximum(x, y)


def clip_half(x: Number, low: Number = None, high: Number = None) -> Number:
    """Between two bounds, with half of the derivative at each of them."""
    if low is not None:
        x = maximum_half(x, low)
    return x if high is None else minimum_half(x, high)


def round_decimals(x: Number, digits: int = 0) -> Number:
    """NumPy's and PyTorch's: a float, so a -0.0 stays; the product is rounded, not the digits."""
    if digits == 0:
        return rint(x)
    scale = 10.0 ** abs(digits)
    if digits < 0:
        return multiply(rint(divide(x, scale)), scale)
    return divide(rint(multiply(x, scale)), scale)


def python_round(x: Number, digits: int | None = None) -> Number:
    """Python's own: the decimal that is nearest to the exact value of x, and the even one of two."""
    if digits is None:
        return whole("round", x)
    if digits == 0:
        return rint(x)
    scale = 10.0 ** abs(digits)
    if digits < 0:
        quotient = divide(x, scale)
        beyond = subtract(x, multiply(add(floor(quotient), 0.5), scale))
        return multiply(to_nearest(quotient, beyond), scale)
    product = multiply(x, scale)
    # The product is rounded, perhaps to a tie: its error, by parts of x short enough to be exact.
    part = divide(rint(multiply(x, 2048.0)), 2048.0)
    rest = multiply(subtract(x, part), scale)
    beyond = add(subtract(multiply(part, scale), product), rest)
    return divide(to_nearest(product, beyond), scale)


def quantize_and_dequantize(
    x: Number,
    input_min: float,
    input_max: float,
    signed_input: bool = True,
    num_bits: int = 8,
    range_given: bool = False,
    round_mode: str = "HALF_TO_EVEN",
    narrow_range: bool = False,
) -> Number:
    """TensorFlow's `quantize_and_dequantize_v2`."""
    if not range_given or is_symbolic((input_min, input_max)):
        refuse(
            "`quantize_and_dequantize_v2` takes its range from the input, so it mixes the elements",
            "Give the range as plain numbers, and `range_given=True`.",
        )
    least = -(2 ** (num_bits - 1)) + narrow_range if signed_input else 0
    most = 2 ** (num_bits - signed_input) - 1
    by_least = least / input_min if least * input_min > 0 else math.inf
    by_most = most / input_max if most * input_max > 0 else math.inf
    scale = min(by_least, by_most)
    step = multiply(clip(x, least / scale, most / scale), scale)
    step = rint(step) if round_mode == "HALF_TO_EVEN" else floor(add(step, 0.5))
    return straight_through(x, divide(step, scale), input_min, input_max)


def python_divide(x: Number, y: Number, rounding_mode: str | None = None) -> Number:
    """PyTorch's `div`: its "floor" is Python's `//`."""
    if rounding_mode is None:
        return divide(x, y)
    if rounding_mode == "floor":
        return floor_divide(x, y)
    if rounding_mode == "trunc":
        return trunc(divide(x, y))
    refuse(f"`rounding_mode={rounding_mode!r}`", 'Give None, "floor" or "trunc".')
