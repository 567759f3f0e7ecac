"""What a random network makes of a signal and of its gradient, layer by layer, before it is built.

Given a layer's inputs, its pre-activations are independent normal numbers of variance
q = σw² m + σb², with m the second moment of those inputs. So the variances form a chain: the next m
is the mean of `width` draws of f(√q Z)², and finite width is the scatter of that mean. The gradient
goes back through the same chain: σw² times the mean of s(√q Z)².

Source: Schoenholz et al. 2017 (arXiv 1611.01232); Hanin and Nica 2018 (arXiv 1812.05994) for finite
width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from actgrad.common.types import Array
from actgrad.errors import CallError
from actgrad.language.program import Program
from actgrad.study.breakpoints import along, breakpoints, on_panels
from actgrad.study.forecast import FixedPoint, Forecast, finite_exp

NETWORKS = 1000
_REACH, _LOGS = 9.0, np.linspace(-40, 40, 101)
_FINE = np.geomspace(1e-4, 0.4, 10)
_ENDS = np.unique(np.concatenate([np.linspace(-_REACH, _REACH, 37), _FINE, -_FINE]))


def forecast(
    program: Program,
    gain: float,
    depth: int = 10,
    width: int = 512,
    weight_scale: float = 1.0,
    bias_scale: float = 0.0,
    input_moment: float | None = None,
    networks: int = NETWORKS,
) -> Forecast:
    """The forecast for weights of standard deviation `weight_scale` · `gain` / √fan_in, normal, and
    biases of standard deviation `bias_scale`. `input_moment` is the mean square of the network's
    inputs; if not said, that which the gain brings to variance 1."""
    _check(gain, depth, width, weight_scale, bias_scale)
    table = _Table(program)
    log_w, log_b = 2 * math.log(weight_scale * gain), 2 * _log(bias_scale)
    random = np.random.default_rng(0)
    first = -2 * math.log(gain) if input_moment is None else _log(input_moment)
    log_q = np.full(networks, _plus(log_w + first, log_b))
    forward, factors = [log_q], []
    for _ in range(depth - 1):
        moment, slope = table.draw(log_q, width, random)
        log_q = _plus(log_w + moment, log_b)
        forward.append(log_q)
        factors.append(log_w + slope)
    zero = np.zeros(networks)
    backward = np.cumsum([zero, *factors[::-1]], axis=0)[::-1] / 2
    mapped = _plus(log_w + table.moment, log_b)
    fixed, every = _fixed_points(mapped)
    return Forecast(
        program.name,
        depth,
        width,
        weight_scale,
        bias_scale,
        *(_each(np.mean, forward), _each(np.std, forward)),
        tuple(map(finite_exp, _each(np.mean, backward))),
        _each(np.std, backward),
        fixed,
        every,
        tuple(zip(_LOGS.tolist(), mapped.tolist(), strict=True)),
    )


class _Table:
    """On a grid of log q: logs of E f² and E s², and the relative variances of what is averaged."""

    def __init__(self, program: Program) -> None:
        slope = program.partial(program.inputs[0])
        places = np.array([b.x for part in (program, slope) for b in breakpoints(part)])
        z, weights = _rules(places)
        x = z * np.exp(_LOGS / 2)[:, None]
        with np.errstate(all="ignore"):
            f2, s2 = (np.where(weights > 0, along(p)(x) ** 2, 0.0) for p in (program, slope))

            def mean(values: Array) -> Array:
                return np.sum(weights * values, axis=1)

            m, s = mean(f2), mean(s2)
            self.moment, self.slope = np.log(m), np.log(s)
            f_over, s_over = f2 / m[:, None], s2 / s[:, None]
            self.scatter = np.maximum(mean(f_over**2) - 1, 0)
            # Each summand of the gradient is s² u², with u normal.
            self.slope_scatter = np.maximum(3 * mean(s_over**2) - 1, 0)
            both = mean(f_over * s_over) - 1
            self.together = both / np.sqrt(self.scatter * self.slope_scatter)

    def draw(self, log_q: Array, width: int, random: np.random.Generator) -> tuple[Array, Array]:
        """log of the mean of `width` draws of f(√q Z)², and of s(√q Z)² u², for each network."""
        a, b = random.standard_normal((2, len(log_q)))
        a, b = ((e - e.mean()) / e.std() for e in (a, b))
        rho = np.nan_to_num(np.clip(_at(log_q, self.together), -1, 1))
        b = rho * a + np.sqrt(1 - rho**2) * b
        found = []
        for level, scatter, noise in (
            (self.moment, self.scatter, a),
            (self.slope, self.slope_scatter, b),
        ):
            v = np.log1p(np.nan_to_num(_at(log_q, scatter), posinf=1e6) / width)
            found.append(_line(log_q, level) - v / 2 + np.sqrt(v) * noise)
        return found[0], found[1]


def _rules(places: Array) -> tuple[Array, Array]:
    """For each q a row of nodes, and their weights, on panels that end at the breakpoints of f(√q z)."""
    moving = np.unique(places[places != 0])
    ends = np.broadcast_to(_ENDS, (len(_LOGS), len(_ENDS)))
    if len(moving):
        moved = np.clip(moving / np.exp(_LOGS / 2)[:, None], -_REACH, _REACH)
        ends = np.sort(np.concatenate([ends, moved], axis=1), axis=1)
    return on_panels(ends, 8)


def _at(log_q: Array, values: Array) -> Array:
    return np.interp(log_q, _LOGS, values)


def _line(log_q: Array, values: Array) -> Array:
    """Between the grid's points, and straight on beyond its ends."""
    inside = _at(log_q, values)
    with np.errstate(invalid="ignore"):
        for end, other, beyond in ((0, 1, log_q < _LOGS[0]), (-1, -2, log_q > _LOGS[-1])):
            slope = (values[end] - values[other]) / (_LOGS[end] - _LOGS[other])
            straight = values[end] + slope * (log_q - _LOGS[end])
            inside = np.where(beyond, straight, inside)
    return inside


