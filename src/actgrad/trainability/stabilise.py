"""What would keep a network with this activation alive: chosen from its numbers, with reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from actgrad.activation import Activation
from actgrad.errors import CallError

Normalisation = Literal["sample", "batch"]
STANDS = 10.0  # the factor by which the variance may be off when every weight has grown by 20%
BOUNDARY, PENALTY, CLIP = 3.0, 1e-2, 1.0


@dataclass(frozen=True)
class Plan:
    """The repairs of a network of `depth` layers, and in `reasons` why each was chosen."""

    function: Activation
    depth: int
    gain: float
    """The weights' standard deviation times √fan_in."""
    normalisation: Normalisation | None
    """Of the pre-activations: of each sample, or of the batch (which folds into the weights)."""
    boundary: float | None
    """Pre-activations beyond it are penalised."""
    clip: float | None
    """The largest norm of the whole gradient."""
    learning_rate: float
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{self.function.name}, {self.depth} layers:"
        return "\n".join([head, *(f"  - {reason}" for reason in self.reasons)])


def plan(f: Activation, depth: int, learning_rate: float = 1e-3, *, foldable: bool = False) -> Plan:
    """Choose by the forecast: first weights, normalisation, boundary penalty, clipping, learning rate.

    With `foldable`, a batch normalisation instead of one of each sample: for encrypted inference,
    where it becomes part of the weights. Raises `CallError` if nothing passes through `f`.

    Source: Chabanne et al. 2017 (normalisation before a polynomial), arXiv 2505.11589 (boundary loss
    and clipping).

    >>> from actgrad import activation
    >>> found = plan(activation(lambda x: x**2, name="square"), depth=4)
    >>> found.normalisation, found.clip, round(found.gain, 4)
    ('sample', 1.0, 0.5774)
    """
    numbers = f.propagation()
    if not 0 < numbers.gain < math.inf:
        raise CallError(f"nothing passes through {f.name!r}: E f² is {numbers.second_moment}")
    if numbers.slope_moment == 0:
        raise CallError(
            f"the derivative of {f.name!r} is zero everywhere, and no repair of the network changes "
            f"that\n  Give a `surrogate=`."
        )
    reasons = [f"weights of deviation {numbers.gain:.4g} / √fan-in, the gain that keeps E f²"]
    if numbers.surrogate and not 0.9 < numbers.surrogate_factor < 1.1:
        reasons.append(
            f"the surrogate × {numbers.surrogate_factor:.4g}: unscaled, the gradient's size is "
            f"multiplied by {math.sqrt(numbers.chi):.3g} in each layer"
        )
        f = f.scaled()
    forecast = numbers.forecast(depth, 512, 1.2)
    off = _factor(forecast.log_variance[-1] - forecast.log_variance[0])
    normalisation: Normalisation | None = None
    if depth > numbers.safe_depth or (numbers.eta > 1.3 and off > STANDS):
        normalisation = "batch" if foldable else "sample"
        word = "the batch (it folds into the weights)" if foldable else "each sample"
        reasons.append(
            f"normalisation of {word} before the activation: with weights grown by 20% the variance "
            f"would change {off:.3g}-fold from the first layer to the last (eta = {numbers.eta:.3g})"
        )
    else:
        reasons.append(
            f"no normalisation: with weights grown by 20% the variance changes {off:.3g}-fold"
        )
    grows = numbers.tail_exponent > 1
    boundary = BOUNDARY if grows and normalisation != "sample" else None
    if boundary:
        reasons.append(
            f"a penalty on pre-activations beyond ±{boundary:g}: f grows like "
            f"|x|^{numbers.tail_exponent:.3g}, and nothing else holds single samples back"
        )
    gradient = numbers.forecast(depth, 512).gradient_rms[0]
    clip = CLIP if grows or not gradient < STANDS else None
    if clip:
        reasons.append(
            f"the gradient's norm clipped at {clip:g}: by the forecast it is {gradient:.3g} times as "
            f"large in the first layer as in the last"
        )
    rate = learning_rate / _sensitivity(numbers.eta, 1 if normalisation else depth, grows)
    instead = f" instead of {learning_rate:g}: the layers multiply what a step changes"
    reasons.append(f"learning rate {rate:.3g}" + instead * (rate != learning_rate))
    return Plan(f, depth, numbers.gain, normalisation, boundary, clip, rate, tuple(reasons))


def _factor(log: float) -> float:
    return math.exp(min(abs(log), 700.0))


def _sensitivity(eta: float, depth: int, grows: bool) -> float:
    """How much a relative change of all weights is enlarged, beside a network that keeps variances."""
    if not grows or eta <= 1:
        return 1.0
    return (eta**depth - 1) / (eta - 1) / depth
