"""A parameter that is drawn at random, anew for each element, while a layer or a module trains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Literal, TypeVar

import numpy as np

from actgrad.common.text import did_you_mean
from actgrad.common.types import Fields, Function
from actgrad.errors import SettingError
from actgrad.reading.signature import is_number

Tensor = TypeVar("Tensor")

_TINY = float(np.finfo(np.float32).tiny)
_EULER = 0.5772156649015329


@dataclass(frozen=True)
class _Distribution:
    names: tuple[str, str] | tuple[str]
    defaults: tuple[float, ...]
    mean: Callable[..., float]
    draw: Function
    """The sample from `z`, uniform in [0, 1) (standard normal for "normal"); `m` has log, log1p, where."""


_DISTRIBUTIONS = {
    "uniform": _Distribution(
        ("low", "high"),
        (0.0, 1.0),
        lambda low, high: (low + high) / 2,
        lambda m, z, low, high: low + (high - low) * z,
    ),
    "normal": _Distribution(
        ("mean", "deviation"),
        (0.0, 1.0),
        lambda mean, deviation: mean,
        lambda m, z, mean, deviation: mean + deviation * z,
    ),
    "bernoulli": _Distribution(
        ("probability",),
        (0.5,),
        lambda probability: probability,
        lambda m, z, probability: m.where(z < probability, 1.0, 0.0),
    ),
    "gumbel": _Distribution(
        ("location", "scale"),
        (0.0, 1.0),
        lambda location, scale: location + _EULER * scale,
        lambda m, z, location, scale: location - scale * m.log(-m.log(z + _TINY)),
    ),
    "logistic": _Distribution(
        ("location", "scale"),
        (0.0, 1.0),
        lambda location, scale: location,
        lambda m, z, location, scale: location + scale * (m.log(z + _TINY) - m.log1p(-z)),
    ),
}


@dataclass(frozen=True)
class Sampled:
    """What `sampled(...)` says of a parameter."""

    distribution: str
    parameters: tuple[float, ...] = ()
    inference: float | Literal["mean", "sample"] = "mean"

    def __post_init__(self) -> None:
        known = _DISTRIBUTIONS.get(self.distribution)
        if known is None:
            hint = did_you_mean(
                self.distribution, _DISTRIBUTIONS, f"there are {', '.join(_DISTRIBUTIONS)}"
            )
            raise SettingError(f"sampled: no distribution {self.distribution!r}; {hint}")
        given = tuple(self.parameters)
        if len(given) > len(known.names) or not all(
            is_number(v) and np.ndim(v) == 0 for v in given
        ):
            raise SettingError(
                f"sampled: {self.distribution!r} takes the numbers {', '.join(known.names)}, "
                f"and got {given}"
            )
        values = tuple(map(float, given)) + known.defaults[len(given) :]
        self._check(dict(zip(known.names, values, strict=True)))
        object.__setattr__(self, "parameters", values)
        if self.inference in ("mean", "sample"):
            return
        if not (is_number(self.inference) and np.ndim(self.inference) == 0):
            raise SettingError(
                f"sampled: inference={self.inference!r} is neither 'mean', 'sample' nor a number"
            )
        object.__setattr__(self, "inference", float(self.inference))

    def _check(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            positive = name in ("scale", "deviation")
            if not math.isfinite(value) or (positive and value < 0):
                raise SettingError(
                    f"sampled: {name}={value} of {self.distribution!r} makes no sense"
                )
        if self.distribution == "uniform" and values["low"] > values["high"]:
            raise SettingError(f"sampled: low={values['low']} is above high={values['high']}")
        if not 0 <= values.get("probability", 0.5) <= 1:
            raise SettingError(f"sampled: probability={values['probability']} is not within [0, 1]")

    @property
    def base(self) -> Literal["uniform", "normal"]:
        """What is drawn, before it is brought into the distribution."""
        return "normal" if self.distribution == "normal" else "uniform"

    def transform(self, m: ModuleType, drawn: Tensor) -> Tensor:
        """What was drawn, in the distribution; `m` is `torch` or `keras.ops`."""
        return _DISTRIBUTIONS[self.distribution].draw(m, drawn, *self.parameters)

    def still(self, training: bool) -> float | None:
        """The number that stands in for a sample; None where one is drawn."""
        if training or self.inference == "sample":
            return None
        if self.inference == "mean":
            return _DISTRIBUTIONS[self.distribution].mean(*self.parameters)
        return float(self.inference)

    def get_config(self) -> Fields:
        return {**asdict(self), "parameters": list(self.parameters)}


def sampled(
    distribution: str, *parameters: float, inference: float | Literal["mean", "sample"] = "mean"
) -> Sampled:
    """A parameter that is drawn anew for each element while training: `f.module(slope=sampled(...))`.

    Distributions, with the numbers that they take: "uniform" (low, high), "normal" (mean, deviation),
    "bernoulli" (probability), "gumbel" (location, scale) and "logistic" (location, scale). At
    inference it is the distribution's mean, another number, or a sample too. No gradient passes through
    a sample. Keras draws with a seed generator of the layer, PyTorch with the generator of the device,
    so `keras.utils.set_random_seed` and `torch.manual_seed` make it reproducible. In JAX, and wherever
    the activation is called as a function, give the sample itself: `f(x, slope=an_array)`.

    >>> sampled("uniform", 1 / 8, 1 / 3).still(training=False)
    0.22916666666666666
    """
    return Sampled(distribution, parameters, inference)
