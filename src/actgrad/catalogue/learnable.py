"""Activations whose parameters are there to be learnt or drawn, with the gradients of their papers.

`actgrad.learnable.lsq` is an activation like one that you write yourself; make its parameters weights
with `learnable.lsq.module(step=trainable(0.1, low=1e-6))`. `ENTRIES` holds formula, source, and for
entries with noise what to draw: `rrelu.module(**ENTRIES["rrelu"].noise)`.

>>> from actgrad import learnable
>>> learnable.pact(7.0, alpha=6.0), learnable.pact.partial("alpha")(7.0, alpha=6.0)
(6.0, 1.0)
"""

import math

from actgrad.catalogue import formulas
from actgrad.catalogue.entry import Catalogue, served
from actgrad.frameworks.sampled import sampled

ENTRIES = Catalogue()
_add = ENTRIES.add


# Smooth functions: the exact gradient by every parameter.


@_add("Ma et al. 2021, Activate or Not, ACON-C")
def acon(x, p1=1.0, p2=0.0, beta=1.0):
    """(p1 - p2) x sigmoid(beta (p1 - p2) x) + p2 x"""
    return (p1 - p2) * x * formulas.sigmoid(beta * (p1 - p2) * x) + p2 * x


@_add("Zhu et al. 2025, Transformers without Normalization, DyT; weight and bias are per channel")
def dyt(x, alpha=0.5, weight=1.0, bias=0.0):
    """weight tanh(alpha x) + bias"""
    return weight * math.tanh(alpha * x) + bias


@_add(
    "Molina, Schramowski & Kersting 2020, safe PAU of degrees 5 and 4, starting as ReLU (table 6)"
)
def rational(
    x,
    numerator=(0.02996348, 0.61690165, 2.37539147, 3.06608078, 1.52474449, 0.25281987),
    denominator=(1.19160814, 4.40811795, 0.91111034, 0.34885983),
):
    """(a0 + a1 x + ... + am x^m) / (1 + |b1 x + ... + bn x^n|)"""
    above, below = numerator[-1], denominator[-1] * x
    for a in numerator[-2::-1]:
        above = above * x + a
    for b in denominator[-2::-1]:
        below = (below + b) * x
    return above / (1 + abs(below))


# Piecewise linear functions.


@_add("Agostinelli et al. 2015, Learning Activation Functions, APL")
def apl(x, a=(0.2, 0.2), b=(-1.0, 1.0)):
    """max(0, x) + the sum of a_i max(0, b_i - x)"""
    return max(0, x) + sum(slope * max(0, at - x) for slope, at in zip(a, b, strict=True))


@_add("Zhou et al. 2021, Learning specialized activation functions with the piecewise linear unit")
def pwlu(
    x,
    values=(0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0),
    low=-3.0,
    high=3.0,
    left=0.0,
    right=1.0,
):
    """the values at even steps from low to high, joined by lines; outside, lines with the slopes left
    and right
    """
    last = len(values) - 1
    at = (min(max(x, low), high) - low) * (last / (high - low))
    i = min(max(math.floor(at), 0), last - 1)
    part = at - i
    inside = values[i] * (1 - part) + values[i + 1] * part
    return inside + left * min(x - low, 0) + right * max(x - high, 0)


