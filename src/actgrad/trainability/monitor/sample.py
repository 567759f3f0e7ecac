"""What is measured of a layer: its pre-activations, its gradient, and what its activation makes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from actgrad.activation import Activation, activation
from actgrad.common.types import Array, Function
from actgrad.errors import ActgradError
from actgrad.frameworks.names import FRAMEWORKS

if TYPE_CHECKING:
    from actgrad.study.propagation import Propagation

QUANTILES = (0.01, 0.5, 0.99)
_SAMPLES, _UNITS = 64, 128


@dataclass(frozen=True)
class WatchedLayer:
    """A layer that is watched."""

    name: str
    function: Activation | Function | None = None
    """Its activation: an `Activation`, or the framework's own function."""
    normalised: bool = False
    """Whether a normalisation stands between this place and the one before."""

    @cached_property
    def activation(self) -> Activation | None:
        if isinstance(self.function, Activation) or self.function is None:
            return self.function
        if _name(self.function) == "relu":
            return activation(lambda x: max(x, 0.0), name="relu")
        try:
            return activation(self.function) if _is_users(self.function) else None
        except ActgradError:
            return None

    @cached_property
    def numbers(self) -> Propagation | None:
        """Its `propagation()`, or None where there is none."""
        try:
            return self.activation.propagation() if self.activation is not None else None
        except ActgradError:
            return None

    @property
    def threshold(self) -> float:
        return self.numbers.escape_threshold if self.numbers is not None else math.inf

    @cached_property
    def slope(self) -> Function | None:
        """The derivative in force, in NumPy; None where it is not known."""
        if self.activation is None or len(self.activation.inputs) != 1:
            return None
        program = self.activation.program
        return None if program.gradient else program.partial(program.inputs[0]).evaluate


def _name(function: object) -> str:
    return str(getattr(function, "__name__", type(function).__name__)).lower()


def _is_users(function: object) -> bool:
    home = getattr(function, "__module__", None) or ""
    return home.partition(".")[0] not in FRAMEWORKS


@dataclass(frozen=True)
class LayerSample:
    name: str
    rms: float
    quantiles: tuple[float, ...]
    """Of the pre-activations: 1%, 50%, 99%."""
    beyond: float
    """The share of samples whose mean square is beyond the escape threshold."""
    dead: float
    """The share of units without slope for every sample; nan where the derivative is not known."""
    gradient: float
    """The rms of the loss' gradient by the pre-activations; nan where there is none."""
    not_finite: int
    """How many pre-activations are nan or infinite."""


@dataclass(frozen=True)
class Sample:
    step: int
    loss: float
    layers: tuple[LayerSample, ...]


def measure(place: WatchedLayer, values: object, gradient: object = None) -> LayerSample:
    """From the pre-activations of a layer, samples first, and the gradient by them."""
    h = _thin(values)
    finite = np.isfinite(h)
    with np.errstate(all="ignore"):
        known = h[finite].astype(np.float64)
        square = np.mean(np.where(finite, h.astype(np.float64), np.inf) ** 2, axis=1)
        return LayerSample(
            place.name,
            _rms(known),
            _quantiles(known),
            float(np.mean(square > place.threshold)),
            _dead(place, h),
            _rms(_thin(gradient).astype(np.float64)) if gradient is not None else math.nan,
            int(np.sum(~finite)),
        )


def _thin(values: object) -> Array:
    """At most so many samples and units: enough for shares and quantiles, and quick."""
    h = np.asarray(values)[:_SAMPLES]
    h = h.reshape(len(h), -1)
    return h[:, :: max(1, h.shape[1] // _UNITS)]


def _quantiles(values: Array) -> tuple[float, ...]:
    if not values.size:
        return (math.nan,) * len(QUANTILES)
    return tuple(map(float, np.quantile(values, QUANTILES)))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values * values))) if values.size else math.nan


def _dead(place: WatchedLayer, h: Array) -> float:
    if place.slope is None or not np.isfinite(h).all():
        return math.nan
    slope = np.broadcast_to(place.slope(h.astype(np.float64)), h.shape)
    return float(np.mean(np.all(slope == 0, axis=0)))
