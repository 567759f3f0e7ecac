"""The slope of a plain Python function, measured: finite differences on a ladder of steps.

Nothing here knows the rules of `language.derive`, which makes it an oracle for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from actgrad.common.types import Array

Function = Callable[[Array], Array]

_STEPS = 13
# Not larger for a large x: between distant points an oscillation looks like a straight line. And no
# multiple of it is a period that a person would write.
_FIRST = 0.2137


@dataclass(frozen=True)
class Slopes:
    """Estimates with their uncertainty, which is inf where nothing could be measured."""

    value: Array
    error: Array
    kink: Array
    """Where the slopes measured on the two sides exclude each other."""
    finite: Array
    """Where the function itself has a finite value."""
    typical: float
    """The size of the function around 0."""


def slopes(function: Function, x: Array, signature: Function) -> Slopes:
    """The slope at each x, from the steps h that stay on x's side of every breakpoint.

    Central and both one-sided differences, each extrapolated to h = 0 (Richardson); the one that is
    surest counts. `signature` has one column per point and tells the sides apart.
    """
    steps = np.broadcast_to(_FIRST * 2.0 ** -np.arange(_STEPS)[:, None], (_STEPS, len(x)))
    up, down = x + steps, x - steps
    own = signature(x)[:, None, :]
    size = steps.shape

    def seen(points: Array) -> tuple[Array, Array]:
        side = signature(points.ravel()).reshape(-1, *size)
        same = np.logical_and.accumulate(np.all(side == own, axis=0)[::-1])[::-1]
        values = np.full(size, np.nan)
        values[same] = function(points[same])
        return values, same

    above, _ = seen(up)
    below, _ = seen(down)
    at = function(x)
    with np.errstate(all="ignore"):
        scale = np.fmax.reduce(np.abs([*above, *below, at]))
        typical = _typical(at, x)
        noise = 4e-16 * np.maximum(scale, typical)
        forward = _extrapolated((above - at) / (up - x), steps, noise, 2.0)
        backward = _extrapolated((at - below) / (x - down), steps, noise, 2.0)
        central = _extrapolated((above - below) / (up - down), steps, noise, 4.0)
        gap = np.abs(forward[0] - backward[0])
        kink = gap > 1e-3 * (np.abs(forward[0]) + np.abs(backward[0])) + 30 * (
            forward[1] + backward[1]
        )
    estimates = np.stack([forward[0], backward[0], central[0]])
    errors = np.stack([forward[1], backward[1], central[1]])
    best = np.argmin(errors, axis=0)[None]
    value = np.take_along_axis(estimates, best, 0)[0]
    error = np.take_along_axis(errors, best, 0)[0]
    return Slopes(value, error, kink, np.isfinite(at), typical)


def _typical(values: Array, x: Array) -> float:
    """The size of numbers that the function computes with around 0, whose rounding is in its result."""
    near = np.abs(values[(np.abs(x) < 8) & np.isfinite(values)])
    return float(np.quantile(near, 0.9)) if len(near) else 0.0  # a pole does not count


def _extrapolated(quotients: Array, steps: Array, noise: Array, base: float) -> tuple[Array, Array]:
    """The surest entry of Richardson's table, and how far it may be off."""
    best, sure = np.zeros(quotients.shape[1]), np.full(quotients.shape[1], np.inf)
    column = quotients
    for level in range(1, len(steps)):
        weight = base**level
        more = (weight * column[1:] - column[:-1]) / (weight - 1)
        error = np.maximum(np.abs(more - column[1:]), np.abs(more - column[:-1]))
        error = error + noise / steps[level:]
        error = np.where(np.isfinite(error), error, np.inf)
        row = np.argmin(error, axis=0)[None]
        now = np.take_along_axis(error, row, 0)[0]
        better = now < sure
        best = np.where(better, np.take_along_axis(more, row, 0)[0], best)
        sure = np.where(better, now, sure)
        column = more
    return best, sure
