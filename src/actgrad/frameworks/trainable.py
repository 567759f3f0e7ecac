"""A parameter that is learnt with the model's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Trainable:
    """What `trainable(...)` says of a parameter."""

    initial: float | None = None
    low: float | None = None
    high: float | None = None
    per_channel: bool = False

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"trainable: low={self.low} is above high={self.high}")
        if self.initial is not None:
            below = self.low is not None and self.initial < self.low
            if below or (self.high is not None and self.initial > self.high):
                raise ValueError(
                    f"trainable: initial={self.initial} is not within [{self.low}, {self.high}]"
                )

    def get_config(self) -> dict[str, Any]:
        return {
            "initial": self.initial,
            "low": self.low,
            "high": self.high,
            "per_channel": self.per_channel,
        }


def trainable(
    initial: float | None = None,
    low: float | None = None,
    high: float | None = None,
    per_channel: bool = False,
) -> Trainable:
    """A parameter that is learnt: `f.layer(beta=trainable(1.0, low=0.0))`.

    It starts at `initial` (the activation's own default if None), is kept within [`low`, `high`]
    after every step, and is one number, or one per channel (the last axis) with `per_channel`.
    It acts in the function and in its derivative alike, and is saved with the model's weights.

    >>> trainable(1.0, low=0.0)
    Trainable(initial=1.0, low=0.0, high=None, per_channel=False)
    """
    return Trainable(initial, low, high, per_channel)
