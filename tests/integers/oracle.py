"""Thirty activations in mpmath, written from their papers, and tables correctly rounded from them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from mpmath import mp, mpf

from actgrad import activations
from tests.sample import exhaustive_but

mp.prec = 160


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _softplus(x: Any) -> Any:
    return mp.log1p(mp.exp(x))


def _normal(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _clip(x: Any, low: Any, high: Any) -> Any:
    return min(max(x, low), high)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: max(x, mpf(0)),
    "relu6": lambda x: _clip(x, mpf(0), mpf(6)),
    "leaky_relu": lambda x: x if x > 0 else mpf(0.01) * x,
    "hard_tanh": lambda x: _clip(x, mpf(-1), mpf(1)),
    "hard_sigmoid": lambda x: _clip((x + 3) / 6, mpf(0), mpf(1)),
    "hard_swish": lambda x: x * _clip(x + 3, mpf(0), mpf(6)) / 6,
    "soft_shrink": lambda x: x - 0.5 if x > 0.5 else x + 0.5 if x < -0.5 else mpf(0),
    "spiky": lambda x: x - mp.floor(x) if x - mp.floor(x) <= 0.5 else mpf(0),
    "sigmoid": _sigmoid,
    "log_sigmoid": lambda x: -_softplus(-x),
    "tanh": mp.tanh,
    "arctan": mp.atan,
    "softsign": lambda x: x / (1 + abs(x)),
    "isru": lambda x: x / mp.sqrt(1 + x * x),
    "cloglog": lambda x: -mp.expm1(-mp.exp(x)),
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "exponential": mp.exp,
    "softplus": _softplus,
    "squareplus": lambda x: (x + mp.sqrt(x * x + 4)) / 2,
    "gelu": lambda x: x * _normal(x),
    "silu": lambda x: x * _sigmoid(x),
    "mish": lambda x: x * mp.tanh(_softplus(x)),
    "serf": lambda x: x * mp.erf(_softplus(x)),
    "tanh_exp": lambda x: x * mp.tanh(mp.exp(x)),
    "lisht": lambda x: x * mp.tanh(x),
    "growing_cosine": lambda x: x * mp.cos(x),
    "tanh_shrink": lambda x: x - mp.tanh(x),
    "bent_identity": lambda x: (mp.sqrt(x * x + 1) - 1) / 2 + x,
    "gaussian": lambda x: mp.exp(-x * x),
    "sinc": lambda x: mp.sin(x) / x if x else mpf(1),
}  # fmt: skip

Pair = tuple[float, int]
SCALES: tuple[tuple[Pair, Pair], ...] = (
    ((1 / 16, 0), (1 / 32, -64)),  # many exact ties
    ((0.0431, 11), (0.0173, -90)),
    ((0.0009, -128), (0.0031, 0)),
)


def names() -> list[Any]:
    """The thirty, of which ordinary tests run a few."""
    return exhaustive_but(["relu", "gelu", "spiky", "hard_swish", "sinc"], FUNCTIONS)


@cache
def rounded(
    function: str, scales: int, bits: int = 8, signed: bool = True, rounding: str = "even"
) -> np.ndarray[Any, Any]:
    """The codes of mpmath's values, rounded once, for every input."""
    (in_scale, in_zero), (out_scale, out_zero) = SCALES[scales]
    first = -(1 << (bits - 1)) if signed else 0
    in_zero, out_zero = (z if signed else z + 128 for z in (in_zero, out_zero))
    if bits == 16:
        in_scale, out_scale = in_scale / 256, out_scale / 256
    in_scale, out_scale = float(np.float32(in_scale)), float(np.float32(out_scale))
    last, codes = first + (1 << bits) - 1, []
    for code in range(first, last + 1):
        steps = FUNCTIONS[function]((code - in_zero) * mpf(in_scale)) / mpf(out_scale)
        codes.append(min(max(_nearest(steps, rounding) + out_zero, first), last))
    return np.array(codes)


def _nearest(steps: Any, rounding: str) -> int:
    if rounding == "even":
        return int(mp.nint(steps))
    size = int(mp.floor(abs(steps) + mpf(0.5)))
    return size if steps >= 0 else -size


def table(function: str, scales: int, bits: int = 8, signed: bool = True, **options: Any) -> Any:
    """actgrad's table of the same."""
    (in_scale, in_zero), (out_scale, out_zero) = SCALES[scales]
    in_zero, out_zero = (z if signed else z + 128 for z in (in_zero, out_zero))
    if bits == 16:
        in_scale, out_scale = in_scale / 256, out_scale / 256
    f = getattr(activations, function)
    return f.table((in_scale, in_zero), (out_scale, out_zero), bits=bits, signed=signed, **options)
