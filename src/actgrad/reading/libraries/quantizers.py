"""The fake quantisers of PyTorch and TensorFlow: rounded, with the derivative of the clip."""

from __future__ import annotations

import numpy as np

from actgrad.reading.libraries.meanings import (
    Number,
    add,
    clip,
    divide,
    floor,
    less,
    less_equal,
    logical_and,
    multiply,
    rint,
    subtract,
    where,
)
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, given, is_symbolic


def fake_quantize(
    x: Number, scale: Number, zero_point: Number, quant_min: int, quant_max: int
) -> Number:
    """PyTorch's `fake_quantize_per_tensor_affine`."""
    step = add(rint(divide(x, scale)), zero_point)
    inside = logical_and(less_equal(quant_min, step), less_equal(step, quant_max))
    value = multiply(subtract(clip(step, quant_min, quant_max), zero_point), scale)
    return given(value, x, where(inside, 1.0, 0.0)) if isinstance(x, Symbol) else value


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
    by_least = least / input_min if least * input_min > 0 else np.inf
    by_most = most / input_max if most * input_max > 0 else np.inf
    scale = min(by_least, by_most)
    step = multiply(clip(x, least / scale, most / scale), scale)
    step = rint(step) if round_mode == "HALF_TO_EVEN" else floor(add(step, 0.5))
    return _inside(x, divide(step, scale), input_min, input_max)


def _inside(x: Number, value: Number, low: float, high: float) -> Number:
    """The value, with the derivative 1 between the bounds and at them, and 0 outside."""
    if not isinstance(x, Symbol):
        return value
    return given(value, x, where(less(x, low), 0.0, where(less(high, x), 0.0, 1.0)))