def _fixed_points(mapped: Array) -> tuple[tuple[FixedPoint, ...], bool]:
    away = mapped - _LOGS
    middle = np.abs(_LOGS) <= 10
    if np.mean(np.abs(away[middle]) < 1e-6) > 0.5:
        return (), True
    found = []
    for i in range(len(away) - 1):
        a, b = away[i], away[i + 1]
        if np.isfinite(a) and np.isfinite(b) and (a < 0 < b or b < 0 < a or a == 0):
            x = _LOGS[i] + (_LOGS[1] - _LOGS[0]) * (a / (a - b) if a else 0.0)
            slope = 1 + (b - a) / (_LOGS[1] - _LOGS[0])
            found.append(FixedPoint(finite_exp(float(x)), float(slope)))
    return tuple(found), False


def _each(summary: Callable[[Array], np.floating], rows: Iterable[Array]) -> tuple[float, ...]:
    with np.errstate(invalid="ignore"):
        return tuple(float(summary(row)) for row in rows)


def _plus(log_a: Array | float, log_b: float) -> Array:
    with np.errstate(invalid="ignore"):
        return np.logaddexp(log_a, log_b)


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def _check(gain: float, depth: int, width: int, weight_scale: float, bias_scale: float) -> None:
    if not 0 < gain < math.inf:
        raise CallError(
            f"no gain keeps this activation's variance (it is {gain}): nothing to forecast"
        )
    for name, value in (("depth", depth), ("width", width)):
        if not isinstance(value, int) or value < 1:
            raise CallError(f"{name} is a whole number from 1 on, and is {value!r}")
    if not 0 < weight_scale < math.inf or not 0 <= bias_scale < math.inf:
        raise CallError(
            f"weight_scale is above 0 and bias_scale not below: they are {weight_scale!r}, {bias_scale!r}"
        )
