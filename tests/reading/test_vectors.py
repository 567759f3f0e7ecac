"""Defaults that are lists, tuples and arrays: read entry by entry, and still parameters."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from actgrad import activation, from_json
from actgrad.errors import (
    CallError,
    DefinitionError,
    DerivativeMismatchWarning,
    ZeroDerivativeWarning,
)

ARRAY = np.array([2.0, -1.0, 3.0])
X = np.array([-2.0, -0.3, 0.4, 1.7])


def indexed(x: Any, c: Any = (2.0, -1.0, 3.0)) -> Any:
    return c[0] * x * x + c[1] * x + c[2]


def from_the_end(x: Any, c: Any = [2.0, -1.0, 3.0]) -> Any:  # noqa: B006
    return c[-1] + x * sum(c[:-1])


def horner(x: Any, c: Any = [2.0, -1.0, 3.0]) -> Any:  # noqa: B006
    result = 0.0
    for number in c:
        result = result * x + number
    return result


def polyval(x: Any, c: Any = ARRAY) -> Any:
    return np.polyval(c, x)


def poly1d(x: Any, c: Any = (2.0, -1.0, 3.0)) -> Any:
    return np.poly1d(c)(x)


def enumerated(x: Any, c: Any = (2.0, -1.0, 3.0)) -> Any:
    return sum(number * x**i for i, number in enumerate(c))


def zipped(x: Any, c: Any = (2.0, -1.0, 3.0), d: Any = (0.5, 0.25, 0.125)) -> Any:
    return sum(a * math.tanh(b * x) for a, b in zip(c, d, strict=True))


def unpacked(x: Any, c: Any = (2.0, -1.0, 3.0)) -> Any:
    a, b, _ = c
    return a * x if x > b else b * x


def rational(x: Any, c: Any = (2.0, -1.0, 3.0), q: Any = (0.5,)) -> Any:
    return np.polyval(c, x) / (1 + abs(q[0] * x))


def dotted(x: Any, c: Any = ARRAY) -> Any:
    return np.dot(c, [1.0, x, x * x])


def length(x: Any, c: Any = (2.0, -1.0, 3.0)) -> Any:
    return x * len(c) + max(c) - min(c)


FUNCTIONS = [
    *(indexed, from_the_end, horner, polyval, enumerated, zipped, unpacked, rational, dotted),
    *(length, poly1d),
]
functions = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)


def read(function: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroDerivativeWarning)
        return activation(function)


@functions
def test_it_stays_a_parameter(function: Any) -> None:
    f = read(function)
    assert f.parameters["c"] == (2.0, -1.0, 3.0)
    np.testing.assert_allclose(f(X), [function(float(x)) for x in X], rtol=1e-14)


@functions
def test_other_numbers(function: Any) -> None:
    f, other = read(function), [0.7, 1.3, -0.2]
    expected = [function(float(x), c=np.array(other)) for x in X]
    np.testing.assert_allclose(f(X, c=other), expected, rtol=1e-14)
    np.testing.assert_allclose(f(X, c=np.array(other)), expected, rtol=1e-14)
    np.testing.assert_allclose(f(c=other)(X), expected, rtol=1e-14)
    assert f(c=other).parameters["c"] == tuple(other)
    assert f(c=other)(c=(2.0, -1.0, 3.0)) == f


@functions
def test_the_derivative_by_each_entry(function: Any) -> None:
    f, c = read(function), np.array([2.0, -1.0, 3.0])
    for i, by_entry in enumerate(f.partial("c")):
        step = 1e-6 * np.eye(3)[i]
        slope = [(function(x, c=c + step) - function(x, c=c - step)) / 2e-6 for x in X]
        np.testing.assert_allclose(by_entry(X), slope, rtol=1e-6, atol=1e-8)


@functions
def test_it_is_saved(function: Any) -> None:
    f = read(function)
    text = f.to_json()
    assert '"actgrad": 2' in text
    loaded = from_json(text)
    assert loaded == f
    assert loaded.parameters == f.parameters
    assert loaded(c=[1.0, 2.0, 3.0]) == f(c=[1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    "function", [horner, polyval, poly1d, enumerated], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_another_length_reads_the_function_anew(function: Any, size: int) -> None:
    f, other = read(function), [0.5 + i for i in range(size)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroDerivativeWarning)
        expected = [function(float(x), c=other) for x in X]
        np.testing.assert_allclose(f(X, c=other), expected)
        assert f(c=other).parameters["c"] == tuple(other)


def test_another_length_of_a_file_is_refused() -> None:
    loaded = from_json(read(horner).to_json())
    with pytest.raises(CallError, match="has 3 numbers, and its Python function is not at hand"):
        loaded(c=[1.0, 2.0])


@pytest.mark.parametrize("value", [1.0, np.float64(2.0), []], ids=repr)
def test_what_is_no_vector_is_refused(value: Any) -> None:
    with pytest.raises(CallError, match="'c'"):
        read(horner)(X, c=value)


def test_rules_for_a_vector() -> None:
    def rule(x: Any, c: Any) -> Any:
        return {"x": c[0] + 7.0, "c": [x, 2 * x, c[2] * x]}

    f = activation(indexed, surrogate=rule)
    assert f.derivative(0.5) == 9.0
    assert [by_entry(0.5) for by_entry in f.partial("c")] == [0.5, 1.0, 1.5]
    written = activation(
        indexed,
        surrogate={"x": lambda x, c: c[0] + 7.0, "c": lambda x, c: [x, 2 * x, c[2] * x]},
    )
    assert written == f
    zero = activation(indexed, surrogate={"c": 0.0})
    assert [by_entry(0.5) for by_entry in zero.partial("c")] == [0.0] * 3
    assert zero.derivative(0.5) == 2 * 2.0 * 0.5 - 1.0


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"c": lambda x, c: [x, x]}, "for 'c' gives 2 numbers"),
        (lambda x, c: {"c": [x, x]}, "gives 2 numbers for 'c', which has 3"),
        (lambda x, c: {"c": x}, "gives 1 number for 'c', which has 3"),
        (lambda x, c: {"x": [x, x]}, "gives 2 numbers for 'x', which has 1"),
        (lambda x, c: {"d": [x, x]}, "names 'd', which is no input (x) and no parameter (c)"),
    ],
)
def test_rules_that_do_not_fit_a_vector(rule: Any, said: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        activation(indexed, surrogate=rule)
    assert said in str(raised.value)


def test_an_array_that_broadcasts_is_one_parameter() -> None:
    for w in ((1.0, 2.0), np.array([1.0, 2.0])):
        f = activation(lambda x, w=w: x * w, name="scaled")
        assert f.program.vectors == ()
        assert f(np.ones((3, 2))).tolist() == [[1.0, 2.0]] * 3


def test_options_are_constants() -> None:
    def chosen(x: Any, order: Any = (2, 0, 1), c: Any = (5.0, 6.0, 7.0)) -> Any:
        return c[order[0]] * x + c[order[1]]

    def masked(x: Any, mask: Any = (1, 0, 1, 1, 0, 1, 0, 1)) -> Any:
        return sum(x**i for i, use in enumerate(mask) if use)

    f = activation(chosen)
    assert f.parameters == {"c": (5.0, 6.0, 7.0)}
    assert f(2.0) == chosen(2.0)
    assert activation(masked)(0.5) == masked(0.5)


def test_names_of_entries_hide_no_argument() -> None:
    def crossed(x: Any, c: Any = (2.0, 3.0), c_0: Any = 5.0, c__1: Any = 7.0) -> Any:
        return c[0] * x + c[1] * c_0 + c__1

    f = activation(crossed)
    assert f.parameters == {"c": (2.0, 3.0), "c_0": 5.0, "c__1": 7.0}
    assert f(0.5) == crossed(0.5)
    assert f(0.5, c=[1.0, 1.0], c_0=2.0) == crossed(0.5, c=[1.0, 1.0], c_0=2.0)


def test_a_false_derivative_is_said_by_the_entry() -> None:
    with pytest.warns(DerivativeMismatchWarning, match=r"by 'c\[1\]'"):
        activation(indexed, derivative={"c": lambda x, c: [x * x, 5 * x, 1.0]})


def test_inside_of_another_function() -> None:
    f = read(horner)
    g = activation(lambda x, k=2.0: f(x, c=[k, 1.0, k * k]), name="g")
    assert g(0.5) == horner(0.5, [2.0, 1.0, 4.0])
    assert g.partial("k")(0.5) == pytest.approx(0.25 + 4.0)


def test_check_measures_every_entry() -> None:
    f = activation(indexed, surrogate={"c": lambda x, c: [x * x, x, 5.0]})
    found = f.check()
    assert [(item.input, item.verdict) for item in found.parameters] == [
        ("c[0]", "exact"),
        ("c[1]", "exact"),
        ("c[2]", "surrogate (declared)"),
    ]
