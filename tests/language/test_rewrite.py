"""Simplification keeps every value; a stable form is never less accurate than what was written."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

from actgrad.errors import ActgradWarning
from actgrad.language.expression import Expr, const, evaluate, make, show, show_lines, var, walk
from actgrad.language.ops import OPS
from actgrad.language.rewrite import rewrite
from actgrad.reading.define import define

# What stands for the formula on the left, where that overflows or loses its digits.
STABLE = {
    "np.log(1 + np.exp(x))": "softplus(x)",
    "np.log(np.exp(x) + 1)": "softplus(x)",
    "np.log1p(np.exp(x))": "softplus(x)",
    "np.log1p(np.exp(-x))": "softplus(-x)",
    "np.exp(x) - 1": "expm1(x)",
    "1 - np.exp(x)": "-expm1(x)",
    "1 - np.exp(-x)": "-expm1(-x)",
    "-1 + np.exp(x)": "expm1(x)",
    "1 / (1 + np.exp(-x))": "sigmoid(x)",
    "1 / (np.exp(-x) + 1)": "sigmoid(x)",
    "1 / (1 + np.exp(x))": "sigmoid(-x)",
    "np.exp(x) / (1 + np.exp(x))": "sigmoid(x)",
    "1 - 1 / (1 + np.exp(-x))": "sigmoid(-x)",
    "np.log(1 / (1 + np.exp(-x)))": "-softplus(-x)",
    "x / (1 + np.exp(-x))": "x * sigmoid(x)",
    "x / (1 + np.exp(-1.5 * x))": "x * sigmoid(1.5 * x)",
    "x * (1 / (1 + np.exp(-x)))": "x * sigmoid(x)",
    "(np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))": "tanh(x)",
    "(np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)": "tanh(x)",
    "(1 - np.exp(-2 * x)) / (1 + np.exp(-2 * x))": "-tanh(-x)",
    "(np.exp(x) - np.exp(-x)) / 2": "sinh(x)",
    "(np.exp(x) + np.exp(-x)) / 2": "cosh(x)",
    "np.log(1 + x * x)": "log1p(x * x)",
    "x * np.tanh(np.log(1 + np.exp(x)))": "x * tanh(softplus(x))",
}
SIZES = [1e-30, 1e-12, 1e-7, 1e-4, 0.01, 0.1, 0.3, 0.7, 1.0, 2.3, 5.0, 9.0, 17.0, 37.0, 88.0, 90.0]
POINTS = np.array(
    [sign * size for size in [*SIZES, 300.0, 705.0, 712.0, 3000.0] for sign in (1, -1)]
)
EXACT = {"np": SimpleNamespace(**{n: getattr(mpmath, n) for n in ("exp", "log", "log1p", "tanh")})}


def read(function: Callable[..., Any]) -> Expr:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        return define(function).value


def evaluate_in(dtype: type[np.floating], root: Expr, x: np.ndarray) -> Any:
    results: dict[Expr, Any] = {}
    for node in walk(root):
        if node.op == "const":
            results[node] = dtype(node.value)
        else:
            args = [results[arg] for arg in node.args]
            results[node] = OPS[node.op].numpy(*args) if args else x
    return results[root]


@pytest.mark.parametrize("text", STABLE)
def test_the_stable_form_is_used(text: str) -> None:
    assert show(read(eval(f"lambda x: {text}", {"np": np}))) == STABLE[text]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("text", STABLE)
def test_it_is_never_less_accurate(text: str, dtype: type[np.floating]) -> None:
    x = POINTS.astype(dtype)
    with np.errstate(all="ignore"):
        written = eval(text, {"np": np, "x": x})
        stable = evaluate_in(dtype, read(eval(f"lambda x: {text}", {"np": np})), x)
    wrong = []
    with mp.workdps(350):
        for at, own, ours in zip(x, written, stable, strict=True):
            true = eval(text, {**EXACT, "x": mpmath.mpf(float(at))})
            if abs(true) > float(np.finfo(dtype).max):
                assert ours == np.inf * float(mpmath.sign(true))
                continue
            lost = abs(float(own) - true) if np.isfinite(own) else mpmath.inf
            unit = mpmath.mpf(float(np.spacing(np.abs(dtype(float(true))))))
            if not abs(float(ours) - true) <= max(lost, 4 * unit):
                wrong.append((at, ours, own, float(true)))
    assert wrong == []


# Every value, bit for bit.

NUMBERS = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -3.0, np.inf, -np.inf, np.nan)
# Not copysign, which tells the sign of a nan.
ARITHMETIC = ("neg", "abs", "add", "sub", "mul", "div", "floor", "sqrt", "mod")


@st.composite
def numbers(draw: Callable[..., Any], depth: int = 4) -> Expr:
    kind = draw(st.integers(0, 9)) if depth else 0
    if kind == 0:
        return draw(st.sampled_from((var("x"), var("y"))))
    if kind == 1:
        return const(draw(st.sampled_from(NUMBERS)))
    if kind == 2:
        branches = draw(numbers(depth - 1)), draw(numbers(depth - 1))
        return make("select", draw(truths(depth - 1)), *branches)
    if kind == 3:
        exponent = const(draw(st.sampled_from((0.0, 1.0, -1.0, 2.0))))
        return make("pow", draw(numbers(depth - 1)), exponent)
    op = draw(st.sampled_from(ARITHMETIC))
    return make(op, *(draw(numbers(depth - 1)) for _ in range(OPS[op].arity)))


@st.composite
def truths(draw: Callable[..., Any], depth: int = 3) -> Expr:
    kind = draw(st.integers(0, 5)) if depth else 0
    if kind <= 1:
        op = draw(st.sampled_from(("lt", "le", "eq")))
        return make(op, draw(numbers(max(depth - 1, 0))), draw(numbers(max(depth - 1, 0))))
    if kind == 2:
        return const(draw(st.booleans()))
    op = draw(st.sampled_from(("and", "or", "not")))
    return make(op, *(draw(truths(depth - 1)) for _ in range(OPS[op].arity)))


def bits(value: float) -> bytes:
    return b"nan" if np.isnan(value) else struct.pack("<d", value)


@settings(max_examples=800, derandomize=True, database=None, deadline=None)
@given(numbers())
def test_every_value_is_kept_bit_for_bit(written: Expr) -> None:
    simple = rewrite(written)[0]
    x, y = (column.ravel() for column in np.meshgrid(NUMBERS, (*NUMBERS, 0.3, 1e-310)))
    before, after = (
        np.broadcast_to(evaluate(e, {"x": x, "y": y}), x.shape) for e in (written, simple)
    )
    assert list(map(bits, before)) == list(map(bits, after)), f"{written} became {simple}"


@settings(max_examples=300, derandomize=True, database=None, deadline=None)
@given(numbers())
def test_what_is_simple_stays_as_it_is(written: Expr) -> None:
    simple = rewrite(written)[0]
    assert rewrite(simple)[0] is simple
    assert len(walk(simple)) <= len(walk(written)) + 4


@pytest.mark.parametrize("power", [3.0, 4.0])
def test_small_powers_are_products(power: float) -> None:
    x = np.linspace(-4, 4, 801)
    found = evaluate(rewrite(make("pow", var("x"), const(power)))[0], {"x": x})
    np.testing.assert_array_max_ulp(found, x**power, 2)


PIECES = """-1 if x < -2
else 0.5 * x if x < 0
else x * x if x < 1
else (1 if x < 2 else 3) if x < 5
else 2 * x - 1"""


def test_a_long_formula_of_pieces_has_a_line_for_each() -> None:
    found = show_lines(read(eval("lambda x: " + PIECES.replace("\n", " "))))
    assert found == PIECES
    assert " ".join(found.split()) == show(read(eval("lambda x: " + PIECES.replace("\n", " "))))
    assert "\n" not in show_lines(read(lambda x: x if x > 0 else 0.0))
