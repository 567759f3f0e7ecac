"""New programs from one: its surrogate in scale, its output standardised, a polynomial near it."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

import numpy as np

from actgrad.common.types import Array
from actgrad.errors import CallError
from actgrad.language.expression import Expr, const, make, var
from actgrad.language.program import Program
from actgrad.reading.derivatives.with_rule import with_rule
from actgrad.study.breakpoints import along, breakpoints, check_range
from actgrad.study.propagation import propagation

MOST = 30
_SAMPLES = 4001


def scaled(program: Program) -> Program:
    """The derivative in force times c = √(E f² / E s²), as a surrogate: see `Activation.scaled`."""
    factor = propagation(program).surrogate_factor
    if not 0 < factor < math.inf:
        raise CallError(
            f"no factor brings the derivative of {program.name!r} into scale: c is {factor}"
        )
    slope = program.partial(program.inputs[0])
    rule = dataclasses.replace(slope, value=_times(slope.value, factor))
    program = with_rule(program.exact(), rule, "surrogate", program.on_host)
    return dataclasses.replace(program, name=f"{program.name}_scaled")


def standardised(program: Program) -> Program:
    """(f - E f(Z)) / √Var f(Z): see `Activation.standardised`."""
    numbers = propagation(program)
    constant = numbers.gain < 1e-10 * numbers.centred_gain  # as far as rounding shows
    if constant or not 0 < numbers.centred_gain < math.inf:
        raise CallError(
            f"{program.name!r} cannot be standardised: 1 / √Var f(Z) is {numbers.centred_gain:.4g}"
        )
    centred = make("sub", program.value, const(numbers.mean))
    value = _times(centred, numbers.centred_gain)
    return dataclasses.replace(program, value=value, name=f"{program.name}_standardised")


@dataclass(frozen=True)
class Approximation:
    """A polynomial near a function on an interval, and how near it is."""

    program: Program
    of: str
    """The name of the function that it is near to."""
    interval: tuple[float, float]
    largest_error: float
    """Measured on the interval, on both sides of every jump."""
    coefficients: tuple[float, ...]
    """Of 1, x, x², ..."""

    def __str__(self) -> str:
        low, high = self.interval
        return f"within {self.largest_error:.3g} of {self.of} on [{low:g}, {high:g}]"


def polynomial(program: Program, degree: int, interval: tuple[float, float]) -> Approximation:
    """A polynomial near a program on an interval: see `Activation.polynomial`."""
    low, high = _checked(program, degree, interval)
    centre, half = (low + high) / 2, (high - low) / 2
    nodes = np.cos(math.pi * (np.arange(_SAMPLES) + 0.5) / _SAMPLES)
    values = _values(program, centre + half * nodes, interval)
    series = np.polynomial.Chebyshev.fit(nodes, values, degree, domain=[-1, 1])
    coefficients = np.asarray(series.convert(kind=np.polynomial.Polynomial).coef, np.float64)
    coefficients = np.pad(coefficients, (0, degree + 1 - len(coefficients)))
    coefficients[abs(coefficients) < 1e-14 * abs(coefficients).max()] = 0.0
    x = var(program.inputs[0])
    t = x if (centre, half) == (0, 1) else _times(make("sub", x, const(centre)), 1 / half)
    near = dataclasses.replace(
        program.exact(),
        name=f"{program.name}_polynomial_{degree}",
        parameters=(),
        fixed=(),
        value=_horner(coefficients, t),
    )
    at = _grid(program, low, high)
    error = np.abs(near.evaluate(at) - _values(program, at, interval))
    of_x = np.polynomial.Polynomial(coefficients, domain=[low, high]).convert()
    return Approximation(
        near, program.name, (low, high), float(error.max()), tuple(map(float, of_x.coef))
    )


def _checked(program: Program, degree: int, interval: tuple[float, float]) -> tuple[float, float]:
    if len(program.inputs) != 1:
        raise CallError(
            f"a polynomial has one input, and {program.name!r} has {len(program.inputs)}"
        )
    if isinstance(degree, bool) or not isinstance(degree, int) or not 0 <= degree <= MOST:
        raise CallError(f"the degree is a whole number from 0 to {MOST}, and is {degree!r}")
    low, high = map(float, interval)
    check_range(low, high, "interval")
    return low, high


def _values(program: Program, x: Array, interval: tuple[float, float]) -> Array:
    values = along(program)(x)
    if not np.isfinite(values).all():
        where = float(x[~np.isfinite(values)][0])
        raise CallError(f"{program.name!r} is not finite at {where:.4g}, inside of {interval}")
    return values


def _grid(program: Program, low: float, high: float) -> Array:
    sides = [s for b in breakpoints(program, low=low, high=high) for s in (b.before, b.after)]
    return np.clip(np.union1d(np.linspace(low, high, 4 * _SAMPLES), sides), low, high)


def _times(value: Expr, factor: float) -> Expr:
    return make("mul", value, const(factor))


def _horner(coefficients: Array, t: Expr) -> Expr:
    *rest, highest = map(const, map(float, coefficients))
    return functools.reduce(
        lambda value, next: make("add", make("mul", value, t), next), reversed(rest), highest
    )
