"""How fast it is beside the framework's own ReLU: a short measurement, in the frameworks that are here.

The ratio of two medians, taken in turns: what else the machine does hits both.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from actgrad.activation import Activation
from actgrad.workbench.quiet import quiet

SIZE = 131_072
Pair = tuple[str, Callable[[], Any], Callable[[], Any]]


@dataclass(frozen=True)
class Speed:
    framework: str
    mode: str
    ours: float
    """Milliseconds"""
    builtin: float
    ratio: float
    low: float
    """Quartiles of the single ratios"""
    high: float


@dataclass(frozen=True)
class Bench:
    rows: list[Speed]
    missing: dict[str, str]
    """Why a framework has no row"""
    cores: int = os.cpu_count() or 1
    size: int = SIZE


def bench(
    f: Activation, frameworks: Iterable[str] | None = None, size: int = SIZE, repeats: int = 21
) -> Bench:
    """Forward and backward (NumPy: forward) of `size` float32, compiled where the framework compiles."""
    rows, missing = [], {}
    for name in frameworks or CASES:
        if importlib.util.find_spec(name) is None:
            missing[name] = "not installed"
            continue
        try:
            with quiet():
                mode, ours, builtin = CASES[name](f, size)
                rows.append(_measured(name, mode, ours, builtin, repeats))
        except Exception as error:  # whatever a framework raises: the page has the other ones
            missing[name] = str(error).partition("\n")[0] or type(error).__name__
    return Bench(rows, missing, size=size)


def _measured(
    framework: str, mode: str, ours: Callable[[], Any], builtin: Callable[[], Any], repeats: int
) -> Speed:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(3):
        ours(), builtin()
    for _ in range(repeats):
        for run, found in zip((ours, builtin), times, strict=True):
            start = time.perf_counter()
            run()
            found.append(1e3 * (time.perf_counter() - start))
    a, b = (statistics.median(found) for found in times)
    low, _, high = statistics.quantiles([x / y for x, y in zip(*times, strict=True)], n=4)
    return Speed(framework, mode, a, b, a / b, low, high)


def _numpy(f: Activation, size: int) -> Pair:
    x = np.random.default_rng(0).normal(size=size).astype(np.float32)
    inputs = (x,) * len(f.inputs)
    return "forward", lambda: f(*inputs), lambda: np.maximum(x, 0)


def _tensorflow(f: Activation, size: int) -> Pair:
    import tensorflow as tf

    x = tf.random.stateless_normal([size], [0, 0])

    def step(function: Callable[..., Any], count: int) -> Callable[[], Any]:
        @tf.function
        def forward_backward(tensor: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(tensor)
                value = function(*(tensor,) * count)
            return tape.gradient(value, tensor)

        return lambda: forward_backward(x)

    return "tf.function", step(f, len(f.inputs)), step(tf.nn.relu, 1)


def _torch(f: Activation, size: int) -> Pair:
    import torch

    x = torch.randn(size, requires_grad=True)
    upstream = torch.ones(size)

    def step(function: Callable[..., Any], count: int) -> Callable[[], Any]:
        return lambda: torch.autograd.grad(function(*(x,) * count), x, upstream)[0]

    return "eager", step(f, len(f.inputs)), step(torch.relu, 1)


def _jax(f: Activation, size: int) -> Pair:
    import jax

    x = jax.random.normal(jax.random.key(0), (size,))

    def step(function: Callable[..., Any], count: int) -> Callable[[], Any]:
        run = jax.jit(lambda t: jax.vjp(lambda u: function(*(u,) * count), t)[1](t)[0])
        return lambda: run(x).block_until_ready()

    return "jit", step(f, len(f.inputs)), step(jax.nn.relu, 1)


CASES: dict[str, Callable[[Activation, int], Pair]] = {
    "numpy": _numpy,
    "tensorflow": _tensorflow,
    "torch": _torch,
    "jax": _jax,
}
