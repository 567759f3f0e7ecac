"""Inputs, parameters and options; and what is said when a rule does not fit its function."""

from __future__ import annotations

import functools
import math
import re
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from actgrad import activation, from_json
from actgrad.errors import (
    ActgradError,
    DefinitionError,
    DerivativeMismatchWarning,
    ImpureError,
    SurrogateWarning,
    TraceError,
)
from actgrad.reading.define import define


def options(x, kind="soft", scale=2.0, clip=True, limit=None):
    if clip and limit is not None:
        x = min(x, limit)
    if kind == "soft":
        return scale * math.tanh(x)
    return scale * x if kind == "linear" else 0.0


@pytest.mark.parametrize(
    "given",
    [{}, {"kind": "linear"}, {"limit": 0.5}, {"limit": 0.5, "clip": False}, {"scale": 3.0}],
)
def test_options_and_parameters(given):
    f = activation(options)(**given) if given else activation(options)
    assert f(1.5) == pytest.approx(options(1.5, **given), rel=1e-15)


def test_options_are_fixed_and_numbers_are_parameters():
    program = define(options)
    assert dict(program.parameters) == {"scale": 2.0}
    assert dict(program.fixed) == {"kind": "soft", "clip": True, "limit": None}
    assert program.inputs == ("x",)


def powers(x, n=3):
    return sum(x**k for k in range(n))


def repeated(x, n=3, a=0.5):
    y = x
    while n > 0:
        y = a * y + 1
        n -= 1
    return y


def indexed(x, which=1):
    return [x, x * x, 3 * x][which]


@pytest.mark.parametrize("function", [powers, indexed, repeated])
def test_a_parameter_that_counts_is_fixed_and_read_again_with_another_value(function):
    name, other = ("which", 2) if function is indexed else ("n", 5)
    f = activation(function)
    assert name in dict(f.program.fixed)
    assert name not in dict(f.program.parameters)
    assert f(0.5) == pytest.approx(function(0.5))
    assert f(**{name: other})(0.5) == pytest.approx(function(0.5, **{name: other}))
    assert f(0.5, **{name: other}) == pytest.approx(function(0.5, **{name: other}))


def test_the_rule_of_a_function_with_a_count_counts_too():
    f = activation(powers, derivative=lambda x, n: sum(k * x ** (k - 1) for k in range(1, n)))
    assert f.derivative(0.5) == 2.0
    assert f(n=4).derivative(0.5) == 2.75


def test_an_option_that_is_a_list_of_names():
    def chosen(x, parts=("a", "b")):
        return x * len(parts)

    assert activation(chosen)(2.0) == 4.0


def test_an_array_parameter_broadcasts():
    def scaled(x, a=(1.0, 2.0)):
        return a * x if x > 0 else x

    program = define(scaled)
    assert dict(program.parameters) == {"a": (1.0, 2.0)}
    assert program.evaluate(np.array([3.0, 3.0])).tolist() == [3.0, 6.0]


# Rules that do not fit.


def square(x):
    return x * x


def product(x, y):
    return x * y


def two_numbers(x):
    return 2 * x, 1.0


def one_number(x, y):
    return y


def three_numbers(x, y):
    return y, x, 1.0


def two_inputs(x, y):
    return 2 * x


def nothing(x):
    2 * x


def text(x):
    return "2x"


def array(x):
    return np.array([x, x])


@pytest.mark.parametrize("kind", ["derivative", "surrogate"])
@pytest.mark.parametrize(
    ("function", "rule", "expected"),
    [
        (square, two_numbers, "'two_numbers' gives 2 numbers, and 'square' has 1 input (x)"),
        (product, one_number, "'one_number' gives 1 number, and 'product' has 2 inputs (x, y)"),
        (product, three_numbers, "'three_numbers' gives 3 numbers, and 'product' has 2 inputs"),
        (square, two_inputs, "'two_inputs' takes 2 inputs, and the rule of 'square' needs 1: (x)"),
        (product, square, "'square' takes 1 input, and the rule of 'product' needs 2: (x, y)"),
        (square, nothing, "the result is not a number: None"),
        (square, text, "the result is not a number: '2x'"),
        (square, array, "the result is not a number: array"),
    ],
)
def test_a_rule_that_does_not_fit(function, rule, expected, kind):
    with pytest.raises((DefinitionError, TraceError)) as caught:
        activation(function, **{kind: rule})
    message = str(caught.value)
    assert expected in message
    assert rule.__name__ in message
    assert f'File "{__file__}", line {rule.__code__.co_firstlineno}' in message


@pytest.mark.parametrize("rule", ["2x", None.__class__, object(), [1.0], {"x": "1"}, 1j, True])
def test_a_rule_that_is_none(rule):
    with pytest.raises(ActgradError, match=r"square|NoneType|rule"):
        activation(square, derivative=rule)


