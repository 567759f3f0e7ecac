"""Random functions of a row: each against its own run in NumPy, row by row, and finite differences."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from actgrad import activation, from_json

Array = Any
SIZE = 6
ROW: list[Callable[[Array], Array]] = [
    np.tanh, np.sin, np.exp, np.negative, np.sort, np.cumsum, lambda x: x * x, lambda x: x[::-1],
    lambda x: np.where(x > 0, x, 0.3 * x), lambda x: x - np.mean(x), lambda x: x / (1 + np.sum(x * x)),
    lambda x: np.exp(x - np.max(x)), lambda x: x * np.arange(len(x)), lambda x: np.maximum(x, x[0]),
    lambda x: np.concatenate([x[1:], x[:1]]), lambda x: np.concatenate([x[::2], x[1::2]]),
    lambda x: x if np.sum(x) > 0.1 else np.cos(x), lambda x: np.sqrt(1 + x * x),
    lambda x: np.where(np.arange(len(x)) == np.argmax(x), x, 0.5 * x), lambda x: np.log1p(np.abs(x)),
    lambda x: np.exp(x - np.max(x)) / np.sum(np.exp(x - np.max(x))), lambda x: np.cumprod(1 + 0.3 * x),
    lambda x: x - np.max(x) - np.log(np.sum(np.exp(x - np.max(x)))), lambda x: np.diff(x, prepend=0.0),
    lambda x: np.pad(x[1:-1], 1, constant_values=0.5), lambda x: np.repeat(x[: len(x) // 2], 2),
]  # fmt: skip
NUMBER: list[Callable[[Array], Array]] = [
    np.sum, np.mean, np.max, np.min, np.var, lambda x: np.prod(1 + 0.1 * x), lambda x: x[-1],
    lambda x: np.sort(x)[len(x) // 2], lambda x: x @ x, lambda x: np.linalg.norm(x), lambda x: x[2],
    lambda x: np.any(x > 0.7) * 1.0, lambda x: np.sum(np.where(x > 0, 1, 0)),
]  # fmt: skip
PAIR: list[Callable[[Array, Array], Array]] = [
    np.add, np.subtract, np.multiply, lambda a, b: a / (2 + b * b), np.maximum, np.minimum,
    lambda a, b: np.where(a < b, a, b * b), lambda a, b: np.hypot(a, b + 3),
]  # fmt: skip


def _squashed(x: Array) -> Array:
    """Back to numbers of a moderate size, so that differences keep their digits."""
    return x / (1 + np.abs(x))


def program(seed: int) -> Callable[[Array], Array]:
    """A function of three to seven steps, each of what was made before."""
    choose = random.Random(seed)
    steps: list[tuple[Any, ...]] = []
    for _ in range(choose.randint(3, 7)):
        kind = choose.choice(("row", "row", "number", "pair"))
        table = {"row": ROW, "number": NUMBER, "pair": PAIR}[kind]
        steps.append((kind, choose.choice(table), choose.randrange(99), choose.randrange(99)))
    ends = choose.choice(("row", "row", "number", "half", "twice"))

    def function(x: Array) -> Array:
        made = [x]
        numbers: list[Array] = [0.4]
        for kind, operation, i, j in steps:
            row = made[i % len(made)]
            if kind == "row":
                made.append(_squashed(operation(row)))
            elif kind == "number":
                numbers.append(_squashed(operation(row)))
            else:
                others = made + numbers
                made.append(_squashed(operation(row, others[j % len(others)])))
        last = made[-1] * numbers[-1] + made[0]
        if ends == "number":
            return np.sum(last * made[-1])
        if ends == "half":
            return last[: len(x) // 2] * made[-1][len(x) // 2 :]
        return np.concatenate([last, made[-1]]) if ends == "twice" else last

    return function


def check(seed: int) -> None:
    function = program(seed)
    f = activation(function, axis=-1, name="f")
    x = np.random.default_rng(seed).normal(size=(3, SIZE))
    expected = np.stack([np.asarray(function(row)) for row in x])
    np.testing.assert_allclose(f(x), expected, rtol=1e-9, atol=1e-11, err_msg=str(seed))
    tensor = torch.tensor(x, requires_grad=True)
    result = f(tensor)
    np.testing.assert_allclose(result.detach(), expected, rtol=1e-9, atol=1e-11, err_msg=str(seed))
    upstream = np.random.default_rng(seed + 1).normal(size=expected.shape)
    slope = np.zeros_like(x)
    if result.requires_grad:
        result.backward(torch.tensor(upstream))
        slope = tensor.grad.numpy()
    for j in range(SIZE):
        ends = []
        for step in (1e-6, 1e-7):
            d = step * (np.arange(SIZE) == j)
            up, down = (np.stack([np.asarray(function(row)) for row in x + s * d]) for s in (1, -1))
            change = (up - down) / (2 * step) * upstream
            ends.append(change.reshape(3, -1).sum(-1))
        smooth = np.isclose(*ends, rtol=1e-4, atol=1e-5)  # no kink between the two
        np.testing.assert_allclose(
            slope[smooth, j], ends[0][smooth], rtol=1e-4, atol=1e-5, err_msg=str(seed)
        )
    assert from_json(f.to_json()) == f


@pytest.mark.filterwarnings("ignore:the derivative of 'f' is zero")
@pytest.mark.parametrize("first", [0])
def test_forty_random_functions(first: int) -> None:
    for seed in range(first, first + 40):
        check(seed)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:the derivative of 'f' is zero")
@pytest.mark.parametrize("first", range(40, 2000, 98))
def test_two_thousand_random_functions(first: int) -> None:
    for seed in range(first, first + 98):
        check(seed)
