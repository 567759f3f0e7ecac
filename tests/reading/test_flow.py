"""Control flow in a framework's own words is Python's own for one number; constants of a tensor library
compute with an input by its operators, from either side."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
import tensorflow as tf
import torch
from jax import lax
from keras import ops

from actgrad import activation
from actgrad.errors import TraceError
from tests.reading.conftest import SMOOTH, read, slope

K = tf.keras.backend
Function = Callable[[Any], Any]


def leaky(x: float) -> float:
    return x if x > 0 else 0.1 * x


def ladder(x: float) -> float:
    return x * x if x > 1 else 0.5 * x if x > 0 else 0.1 * x


def halved(x: float) -> float:
    return x / 8


def until_small(x: float) -> float:
    """Halved while it is more than 1, of at most 4."""
    x = min(max(x, -4.0), 4.0)
    while x > 1:
        x = 0.5 * x
    return x


def _whole(x: Any) -> Any:
    return tf.cast(tf.clip_by_value(tf.floor(x), -1.0, 1.0), tf.int32) + 1


def _detached_here(x: Any) -> Any:
    @torch.no_grad
    def jump(v: Any) -> Any:
        return torch.sign(v)

    with torch.inference_mode(False):
        return 0.25 * x + jump(x)


LADDER = [lambda v: 0.1 * v, lambda v: 0.5 * v, lambda v: v * v]
FLOW: dict[str, tuple[Function, Function]] = {
    "tf.cond": (lambda x: tf.cond(x > 0, lambda: x, lambda: 0.1 * x), leaky),
    "tf.case": (
        lambda x: tf.case([(x > 1, lambda: x * x), (x > 0, lambda: 0.5 * x)], lambda: 0.1 * x),
        ladder,
    ),
    "tf.case without a default": (
        lambda x: tf.case([(x > 0, lambda: x), (x <= 0, lambda: 0.1 * x)]), leaky,
    ),
    "tf.switch_case": (
        lambda x: tf.switch_case(_whole(x), [partial(f, x) for f in LADDER]), ladder,
    ),
    "tf.switch_case of a dict": (
        lambda x: tf.switch_case(_whole(x), dict(enumerate(partial(f, x) for f in LADDER))), ladder,
    ),
    "tf.while_loop": (
        lambda x: tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, 0.5 * y), [0, x])[1], halved,
    ),
    "tf.while_loop, cut off": (
        lambda x: tf.while_loop(lambda y: True, lambda y: [0.5 * y], [x], maximum_iterations=3)[0], halved,
    ),
    "tf.vectorized_map": (lambda x: tf.vectorized_map(lambda v: v / 8, x), halved),
    "K.switch": (lambda x: K.switch(x > 0, lambda: x, lambda: 0.1 * x), leaky),
    "ops.cond": (lambda x: ops.cond(x > 0, lambda: x, lambda: 0.1 * x), leaky),
    "ops.while_loop": (
        lambda x: ops.while_loop(lambda y: y > 1, lambda y: (0.5 * y,), (ops.clip(x, -4, 4),))[0],
        until_small,
    ),
    "ops.fori_loop": (lambda x: ops.fori_loop(0, 3, lambda i, y: 0.5 * y, x), halved),
    "lax.cond": (lambda x: lax.cond(x > 0, lambda v: v, lambda v: 0.1 * v, x), leaky),
    "lax.switch": (
        lambda x: lax.switch(jax.numpy.floor(x).astype("int32") + 1, LADDER, jax.numpy.clip(x, -1, 9)),
        lambda x: ladder(max(x, -1.0)),
    ),
    "lax.while_loop": (
        lambda x: lax.while_loop(lambda y: y > 1, lambda y: 0.5 * y, lax.clamp(-4.0, x, 4.0)),
        until_small,
    ),
    "lax.select_n": (lambda x: lax.select_n(x > 0, 0.1 * x, x), leaky),
    "lax.map": (lambda x: lax.map(lambda v: v / 8, x), halved),
    "torch.cond": (
        lambda x: torch.cond(x > 0, lambda v: v * 1.0, lambda v: 0.1 * v, (x,)), leaky,
    ),
    "torch.no_grad without parentheses": (_detached_here, lambda x: 0.25 * x + np.sign(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", FLOW)
def test_control_flow_of_a_library_is_pythons(name: str) -> None:
    function, plainly = FLOW[name]
    program = read(function)
    derivative = program.partial("x")
    assert float(program.evaluate(0.0)) == plainly(0.0)
    for x in SMOOTH:
        assert float(program.evaluate(x)) == pytest.approx(plainly(x), rel=1e-12), x
        true = slope(plainly, x)
        if true is not None:
            assert float(derivative.evaluate(x)) == pytest.approx(true, rel=1e-6), x


def test_what_cannot_be_looped_over_says_so() -> None:
    for function, says in (
        (lambda x: lax.scan(lambda c, v: (c + v, c), 0.0, x)[0], "Scan over constants"),
        (lambda x: x * tf.map_fn(lambda v: v, tf.constant([1.0])), "Write a loop"),
    ):
        with pytest.raises(TraceError, match=says):
            activation(function, name="f")


OPERATORS = "add sub mul truediv floordiv mod pow lt le gt ge".split()


@pytest.mark.parametrize("name", OPERATORS)
def test_a_constant_tensor_computes_with_an_input_from_either_side(name: str) -> None:
    of = getattr(operator, name)
    constant = torch.tensor(1.75, dtype=torch.float64)
    for function in (lambda x: of(constant, x) * 1.0, lambda x: of(abs(x), constant) * 1.0):
        points = np.array(SMOOTH)
        own = function(torch.tensor(points)).numpy()
        np.testing.assert_allclose(read(function).evaluate(points), own, rtol=1e-12)