def test_a_gradient_rule_takes_the_upstream_gradient_too():
    with pytest.raises(DefinitionError, match=r"needs 2: \(x, upstream\)"):
        activation(square, gradient=lambda x: 2 * x)


def test_one_rule_at_most():
    with pytest.raises(DefinitionError, match="derivative= and surrogate= are given"):
        activation(square, derivative=2.0, surrogate=3.0)


@pytest.mark.parametrize("function", [3, "x * x", None.__class__ and [square]])
def test_what_is_not_a_function(function):
    with pytest.raises(DefinitionError, match="activation takes a function, and got"):
        activation(function)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda *x: x[0], r"takes \*x, so its inputs cannot be told"),
        (lambda **x: x["x"], r"takes \*\*x, so its inputs cannot be told"),
        (lambda: 1.0, "has no input"),
        (lambda x=1.0: x, "has no input: every argument has a default"),
    ],
)
def test_arguments_that_cannot_be_told(function, expected):
    with pytest.raises(DefinitionError, match=expected) as caught:
        activation(function)
    assert f'File "{__file__}", line {function.__code__.co_firstlineno}' in str(caught.value)


class Scaled:
    def __init__(self, by=2.0):
        self.by = by

    def __call__(self, x):
        return self.by * x


@pytest.mark.parametrize(
    ("kind", "cure", "cured"),
    [
        (Scaled, "activation(Scaled(...))", Scaled()),
        (float, "activation(lambda x: float(x))", lambda x: float(x)),
    ],
)
def test_a_class_is_no_function(kind, cure, cured):
    with pytest.raises(DefinitionError, match="is a class") as caught:
        activation(kind)
    assert cure in str(caught.value)
    assert activation(cured)(3.0) == cured(3.0)


@pytest.mark.parametrize("name", [3, "", "a\nb", "x" * 201])
def test_a_name_that_no_file_could_hold_is_refused(name):
    said = "1 to 200 printable characters"
    with pytest.raises(DefinitionError, match=said):
        activation(square, name=name)
    with pytest.raises(DefinitionError, match=said):
        activation(activation(square), name=name)


def test_a_functions_own_name_is_one_that_a_file_can_hold():
    def own(x):
        return x * x

    own.__name__ = "x" * 201
    with pytest.raises(DefinitionError, match="1 to 200 printable characters"):
        activation(own)
    assert from_json(activation(own, name="shorter").to_json()).name == "shorter"


CROSSED = {
    "one input for another": (
        lambda a, b: a - b * b,
        {"surrogate": lambda b, a: (1, -2 * b)},
        "takes (b, a), and its arguments go by position: (a, b)",
    ),
    "an activation": (
        lambda a, b: a - b * b,
        {"surrogate": {"a": activation(lambda b, a: a * b, name="other")}},
        "takes (b, a), and its arguments go by position: (a, b)",
    ),
    "the upstream gradient first": (
        square,
        {"gradient": lambda upstream, x: upstream * 2 * x},
        "takes (upstream, x), and its arguments go by position: (x, upstream)",
    ),
    "the upstream gradient by another name": (
        square,
        {"gradient": lambda grad_output, saved: grad_output * 2 * saved},
        "takes (grad_output, saved), and its arguments go by position: (x, upstream)",
    ),
}


@pytest.mark.parametrize(("function", "rule", "said"), CROSSED.values(), ids=CROSSED)
def test_a_rule_with_its_arguments_in_another_order_is_refused(function, rule, said):
    with pytest.raises(DefinitionError, match=re.escape(said)):
        activation(function, **rule)


def test_a_rule_may_call_its_arguments_otherwise():
    f = activation(lambda a, b: a * b, surrogate=lambda p, q: (q, 3 * p))
    assert (f.partial("a")(2.0, 5.0), f.partial("b")(2.0, 5.0)) == (5.0, 6.0)


def test_a_shared_parameter_has_one_default():
    def scaled(x, a=2.0):
        return a * x

    other = activation(lambda x, a=3.0: a * x, name="other")
    message = r"the parameter 'a' is 2\.0 in 'scaled' and 3\.0 in 'other'"
    with pytest.raises(DefinitionError, match=message):
        activation(scaled, surrogate=other)


def test_a_claim_that_is_false_is_warned_about_with_the_place():
    with pytest.warns(
        DerivativeMismatchWarning, match="'square' is not its derivative: at "
    ) as seen:
        activation(square, derivative=lambda x: 3 * x)
    assert seen[0].filename == __file__
    assert "surrogate=" in str(seen[0].message)


