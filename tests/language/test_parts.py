"""The gradient by a row that is taken in parts is those of the parts, one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from actgrad import activation
from actgrad.language.expression import walk

JOINED: dict[str, Callable[..., Any]] = {
    "halves": lambda x: x[: len(x) // 2] * np.tanh(x[len(x) // 2 :]),
    "thirds": lambda x: np.prod(np.split(x, 3)[0]) * np.split(x, 3)[1] / np.exp(np.split(x, 3)[2]),
    "unequal": lambda x: np.concatenate([np.tanh(x[:4]), x[4:] ** 2]),
    "first": lambda x: x[0] * x[1:],
    "more than the parts": lambda x: np.concatenate([x[:4] * 2, np.exp(x[4:])]) * np.mean(x),
}
ADDED: dict[str, Callable[..., Any]] = {
    "one half": lambda x: np.tanh(x[: len(x) // 2]),
    "overlapping": lambda x: x[1:] * x[:-1],
    "every other": lambda x: np.maximum(x[::2], 2 * x[1::2]),
    "with a gap": lambda x: x[:2] * x[4:6] * x[10:],
}
FUNCTIONS = JOINED | ADDED


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_joined_where_the_parts_make_the_row(name: str) -> None:
    function = FUNCTIONS[name]
    gradient = activation(function, axis=-1, name="f").program.vjp("x")
    operations = {node.op for node in walk(gradient.value)}
    assert ("place" in operations) == (name in ADDED)
    x = np.random.default_rng(1).normal(size=12)
    upstream = np.random.default_rng(2).normal(size=len(function(x)))
    steps = 1e-6 * np.eye(12)
    slopes = [(function(x + step) - function(x - step)) @ upstream / 2e-6 for step in steps]
    np.testing.assert_allclose(gradient.evaluate(x, upstream), slopes, rtol=1e-6, atol=1e-8)