@_add("de Boor 1978; Liu et al. 2024, KAN: one of its splines, of degree 3 on an even grid")
def b_spline(
    x,
    coefficients=(-1.0, -0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    low=-0.8,
    high=0.8,
):
    """the sum of coefficient_i B_i(x), cubic B-splines at even steps from low to high; constant outside"""
    pieces = len(coefficients) - 3
    at = (min(max(x, low), high) - low) * (pieces / (high - low))
    i = min(max(math.floor(at), 0), pieces - 1)
    t = at - i
    s = 1 - t
    return (
        coefficients[i] * (s * s * s)
        + coefficients[i + 1] * (4 - 3 * t * t * (1 + s))
        + coefficients[i + 2] * (4 - 3 * s * s * (1 + t))
        + coefficients[i + 3] * (t * t * t)
    ) / 6


# Quantisers: straight through, with the gradients that the papers give their parameters.


def _pact_rule(x, alpha):
    return {
        "x": 1.0 if 0 <= x < alpha else 0.0,
        "alpha": 1.0 if x >= alpha else 0.0,
    }


@_add("Choi et al. 2018, PACT", rule=_pact_rule)
def pact(x, alpha=10.0, bits=4.0):
    """x within [0, alpha], in 2^bits - 1 steps"""
    steps = 2.0**bits - 1
    return round(min(max(x, 0), alpha) * (steps / alpha)) * (alpha / steps)


def _lsq_rule(x, step, low, high, scale=1.0):
    ratio = x / step
    inside = low < ratio < high
    by_step = round(ratio) - ratio if inside else low if ratio <= low else high
    return {"x": 1.0 if inside else 0.0, "step": scale * by_step}


@_add("Esser et al. 2020, LSQ; scale is 1 / sqrt(N high) for N numbers", rule=_lsq_rule)
def lsq(x, step=1.0, low=-8.0, high=7.0):
    """step round(x / step within [low, high])"""
    return round(min(max(x / step, low), high)) * step


def _lsq_plus_rule(x, step, offset, low, high, scale=1.0):
    ratio = (x - offset) / step
    inside = low < ratio < high
    by_step = round(ratio) - ratio if inside else low if ratio <= low else high
    return {
        "x": 1.0 if inside else 0.0,
        "step": scale * by_step,
        "offset": scale * (0.0 if inside else 1.0),
    }


@_add("Bhalgat et al. 2020, LSQ+", rule=_lsq_plus_rule)
def lsq_plus(x, step=1.0, offset=0.0, low=0.0, high=15.0):
    """step round((x - offset) / step within [low, high]) + offset"""
    return round(min(max((x - offset) / step, low), high)) * step + offset


# A spike whose threshold is learnt.


def _spike_rule(v, threshold, width=1.0):
    slope = max(0, 1 - abs(v - threshold) / width) / width
    return {"v": slope, "threshold": -slope}


@_add(
    "Bellec et al. 2018 (the triangle); Rathi & Roy 2020, DIET-SNN (its threshold)",
    rule=_spike_rule,
)
def spike(v, threshold=1.0):
    """1 where v >= threshold, else 0"""
    return 1.0 if v >= threshold else 0.0


# With noise, which `noise` of the entry says how to draw.


@_add("Xu et al. 2015, RReLU", noise={"slope": sampled("uniform", 1 / 8, 1 / 3)})
def rrelu(x, slope=11 / 48):
    """x if x >= 0 else slope x, the slope drawn from [1/8, 1/3]"""
    return x if x >= 0 else slope * x


def _stochastic_rule(x):
    return {"x": formulas.sigmoid(x) * (1 - formulas.sigmoid(x)), "uniform": 0.0}


@_add(
    "Bengio, Léonard & Courville 2013, the stochastic binary neuron, straight through",
    rule=_stochastic_rule,
    noise={"uniform": sampled("uniform")},
)
def stochastic_binary(x, uniform=0.5):
    """1 with the probability sigmoid(x), else 0"""
    return 1.0 if formulas.sigmoid(x) > uniform else 0.0


@_add("Gumbel 1954; Jang, Gu & Poole 2017", noise={"noise": sampled("gumbel", inference=0.0)})
def gumbel_noise(x, noise=0.0):
    """x + Gumbel noise"""
    return x + noise


@_add("Maddison, Mnih & Teh 2017, binary concrete", noise={"noise": sampled("logistic")})
def binary_concrete(x, temperature=1.0, noise=0.0):
    """sigmoid((x + logistic noise) / temperature)"""
    return formulas.sigmoid((x + noise) / temperature)


__getattr__, __dir__ = served(ENTRIES, "the catalogue has no activation", globals())
