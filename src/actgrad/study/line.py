"""The derivative in force along one input, compared with the slope of the function itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from actgrad.common.types import Array
from actgrad.language.derive import derive
from actgrad.language.expression import plain
from actgrad.language.program import Program
from actgrad.study.breakpoints import Signature, along, breakpoints, places, settings
from actgrad.study.slopes import slopes

RTOL = 1e-4
"""Two slopes that differ by less are taken for the same: constants are written with a few digits."""
_LARGE = (23.7, 57.1, 131.0, 997.3, 1.07e4, 3.3e6, 1e12, 1e100, 1e300)
_SMALL = (5e-324, 1e-310, 2.3e-308, 1e-200, 1e-30, 1e-8, 1e-3)
_UPSTREAM = (1.0, -1.0, 0.37, -2.6)


Rank = tuple[bool, bool, float, float]


class Line:
    """The comparison along one input, the others at the values `at`."""

    def __init__(
        self,
        program: Program,
        own: Callable[..., float] | None,
        by: str,
        at: Mapping[str, float],
        low: float,
        high: float,
        points: int,
        extremes: bool = True,
    ) -> None:
        self.at, self.range = at, max(abs(low), abs(high))
        self.breakpoints = breakpoints(program, by, low, high, at)
        values = settings(program, at)
        value = plain(program.value)
        signature = Signature([value], by, values)
        found = _places(program, by, values, low, high)
        self.x = _points(found, low, high, points, extremes)
        self.claims, self.linear, self.zero = _claims(program, by, at, self.x)
        function = _along(program, own, by, at)
        self.slopes = slopes(function, self.x, signature)
        slope, tolerance = self.slopes.value, 10 * self.slopes.error

        # The kink itself: there the claim is good if it lies between the slopes at both sides.
        places = found[:, 1]
        low_side, high_side = slope.copy(), slope.copy()
        if len(found):
            sides = slopes(function, found[:, [0, 2]].ravel(), signature)
            pairs, errors = sides.value.reshape(-1, 2), sides.error.reshape(-1, 2)
            for x, pair, error in zip(places, pairs, errors, strict=True):
                here = np.flatnonzero(self.x == x)
                low_side[here], high_side[here] = pair.min(), pair.max()
                tolerance[here] = 10 * error.max()
        jumping = np.isin(self.x, [b.x for b in self.breakpoints if b.kind == "jump"])
        tolerance[jumping | self.slopes.kink] = np.inf

        with np.errstate(all="ignore"):
            off = np.fmax(low_side - self.claims, self.claims - high_side)
            size = np.fmax(np.abs(self.claims), np.abs(slope))
            sure = tolerance <= 0.05 * np.fmax(np.abs(slope), self.slopes.typical / 8)
            measured = sure & self.slopes.finite
            noise = 1e-10 * self.slopes.typical  # below it a difference is rounding
            self.wrong = measured & (off > RTOL * size + tolerance + noise)
        self.lost = self.slopes.finite & ~np.isfinite(self.claims)
        self.wrong |= self.lost & measured & (np.abs(self.x) <= 16)
        self.true = np.where(self.claims > high_side, high_side, low_side)
        self.measured = measured
        self.off = np.where(np.isfinite(off), off, np.inf)
        # By rule, a function whose kinks cancel (max(x, 0) - x / 2 - abs(x) / 2) has at that one point
        # the derivative of the branch that Python takes, which is not the slope.
        self.branch = self.wrong & np.isin(self.x, places) & is_exact(program, by)
        self.wrong &= ~self.branch

    def own_kinks(self) -> Array:
        """Points at which the slopes measured on the two sides differ."""
        return np.asarray(self.x[self.slopes.kink & (np.abs(self.x) <= self.range)])

    def rank(self, i: int) -> Rank:
        """The largest difference first; of equal ones that of a moderate x."""
        x, off = abs(float(self.x[i])), float(self.off[i])
        off = float(f"{off:.2g}")
        return x > self.range, x < 1e-4, -off, abs(x - 1)


def is_exact(program: Program, by: str) -> bool:
    """Whether the derivative in force by one argument is the exact one, as nothing else was said."""
    if by in program.reverse_only or program.on_host:
        return False
    return derive(program.value, by) is derive(plain(program.value), by)


def _places(
    program: Program, by: str, values: Mapping[str, float], low: float, high: float
) -> Array:
    """Where the function or the derivative in force switches."""
    roots = [plain(program.value)]
    if program.gradient:
        values = {**values, program.upstream: 1.0}
        roots += program.gradient
    else:
        roots.append(plain(derive(program.value, by)))
    return places(roots, by, values, low, high, limit=200)


def _points(found: Array, low: float, high: float, points: int, extremes: bool) -> Array:
    signs = np.array([[-1.0], [1.0]])
    extra = (signs * np.array([*_SMALL, *_LARGE] if extremes else [])).ravel()
    middles = (found[1:, 1] + found[:-1, 1]) / 2
    grid = np.linspace(low, high, points)
    # A little off the round numbers too, where what is missing from a formula may vanish.
    between = grid[:-1] + 0.3719 * np.diff(grid)
    x = np.unique(np.concatenate([grid, between, extra, middles, found.ravel()]))
    if not extremes:  # the neighbours of a kink at 0 are subnormal
        return x[(np.abs(x) > 1e-30) | (x == 0)]
    return np.append(x[x != 0], [-0.0, 0.0])


def _claims(
    program: Program, by: str, at: Mapping[str, float], x: Array
) -> tuple[Array, bool, bool]:
    """The derivative in force, whether it is linear in the upstream gradient, and whether zero. Of a
    `gradient=` rule, what it makes of an upstream gradient, per unit of it."""
    if not program.gradient:
        claims = along(program.partial(by), by, at)(x) + 0.0
        return claims, True, not np.any(claims)
    with np.errstate(all="ignore"):
        *pulled, nothing = (
            along(program.vjp(by), by, {**at, program.upstream: u})(x) for u in (*_UPSTREAM, 0.0)
        )
        units = [found / u for found, u in zip(pulled, _UPSTREAM, strict=True)]
        spread = np.max(units, axis=0) - np.min(units, axis=0)
        size = np.max(np.abs(units), axis=0)
        linear = not np.any((spread > 1e-9 * size) & np.isfinite(size)) and not np.any(
            np.isfinite(nothing) & (nothing != 0)
        )
    return np.array(units[0] if linear else units[1]), linear, not np.any(units)


def _along(
    program: Program, own: Callable[..., float] | None, by: str, at: Mapping[str, float]
) -> Callable[[Array], Array]:
    if own is None:
        return along(program, by, at)

    def value(x: float) -> float:
        try:
            return float(own(*(x if name == by else at[name] for name in program.inputs)))
        except (ArithmeticError, ValueError):  # where Python raises there is nothing to compare
            return math.nan

    return lambda x: np.array([value(float(item)) for item in x])
