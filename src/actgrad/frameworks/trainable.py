"""A parameter that is learnt with the model's weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from actgrad.common.types import Fields
from actgrad.errors import SettingError
from actgrad.language.program import Program, Value
from actgrad.reading.signature import as_value, is_number


@dataclass(frozen=True)
class Trainable:
    """What `trainable(...)` says of a parameter."""

    initial: Value | None = None
    low: float | None = None
    high: float | None = None
    per_channel: bool = False

    def __post_init__(self) -> None:
        for name in ("initial", "low", "high"):
            value = getattr(self, name)
            if value is None:
                continue
            if not is_number(value) or (name != "initial" and np.ndim(value)):
                raise SettingError(f"trainable: {name}={value!r} is not a number")
            object.__setattr__(self, name, as_value(value))
        if self.low is not None and self.high is not None and self.low > self.high:
            raise SettingError(f"trainable: low={self.low} is above high={self.high}")
        if self.initial is not None:
            self.check(self.initial)

    @property
    def bounded(self) -> bool:
        return self.low is not None or self.high is not None

    def start(self, program: Program, name: str) -> Value:
        """Where the parameter of this name starts."""
        return program.settings[name] if self.initial is None else self.initial

    def check(self, initial: Value) -> None:
        """That the start is within the bounds."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        start = np.asarray(initial)
        if not np.all((low <= start) & (start <= high)):
            raise SettingError(f"trainable: initial={initial} is not within [{low}, {high}]")

    def get_config(self) -> Fields:
        initial = None if self.initial is None else np.asarray(self.initial).tolist()
        return {**asdict(self), "initial": initial}


def trainable(
    initial: float | Sequence[float] | None = None,
    low: float | None = None,
    high: float | None = None,
    per_channel: bool = False,
) -> Trainable:
    """A parameter that is learnt: `f.layer(beta=trainable(1.0, low=0.0))`.

    It starts at `initial` (the activation's own default if None), is kept within [`low`, `high`]
    after every step, and is one number, or one per channel (see the layer or module) with `per_channel`.
    It acts in the function and in its derivative alike, and is saved with the model's weights.

    >>> trainable(1.0, low=0.0)
    Trainable(initial=1.0, low=0.0, high=None, per_channel=False)
    """
    return Trainable(initial, low, high, per_channel)  # type: ignore[arg-type]