def test_derivatives_one_per_input():
    f = activation(product, derivative=lambda x, y: (y, x))
    assert f.derivative[0](3.0, 5.0) == 5.0
    assert f.derivative[1](3.0, 5.0) == 3.0
    g = activation(product, surrogate=(lambda x, y: 7.0, 1.0))
    assert (g.derivative[0](3.0, 5.0), g.derivative[1](3.0, 5.0)) == (7.0, 1.0)


def test_digits_that_python_loses_are_not_a_misreading():
    """Python has log(1 + e^-x) wrong by percents here, and the stable form right."""
    f = activation(lambda x: math.cbrt(math.log(1 + math.exp(-x))), name="f")
    assert f(31.7) == pytest.approx(math.cbrt(math.log1p(math.exp(-31.7))), rel=1e-14)


def horner(x, coefficients=(2.0, -1.0, 3.0)):
    y = 0.0
    for c in coefficients:
        y = y * x + c
    return y


def two_of(x, c=(2.0, 5.0), k=1.0):
    return c[0] * x + c[1] * k if len(c) == 2 else x


@pytest.mark.parametrize("function", [horner, two_of])
def test_a_default_that_is_used_as_a_sequence_is_read_as_it_is(function, reads_as_python):
    reads_as_python(function)
    assert all(np.ndim(value) == 0 for _, value in define(function).parameters)


def test_amplified_rounding_is_not_a_misreading():
    """An ulp of sinh(31.7), on which NumPy and math differ, is thousandths after the remainder."""
    activation(lambda x: math.sinh(-x) % 0.4, name="f")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: math.ceil(math.cbrt(math.tanh(2 * x))) + x,
        lambda x: x + np.arctan2(x, np.minimum(-0.0, x)),
        lambda x, a=-0.8: x - round(a - 0.25, 1),
    ],
    ids=["the last digit before a step", "which of two zeros", "between two decimals"],
)
def test_where_libraries_differ_is_not_a_misreading(function):
    activation(function, name="f")


def test_a_misreading_of_a_step_is_found():
    with pytest.raises(ImpureError, match="Python returns 5, and its reading"):
        activation(lambda x: 5.0 if x.__class__ is float else math.ceil(math.tanh(x)), name="f")


def test_a_rule_shares_a_list_of_the_function():
    f = activation(lambda x, c=(1.0, 2.0): c[0] * x + c[1], derivative=lambda x, c: c[0], name="f")
    assert (f(3.0), f.derivative(3.0)) == (5.0, 1.0)


def test_a_function_that_says_it_wraps_a_library_is_the_users():
    @functools.wraps(math.tanh)
    def mine(x):
        return 2.0 * x

    assert activation(mine)(3.0) == 6.0


def test_numpys_constants_may_overflow():
    activation(lambda x: x if x > 0 else x + np.heaviside(-0.1, 0.5) ** -2.0, name="f")


def test_the_same_content_is_the_same_program_in_every_thread():
    def read(_):
        start.wait()
        return activation(lambda x, k=2.0: math.tanh(x * k) + 0.1234, name="once").program

    start = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        (program,) = set(pool.map(read, range(8)))
    assert activation(lambda x, k=2.0: math.tanh(x * k) + 0.1234, name="twice").program != program


@pytest.mark.parametrize("k", [0.0, -0.0, math.nan])
def test_a_parameter_is_told_by_its_sign_at_zero(k):
    f = activation(lambda x, k=1.0: math.copysign(x, k), name="signed")
    for other in (0.0, -0.0):
        f(k=other)(1.0)
    assert f(k=k) == f(k=k)
    if k == 0.0:
        assert f(k=k)(3.0) == math.copysign(3.0, k)
        assert f(k=k) != f(k=-k)


def test_a_narrow_surrogate_is_not_zero() -> None:
    def near(v, threshold=3.0):
        return 1.0 if abs(v - threshold) < 0.01 else 0.0

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        activation(lambda v, threshold=3.0: 1.0 if v >= threshold else 0.0, surrogate=near)
        activation(
            lambda v: 1.0 if v >= 3.0 else 0.0,
            surrogate=lambda v: near(v),
            name="a_number_of_its_own",
        )


def test_a_surrogate_of_two_inputs_that_meet_is_not_zero() -> None:
    def rule(v, threshold):
        return max(0.0, 0.1 - abs(v - threshold)), -max(0.0, 0.1 - abs(v - threshold))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        activation(lambda v, threshold: 1.0 if v >= threshold else 0.0, surrogate=rule)


def test_a_surrogate_that_is_zero_is_warned_about() -> None:
    with pytest.warns(SurrogateWarning, match="zero everywhere"):
        activation(
            lambda v, w: 1.0 if v >= w else 0.0,
            surrogate=lambda v, w: (max(0.0, -1.0 - abs(v)), max(0.0, -1.0 - abs(w))),
        )
