"""Rules for inputs and parameters by name: what they may be, what they leave alone, what is refused."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

from actgrad import activation, from_json
from actgrad.activation import Activation
from actgrad.errors import CallError, DefinitionError, DerivativeMismatchWarning, TraceError

POINTS = np.array([-2.0, 0.25, 0.75, 1.5, 1.9, 4.0])


def triangle(u: Any) -> Any:
    return max(0.0, 1.0 - abs(u))


def step(v: Any, threshold: Any = 1.0) -> Any:
    return 1.0 if v >= threshold else 0.0


def by_name(v: Any, threshold: Any) -> Any:
    return {"v": triangle(v - threshold), "threshold": -triangle(v - threshold)}


def parts() -> dict[str, Any]:
    return {
        "v": lambda v, threshold: triangle(v - threshold),
        "threshold": lambda v, threshold: -triangle(v - threshold),
    }


@pytest.mark.parametrize("rule", [by_name, parts()], ids=["returned", "written"])
def test_a_rule_for_a_parameter(rule: Any) -> None:
    spike = activation(step, surrogate=rule)
    expected = np.maximum(0, 1 - np.abs(POINTS - 1.0))
    assert np.array_equal(spike.derivative(POINTS), expected)
    assert np.array_equal(spike.partial("v")(POINTS), expected)
    assert np.array_equal(spike.partial("threshold")(POINTS), -expected)


def test_both_forms_are_the_same_activation() -> None:
    assert activation(step, surrogate=by_name) == activation(step, surrogate=parts())


def test_the_order_of_the_names_does_not_matter() -> None:
    def either(v: Any, threshold: Any) -> Any:
        if v > threshold:
            return {"v": 2.0, "threshold": 3.0}
        return {"threshold": 5.0, "v": 7.0}

    spike = activation(step, surrogate=either)
    assert spike.derivative(np.array([0.0, 2.0])).tolist() == [7.0, 2.0]
    assert spike.partial("threshold")(np.array([0.0, 2.0])).tolist() == [5.0, 3.0]


def test_what_is_not_named_keeps_its_exact_derivative() -> None:
    def bent(x: Any, y: Any, a: Any = 2.0, b: Any = 3.0) -> Any:
        return a * x * x + b * x * y

    f = activation(bent, surrogate={"x": 1.0, "b": lambda x, y, b: 10 * b})
    x, y = 0.5, -1.5
    assert f.partial("x")(x, y) == 1.0
    assert f.partial("b")(x, y) == 30.0
    assert f.partial("y")(x, y) == 3.0 * x
    assert f.partial("a")(x, y) == x * x


def test_only_a_parameter_is_named() -> None:
    f = activation(lambda x, a=2.0: a * x * x, surrogate={"a": 1.0}, name="f")
    assert f.derivative(3.0) == 12.0
    assert f.partial("a")(3.0) == 1.0


def test_activations_are_rules_too() -> None:
    slope = activation(lambda v, threshold=1.0: triangle(v - threshold), name="slope")
    spike = activation(step, surrogate={"threshold": slope, "v": 0.25})
    assert spike.partial("threshold")(1.5) == 0.5
    assert spike.derivative(1.5) == 0.25


def test_a_rule_may_name_its_own_parameter() -> None:
    spike = activation(step, surrogate=lambda v, threshold, width=2.0: {"v": width, "width": 4.0})
    assert spike.parameters == {"threshold": 1.0, "width": 2.0}
    assert spike.partial("width")(0.0) == 4.0


def test_a_whole_gradient_of_a_parameter() -> None:
    spike = activation(
        step,
        gradient=lambda v, upstream, threshold: {
            "v": upstream * triangle(v - threshold),
            "threshold": -2 * upstream * triangle(v - threshold),
        },
    )
    program = spike.program
    assert program.vjp("v").evaluate(1.5, 3.0) == 1.5
    assert program.vjp("threshold").evaluate(1.5, 3.0) == -3.0
    # Bound to a number, it is no argument any more, and the rule for the input is left.
    assert program.closed.vjp("v").evaluate(1.5, 3.0) == 1.5
    assert len(program.closed.gradient) == 1


def test_a_whole_gradient_of_one_name_leaves_the_others_exact() -> None:
    f = activation(lambda x, a=2.0, b=1.0: a * x + b * x * x, gradient={"a": 7.0}, name="f")
    program = f.program
    assert program.vjp("a").evaluate(3.0, 10.0) == 7.0
    assert program.vjp("x").evaluate(3.0, 10.0) == 10.0 * (2.0 + 2 * 3.0)
    assert program.vjp("b").evaluate(3.0, 10.0) == 10.0 * 9.0


def test_the_second_derivative_follows_the_rule() -> None:
    f = activation(lambda x, a=2.0: a * x, surrogate={"a": lambda x, a: x * x * a}, name="f")
    by_a = f.partial("a")
    assert by_a.derivative(3.0) == 2 * 3.0 * 2.0
    assert by_a.partial("a")(3.0) == 9.0


@pytest.mark.parametrize("kind", ["surrogate", "gradient"])
def test_it_is_saved(kind: str) -> None:
    rule: Any = by_name
    if kind == "gradient":
        rule = lambda v, upstream, threshold: {"threshold": upstream * threshold}
    spike = activation(step, **{kind: rule})
    text = spike.to_json()
    assert from_json(text) == spike
    assert from_json(text).to_json() == text
    assert f'"actgrad": {1 if kind == "surrogate" else 2}' in text


def test_a_false_claim_names_the_parameter() -> None:
    with pytest.warns(DerivativeMismatchWarning, match="for 'f' is not its derivative by 'a'"):
        activation(lambda x, a=2.0: a * x, derivative={"a": lambda x, a: 2 * x}, name="f")


def test_a_true_claim_is_not_warned_about() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        activation(lambda x, a=2.0: a * x, derivative={"a": lambda x, a: x, "x": lambda x, a: a})


def test_another_length_reads_every_rule_anew() -> None:
    def power(x: Any, n: int = 2, a: float = 1.0) -> Any:
        total = a
        for _ in range(n):
            total = total * x
        return total

    rule = {"a": lambda x, n, a: 5.0 * n, "x": lambda x, n, a: 7.0 * n}
    f = activation(power, surrogate=rule)(n=3)
    assert (f(2.0), f.partial("a")(2.0), f.derivative(2.0)) == (8.0, 15.0, 21.0)


def refused(rule: Any, kind: str = "surrogate") -> str:
    with pytest.raises((DefinitionError, TraceError)) as raised:
        activation(step, **{kind: rule})
    return str(raised.value)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"treshold": 1.0}, "'treshold', which is no input (v) and no parameter (threshold)"),
        ({"treshold": 1.0}, "did you mean 'threshold'?"),
        (lambda v, threshold: {"w": 1.0}, "'w', which is no input (v)"),
        (lambda v, threshold: (1.0, 2.0), "gives 2 numbers, and 'step' has 1 input (v)"),
        (lambda v, threshold: (1.0, 2.0), '{"v": ..., "threshold": ...}'),
        ({"v": lambda v: (1.0, 2.0)}, "for 'v' gives 2 numbers"),
        ({"v": lambda v: {"v": 1.0}}, "for 'v' gives"),
        ({}, "names nothing"),
        (lambda v: {}, "names nothing"),
        ({"v": "steep"}, "is 'steep'"),
        ({"v": lambda v, w: 1.0}, "takes 2 inputs"),
        (lambda v: {"v": 1.0} if v > 0 else 1.0, "a dict of 'v' on one path and one number"),
        (lambda v: {"v": 1.0} if v > 0 else {"threshold": 1.0}, "a dict of 'threshold' on another"),
    ],
)
def test_what_is_refused(rule: Any, said: str) -> None:
    assert said in refused(rule)


def test_a_name_that_shaped_the_reading_has_no_derivative() -> None:
    def repeated(x: Any, n: int = 2) -> Any:
        return sum(x for _ in range(n))

    with pytest.raises(DefinitionError, match="'n', which shaped the function"):
        activation(repeated, surrogate={"n": 1.0})


def test_a_partial_derivative_by_a_name_that_is_not_there() -> None:
    spike = activation(step, surrogate=by_name)
    with pytest.raises(CallError, match=re.escape("it has one by 'v', 'threshold'")):
        spike.partial("width")


def test_on_the_host_a_parameter_has_the_derivative_that_is_given() -> None:
    def scale(x: float, a: float = 2.0) -> float:
        return float(str(x)) * a

    f = activation(scale, derivative={"x": lambda x, a: a, "a": lambda x, a: x}, host=True)
    assert isinstance(f, Activation)
    assert f.partial("a")(3.0) == 3.0
    assert f.derivative(3.0) == 2.0


def test_on_the_host_what_is_not_named_is_not_known() -> None:
    def scale(x: float, a: float = 2.0) -> float:
        return float(str(x)) * a

    with pytest.raises(DefinitionError, match="nothing for 'x'"):
        activation(scale, derivative={"a": lambda x, a: x}, host=True)
