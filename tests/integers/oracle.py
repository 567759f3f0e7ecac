"""Thirty activations in mpmath, written from their papers, and tables correctly rounded from them.

In real numbers of 160 bits; where 65,536 are wanted, first in mpmath's own floats (`mpmath.fp`), whose error
`test_the_floats_of_the_oracle_are_near_enough` measures, and in 160 bits wherever they are near a tie.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from mpmath import fp, mp, mpf

from actgrad import activations
from tests.sample import exhaustive_but

mp.prec = 160


Function = Callable[[Any], Any]


def functions(m: Any) -> dict[str, Function]:
    """The thirty in the numbers of an mpmath context."""

    def sigmoid(x: Any) -> Any:
        return 1 / (1 + m.exp(-x))

    def softplus(x: Any) -> Any:
        return m.log1p(m.exp(x))

    def normal(x: Any) -> Any:
        return m.erfc(-x / m.sqrt(2)) / 2

    def clip(x: Any, low: int, high: int) -> Any:
        return min(max(x, m.mpf(low)), m.mpf(high))

    return {
        "relu": lambda x: max(x, m.mpf(0)),
        "relu6": lambda x: clip(x, 0, 6),
        "leaky_relu": lambda x: x if x > 0 else m.mpf(0.01) * x,
        "hard_tanh": lambda x: clip(x, -1, 1),
        "hard_sigmoid": lambda x: clip((x + 3) / 6, 0, 1),
        "hard_swish": lambda x: x * clip(x + 3, 0, 6) / 6,
        "soft_shrink": lambda x: x - 0.5 if x > 0.5 else x + 0.5 if x < -0.5 else m.mpf(0),
        "spiky": lambda x: x - m.floor(x) if x - m.floor(x) <= 0.5 else m.mpf(0),
        "sigmoid": sigmoid,
        "log_sigmoid": lambda x: -softplus(-x),
        "tanh": m.tanh,
        "arctan": m.atan,
        "softsign": lambda x: x / (1 + abs(x)),
        "isru": lambda x: x / m.sqrt(1 + x * x),
        "cloglog": lambda x: -m.expm1(-m.exp(x)),
        "elu": lambda x: x if x > 0 else m.expm1(x),
        "exponential": m.exp,
        "softplus": softplus,
        "squareplus": lambda x: (x + m.sqrt(x * x + 4)) / 2,
        "gelu": lambda x: x * normal(x),
        "silu": lambda x: x * sigmoid(x),
        "mish": lambda x: x * m.tanh(softplus(x)),
        "serf": lambda x: x * m.erf(softplus(x)),
        "tanh_exp": lambda x: x * m.tanh(m.exp(x)),
        "lisht": lambda x: x * m.tanh(x),
        "growing_cosine": lambda x: x * m.cos(x),
        "tanh_shrink": lambda x: x - m.tanh(x),
        "bent_identity": lambda x: (m.sqrt(x * x + 1) - 1) / 2 + x,
        "gaussian": lambda x: m.exp(-x * x),
        "sinc": lambda x: m.sin(x) / x if x else m.mpf(1),
    }  # fmt: skip


FUNCTIONS = functions(mp)
FLOATS = functions(fp)
DOUBT = 1e-5
"""Nearer to a tie than this, in steps of the output, 160 bits decide."""

Pair = tuple[float, int]
SCALES: tuple[tuple[Pair, Pair], ...] = (
    ((1 / 16, 0), (1 / 32, -64)),  # many exact ties
    ((0.0431, 11), (0.0173, -90)),
    ((0.0009, -128), (0.0031, 0)),
)


def names() -> list[Any]:
    """The thirty, of which ordinary tests run a few."""
    return exhaustive_but(["relu", "gelu", "spiky", "hard_swish", "sinc"], FUNCTIONS)


def pairs(scales: int, bits: int = 8, signed: bool = True) -> tuple[Pair, Pair]:
    """Input and output: a scale and a zero point each, for 8 bits or, in finer steps, 16."""
    (in_scale, in_zero), (out_scale, out_zero) = SCALES[scales]
    in_zero, out_zero = (z if signed else z + 128 for z in (in_zero, out_zero))
    finer = 256 if bits == 16 else 1
    return (in_scale / finer, in_zero), (out_scale / finer, out_zero)


@cache
def rounded(
    function: str, scales: int, bits: int = 8, signed: bool = True, rounding: str = "even"
) -> np.ndarray[Any, Any]:
    """The codes of the real values, rounded once, for every input."""
    (in_scale, in_zero), (out_scale, out_zero) = pairs(scales, bits, signed)
    in_scale, out_scale = float(np.float32(in_scale)), float(np.float32(out_scale))
    first = -(1 << (bits - 1)) if signed else 0
    codes = range(first, first + (1 << bits))
    if bits == 16:
        floats = [FLOATS[function]((code - in_zero) * in_scale) for code in codes]
        steps = np.array(floats) / out_scale
        found = np.rint(steps).astype(np.int64)
        doubtful = np.flatnonzero(np.abs(steps - np.floor(steps) - 0.5) < DOUBT)
    else:
        found, doubtful = np.zeros(len(codes), np.int64), np.arange(len(codes))
    for i in doubtful.tolist():
        exact = FUNCTIONS[function]((codes[i] - in_zero) * mpf(in_scale)) / mpf(out_scale)
        found[i] = _nearest(exact, rounding)
    rounded_once = np.clip(found + out_zero, codes[0], codes[-1])
    rounded_once.flags.writeable = False  # every framework's test shares it
    return rounded_once


def _nearest(steps: Any, rounding: str) -> int:
    if rounding == "even":
        return int(mp.nint(steps))
    size = int(mp.floor(abs(steps) + mpf(0.5)))
    return size if steps >= 0 else -size


def table(function: str, scales: int, bits: int = 8, signed: bool = True, **options: Any) -> Any:
    """actgrad's table of the same."""
    f = getattr(activations, function)
    return f.table(*pairs(scales, bits, signed), bits=bits, signed=signed, **options)
