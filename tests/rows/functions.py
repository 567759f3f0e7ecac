"""Functions of a row, as people write them, in NumPy; each is run on one row by itself as the oracle."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
FUNCTIONS: dict[str, Callable[..., Array]] = {}


def _add(function: Callable[..., Array]) -> Callable[..., Array]:
    FUNCTIONS[function.__name__] = function
    return function


@_add
def softmax(x, temperature=1.3):
    powers = np.exp((x - np.max(x)) / temperature)
    return powers / np.sum(powers)


@_add
def softmax_of_plain_python(x):
    largest = max(x)
    powers = [math.exp(v - largest) for v in x]
    return [p / sum(powers) for p in powers]


@_add
def log_softmax(x):
    apart = x - x.max()
    return apart - np.log(np.exp(apart).sum())


@_add
def masked_softmax(x, mask):
    x = np.where(mask > -1.0, x, -np.inf)
    powers = np.exp(x - np.max(x))
    return powers / np.sum(powers)


@_add
def sparsemax(x):
    z = np.sort(x)[::-1]
    above = np.cumsum(z) - 1
    places = np.arange(len(x)) + 1
    k = np.sum(np.where(z * places > above, 1, 0))
    threshold = np.sum(np.where(places == k, above, 0)) / k
    return np.maximum(x - threshold, 0)


@_add
def glu(x):
    n = len(x)
    return x[: n // 2] / (1 + np.exp(-x[n // 2 :]))


@_add
def maxout(x):
    return np.maximum(x[::2], x[1::2])


@_add
def crelu(x):
    return np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)])


@_add
def squash(x):
    square = np.sum(x * x)
    return square / (1 + square) * x / np.sqrt(square + 1e-9)


@_add
def group_sort(x):
    a, b = np.split(x, 2)
    return np.concatenate([np.minimum(a, b), np.maximum(a, b)])


@_add
def full_sort(x):
    return np.sort(x)


@_add
def winners(x, k=3):
    return np.where(x >= np.sort(x)[-k], x, 0.0)


@_add
def rms_norm(x, gain=1.5):
    return gain * x / np.sqrt(np.mean(x**2) + 1e-6)


@_add
def layer_norm(x):
    return (x - np.mean(x)) / np.sqrt(np.var(x) + 1e-5)


@_add
def unit(x):
    return x / np.linalg.norm(x)


@_add
def softmax_one(x):
    top = np.maximum(np.max(x), 0)
    powers = np.exp(x - top)
    return powers / (np.exp(-top) + np.sum(powers))


@_add
def gated_by_mean(x):
    return x / (1 + np.exp(-np.mean(x)))


@_add
def clipped_at_quantile(x):
    high = np.sort(x)[-2]
    return np.minimum(x, high)


@_add
def range_of_row(x):
    return np.max(x) - np.min(x)


@_add
def norm(x):
    return np.sqrt(np.sum(x * x))


@_add
def kept_sum(x):
    return np.sum(np.tanh(x), keepdims=True)


@_add
def flipped_if_negative(x):
    return x if np.sum(x) > 0 else -2 * x


@_add
def running_mean(x):
    return np.cumsum(x) / (np.arange(len(x)) + 1)


@_add
def differences(x):
    return x[1:] - x[:-1]


@_add
def product_of_others(x):
    return np.prod(1 + x / 4) * x


@_add
def weighted(x, weights):
    return np.sum(x * weights) / np.sum(np.exp(weights))


@_add
def first_of_all(x):
    return x * x[0] + x[-1]


@_add
def median_of_row(x):
    return x - np.sort(x)[len(x) // 2]


@_add
def one_hot_of_largest(x):
    return np.where(np.arange(len(x)) == np.argmax(x), x * x, 0.1 * x)


@_add
def if_any(x):
    return np.where(np.any(x > 1.5), x, np.sin(x))


@_add
def dot_with_reversed(x):
    return x * (x @ x[::-1])


@_add
def python_builtins(x):
    return (x - min(x)) / (max(x) - min(x) + 0.1) * len(x) / (1 + abs(sum(x)))


@_add
def interleaved(x):
    return np.concatenate([x[1::2] ** 2, x[::2]])


@_add
def ranks(x):
    return x * np.argsort(np.argsort(x))


@_add
def entropy(x):
    p = np.exp(x - np.max(x))
    p = p / p.sum()
    return -np.sum(p * np.log(p))


@_add
def two_numbers(x):
    return np.stack([np.sum(x), np.max(x)])


SIZE = 6


def rows(name: str, *batch: int) -> list[Array]:
    """Rows for each input: irregular, so that no two numbers are equal."""
    inputs = FUNCTIONS[name].__code__.co_argcount - len(FUNCTIONS[name].__defaults__ or ())
    random = np.random.default_rng(7)
    return [random.normal(size=(*batch, SIZE)) for _ in range(inputs)]


def by_row(name: str, inputs: list[Array]) -> Array:
    """The function's own run on each row."""
    flat = [x.reshape(-1, SIZE) for x in inputs]
    results = [np.asarray(FUNCTIONS[name](*row)) for row in zip(*flat, strict=True)]
    return np.stack(results).reshape(*inputs[0].shape[:-1], *results[0].shape)


def gradients(name: str, inputs: list[Array], upstream: Array) -> list[Array]:
    """By each input: finite differences of the function's own run."""
    found = []
    for i, x in enumerate(inputs):
        gradient = np.zeros_like(x)
        for place in range(SIZE):
            step = np.zeros(SIZE)
            step[place] = 1e-6
            ends = [
                by_row(name, [*inputs[:i], x + sign * step, *inputs[i + 1 :]]) for sign in (1, -1)
            ]
            change = (ends[0] - ends[1]) / 2e-6 * upstream
            gradient[..., place] = change.reshape(*x.shape[:-1], -1).sum(-1)
        found.append(gradient)
    return found
