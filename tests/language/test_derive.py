"""Derivatives of whole functions: dead branches, every order, and graphs that stay small."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp

from actgrad.errors import ActgradWarning
from actgrad.language.expression import walk
from actgrad.language.program import Program
from actgrad.reading.define import define


def read(function: Callable[..., Any], **rule: Any) -> Program:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        if rule:
            ((kind, how),) = rule.items()
            return define(function, how, kind)
        return define(function)


def derivative(program: Program, order: int, by: str = "x") -> Program:
    for _ in range(order):
        program = program.partial(by)
    return program


# (text, points in the branch where the other formula is not finite, its slopes of orders 0 to 3 there)
TRAPS = [
    ("np.where(x > 0, np.log(x), 0.0)", (-1.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
    ("math.log(x) if x > 0 else 0.0", (-1.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
    ("math.sqrt(max(x, 0.0))", (-1.0,), (0.0, 0.0, 0.0, 0.0)),
    ("math.sqrt(max(0.0, x))", (-1.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
    ("max(x, 0.0) ** 0.5", (-2.0,), (0.0, 0.0, 0.0, 0.0)),
    ("max(x, 0.0) ** 1.5", (-2.0,), (0.0, 0.0, 0.0, 0.0)),
    ("np.sqrt(np.maximum(x, 0.0))", (-1.0, -1e-9), (0.0, 0.0, 0.0, 0.0)),
    ("np.where(x == 0, 1.0, np.sin(x) / x)", (0.0,), (1.0, 0.0, 0.0, 0.0)),
    ("1 / x if x != 0 else 5.0", (0.0,), (5.0, 0.0, 0.0, 0.0)),
    ("x ** 0.5 if x > 0 else 2 * x", (-3.0,), (-6.0, 2.0, 0.0, 0.0)),
    ("math.exp(x) if x < 5 else x", (800.0,), (800.0, 1.0, 0.0, 0.0)),
    ("math.log(math.sqrt(max(x, 0.0)) + 1)", (-4.0,), (0.0, 0.0, 0.0, 0.0)),
    ("np.where(x > 0, np.where(x > 1, np.log(x), np.sqrt(x)), 0.0)", (-1.0,), (0.0, 0.0, 0.0, 0.0)),
    ("x * math.sqrt(max(x - 1, 0.0)) + x", (0.5,), (0.5, 1.0, 0.0, 0.0)),
    ("math.sqrt(abs(min(x, 0.0)))", (2.0,), (0.0, 0.0, 0.0, 0.0)),
    ("math.atanh(x) if abs(x) < 1 else math.copysign(9.0, x)", (1.0, 3.0), (9.0, 0.0, 0.0, 0.0)),
    ("math.acosh(max(x, 1.0))", (-2.0, 0.5), (0.0, 0.0, 0.0, 0.0)),
    ("math.hypot(max(x, 0.0), max(x, 0.0))", (-1.0,), (0.0, 0.0, 0.0, 0.0)),
    ("1 / max(x, 0.0) if x > 0 else 0.0", (-1.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
    ("np.clip(x, 0.0, 1.0) ** 0.5", (-1.0,), (0.0, 0.0, 0.0, 0.0)),
]


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize(("text", "points", "slopes"), TRAPS)
def test_a_branch_not_taken_contributes_nothing(
    text: str, points: tuple[float, ...], slopes: tuple[float, ...], order: int
) -> None:
    program = read(eval(f"lambda x: {text}", {"math": math, "np": np}))
    found = derivative(program, order).evaluate(np.array(points))
    assert np.broadcast_to(found, len(points)).tolist() == [slopes[order]] * len(points)


SMOOTH = [
    "tanh(x)", "exp(-x * x)", "x / (1 + exp(-x))", "x * tanh(log(1 + exp(x)))", "1 / (1 + x * x)",
    "sin(x) * cos(2 * x)", "atan(x) ** 3", "sqrt(1 + x * x)", "erf(x) * x", "log(1 + exp(x))",
]  # fmt: skip

MATH = {name: item for name, item in vars(math).items() if not name.startswith("_")}


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("text", SMOOTH)
def test_every_order_is_the_true_derivative(text: str, order: int) -> None:
    program = derivative(read(eval(f"lambda x: {text}", dict(MATH))), order)
    points = [-3.1, -0.7, 0.2, 1.9, 4.5]
    with mp.workdps(60):
        true = [
            float(mpmath.diff(eval(f"lambda x: {text}", vars(mpmath).copy()), x, order))
            for x in points
        ]
    np.testing.assert_allclose(program.evaluate(np.array(points)), true, 1e-9, 1e-12)


def test_parameters_have_derivatives() -> None:
    program = read(lambda x, a=1.5, b=-0.5: a * math.tanh(b * x) + (a * x if x > b else 0.0))
    x, step = np.array([-2.0, -0.3, 0.4, 1.7]), 1e-6
    for name, value in program.parameters:
        up, down = (program.evaluate(x, **{name: value + sign * step}) for sign in (1, -1))
        np.testing.assert_allclose(
            program.partial(name).evaluate(x), (up - down) / (2 * step), 1e-7, 1e-9
        )


@pytest.mark.parametrize("kind", ["derivative", "surrogate"])
def test_a_declared_derivative_is_the_one_that_is_derived_again(kind: str) -> None:
    program = read(lambda x: x * x * x, **{kind: lambda x: 7 * x * x})
    x = np.array([-2.0, 3.0])
    for order, true in enumerate((x**3, 7 * x**2, 14 * x, 14.0, 0.0)):
        np.testing.assert_array_equal(derivative(program, order).evaluate(x), true)


def test_a_declared_derivative_holds_inside_another_function() -> None:
    from actgrad import activation

    step = activation(lambda x: 1.0 if x >= 0 else 0.0, surrogate=lambda x: 7.0)
    outer = activation(lambda x: 2 * step(3 * x) + x)
    assert outer.derivative(0.25) == 2 * 7 * 3 + 1
    assert outer.exact_derivative(0.25) == 1


def test_a_slope_that_is_zero_at_a_point_has_a_slope_of_its_own() -> None:
    """As 2 - 2x at 1, though it comes from a branch: what it is multiplied by must not be lost."""
    program = read(lambda x: math.exp(2 * x - max(x, 0.0) ** 2))
    second = program.partial("x").partial("x")
    assert program.partial("x").evaluate(1.0) == 0
    assert second.evaluate(1.0) == pytest.approx(-2 * math.e)
    assert second.partial("x").evaluate(1.0) == 0


@pytest.mark.parametrize("text", ["math.fmod(x, 1.3)", "math.modf(x)[0]"])
def test_a_remainder_has_its_slope_at_zero_too(text: str) -> None:
    program = read(eval(f"lambda x: {text}", {"math": math}))
    at = np.array([-0.3, 0.0, 0.3])
    assert program.evaluate(at).tolist() == at.tolist()
    assert np.broadcast_to(program.partial("x").evaluate(at), 3).tolist() == [1, 1, 1]


LOOPS = {
    "smooth": lambda x, n: _loop(x, n, lambda v, k: 0.999 * v + math.sin(v) * 0.01 + k),
    "with max": lambda x, n: _loop(x, n, lambda v, k: max(0.5 * v, v - 0.01) + 0.001 * k),
    "with a branch": lambda x, n: _loop(x, n, lambda v, k: np.where(v > 0, v * 0.99, v - 0.01 * k)),
}


def _loop(x: Any, turns: int, step: Callable[[Any, int], Any]) -> Any:
    for k in range(turns):
        x = step(x, k)
    return x


@pytest.mark.parametrize("body", LOOPS)
def test_a_loop_of_a_thousand_steps_is_linear_in_size(body: str) -> None:
    def size(turns: int, order: int) -> int:
        program = read(lambda x: LOOPS[body](x, turns))
        return len(walk(derivative(program, order).value))

    for order in (0, 1):
        short, long = size(100, order), size(1000, order)
        assert long <= 10 * short + 100
        assert long < 20 * 1000


def test_a_thousand_steps_with_max_have_the_right_slope() -> None:
    program = read(lambda x: LOOPS["with max"](x, 1000))
    x, step = np.array([-2.3, 0.7, 3.1]), 1e-6
    found = program.partial("x").evaluate(x)
    np.testing.assert_allclose(
        found, (program.evaluate(x + step) - program.evaluate(x - step)) / (2 * step), 1e-6, 1e-9
    )


def test_the_slope_of_a_root_at_minus_zero_is_what_it_is_beside_it() -> None:
    root = define(lambda x: math.sqrt(x) if x >= 0 else 0.0)
    assert root.partial("x").evaluate(-0.0) == math.inf
