"""New activations from one: its surrogate in scale, its output standardised, a polynomial near it."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np

from actgrad.activation import Activation
from actgrad.errors import CallError
from actgrad.language.expression import Expr, const, make, var
from actgrad.reading.rule_reader import with_rule
from actgrad.study.breakpoints import breakpoints

MOST = 30
_SAMPLES = 4001


def scaled(f: Activation) -> Activation:
    """`f` with its derivative in force multiplied by c = √(E f² / E s²), as a surrogate.

    Then a network whose weights have the forward gain passes gradients at their size: chi = 1.
    c belongs to the present parameter values, and stays if those are changed later.

    Raises `CallError` if there is no such c: several inputs, a `gradient=` rule, a zero derivative.

    Source: Zenke and Vogels 2021 (scale matters, shape hardly).

    >>> from actgrad import surrogates
    >>> step = surrogates.fast_sigmoid(slope=100.0)
    >>> round(step.propagation().chi, 5), round(scaled(step).propagation().chi, 5)
    (0.00532, 1.0)
    """
    factor = f.propagation().surrogate_factor
    if not 0 < factor < math.inf:
        raise CallError(f"no factor brings the derivative of {f.name!r} into scale: c is {factor}")
    program = f.program
    slope = program.partial(program.inputs[0])
    rule = dataclasses.replace(slope, value=_times(slope.value, factor))
    program = with_rule(program.exact(), rule, "surrogate", program.on_host)
    return Activation(dataclasses.replace(program, name=f"{f.name}_scaled"))


def standardised(f: Activation, **parameters: Any) -> Activation:
    """(f - E f(Z)) / √Var f(Z): mean 0 and variance 1 for a standard normal input.

    The derivative in force is divided by the same number. Keyword arguments are parameter values.

    Raises `CallError` if the variance is 0 or not finite.

    >>> from actgrad import activation
    >>> square = activation(lambda x: x**2, name="square")
    >>> round(float(standardised(square)(2.0)), 6)
    2.12132
    """
    f = f(**parameters) if parameters else f
    found = f.propagation()
    constant = found.gain < 1e-10 * found.centred_gain  # as far as rounding lets one see
    if constant or not 0 < found.centred_gain < math.inf:
        raise CallError(
            f"{f.name!r} cannot be standardised: 1 / √Var f(Z) is {found.centred_gain:.4g}"
        )
    centred = make("sub", f.program.value, const(found.mean))
    value = _times(centred, found.centred_gain)
    return Activation(dataclasses.replace(f.program, value=value, name=f"{f.name}_standardised"))


def polynomial(
    f: Activation, degree: int, interval: tuple[float, float] = (-3.0, 3.0), **parameters: Any
) -> Activation:
    """A polynomial near `f` on an interval, as an activation with its own exact derivative.

    Least squares at Chebyshev points, which comes within a small factor of the best largest error.
    `.largest_error` is that error as measured on the interval, both sides of every jump included;
    `.interval` and `.coefficients` (of 1, x, x², ...) are kept beside it, and `repr` shows it.
    Outside of the interval a polynomial runs away: hold the inputs inside.

    Raises `CallError` for several inputs, a degree outside 0 ... 30, an empty interval, and a function
    that is not finite on it.

    >>> from actgrad import activation
    >>> relu = activation(lambda x: max(x, 0), name="relu")
    >>> near = polynomial(relu, 2, (-4, 4))
    >>> round(near.largest_error, 2), near.derivative(1.0) == near.exact_derivative(1.0)
    (0.42, True)
    """
    f = f(**parameters) if parameters else f
    low, high = _checked(f, degree, interval)
    centre, half = (low + high) / 2, (high - low) / 2
    nodes = np.cos(math.pi * (np.arange(_SAMPLES) + 0.5) / _SAMPLES)
    values = _values(f, centre + half * nodes, interval)
    series = np.polynomial.Chebyshev.fit(nodes, values, degree, domain=[-1, 1])
    coefficients = series.convert(kind=np.polynomial.Polynomial).coef
    coefficients = np.pad(coefficients, (0, degree + 1 - len(coefficients)))
    coefficients[abs(coefficients) < 1e-14 * abs(coefficients).max()] = 0.0
    x = var(f.inputs[0])
    t = x if (centre, half) == (0, 1) else _times(make("sub", x, const(centre)), 1 / half)
    program = dataclasses.replace(
        f.program.exact(),
        name=f"{f.name}_polynomial_{degree}",
        parameters=(),
        fixed=(),
        value=_horner(coefficients, t),
    )
    found = Activation(program)
    at = _grid(f, low, high)
    error = np.abs(program.evaluate(at) - _values(f, at, interval))
    of_x = np.polynomial.Polynomial(coefficients, domain=[low, high]).convert()
    found.interval = (low, high)  # type: ignore[attr-defined]
    found.largest_error = float(error.max())  # type: ignore[attr-defined]
    found.coefficients = tuple(map(float, of_x.coef))  # type: ignore[attr-defined]
    found.note = f"within {error.max():.3g} of {f.name} on [{low:g}, {high:g}]"
    return found


def _checked(f: Activation, degree: int, interval: tuple[float, float]) -> tuple[float, float]:
    if len(f.inputs) != 1:
        raise CallError(f"a polynomial has one input, and {f.name!r} has {len(f.inputs)}")
    if isinstance(degree, bool) or not isinstance(degree, int) or not 0 <= degree <= MOST:
        raise CallError(f"the degree is a whole number from 0 to {MOST}, and is {degree!r}")
    low, high = map(float, interval)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise CallError(f"the interval goes from low to high, and is {interval!r}")
    return low, high


def _values(f: Activation, x: Any, interval: tuple[float, float]) -> Any:
    values = np.broadcast_to(f.program.evaluate(x), x.shape)
    if not np.isfinite(values).all():
        where = float(x[~np.isfinite(values)][0])
        raise CallError(f"{f.name!r} is not finite at {where:.4g}, inside of {interval}")
    return values


def _grid(f: Activation, low: float, high: float) -> Any:
    sides = [s for b in breakpoints(f.program, low=low, high=high) for s in (b.before, b.after)]
    return np.clip(np.union1d(np.linspace(low, high, 4 * _SAMPLES), sides), low, high)


def _times(value: Expr, factor: float) -> Expr:
    return make("mul", value, const(factor))


def _horner(coefficients: Any, t: Expr) -> Expr:
    *rest, highest = map(const, map(float, coefficients))
    return functools.reduce(
        lambda value, next: make("add", make("mul", value, t), next), reversed(rest), highest
    )
