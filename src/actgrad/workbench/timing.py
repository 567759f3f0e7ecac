"""Two things timed in turns, and one step of an activation in each framework, ready to be timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Run = Callable[[], object]
Function = Callable[[object], object]


@dataclass(frozen=True)
class Ratio:
    """What else the machine does hits both, so a ratio needs no quiet machine; but it likes one."""

    ours: float
    """Milliseconds, the median"""
    other: float
    ratio: float
    """of the medians"""
    low: float
    """Quartiles of the single ratios"""
    high: float
    runs: int


def wall(run: Run) -> float:
    """The milliseconds of one run."""
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def in_turns(
    ours: Run,
    other: Run,
    runs: int = 21,
    seconds: float = 60.0,
    milliseconds: Callable[[Run], float] = wall,
) -> Ratio:
    """So many runs of each; fewer, but five, when they have taken so many seconds.

    `milliseconds` times a run; a run that knows its own time may be asked for it.
    Each is the first of its pair in every other turn: the first of two equal ones takes up to 2 % longer.
    """
    times: tuple[list[float], list[float]] = ([], [])
    pair = [(ours, times[0]), (other, times[1])]
    for _ in range(3):
        ours(), other()
    end = time.perf_counter() + seconds
    while len(times[0]) < runs and (len(times[0]) < 5 or time.perf_counter() < end):
        for run, found in pair:
            found.append(milliseconds(run))
        pair.reverse()
    a, b = (statistics.median(found) for found in times)
    low, _, high = statistics.quantiles([x / y for x, y in zip(*times, strict=True)], n=4)
    return Ratio(a, b, a / b, low, high, len(times[0]))


def tensor(framework: str, size: int | tuple[int, ...], dtype: str = "float32") -> object:
    """Numbers from a normal distribution."""
    x = np.random.default_rng(0).standard_normal(size, np.float32)
    if framework == "tensorflow":
        import tensorflow as tf

        return tf.cast(tf.constant(x), dtype)
    if framework == "torch":
        import torch

        return torch.tensor(x).to(getattr(torch, dtype)).requires_grad_()
    if framework == "jax":
        import jax.numpy as jnp

        return jnp.asarray(x, dtype)
    return x.astype(dtype)


def step(framework: str, mode: str, function: Function, x: object) -> Run:
    """Forward and backward (NumPy: forward) of a function, in one of the framework's modes."""
    return STEPS[framework][mode](function, x)


def _numpy(function: Function, x: object) -> Run:
    return lambda: function(x)


def _tensorflow(graph: bool, **options: object) -> Callable[[Function, object], Run]:
    def prepared(function: Function, x: object) -> Run:
        import tensorflow as tf

        def gradient(x: object) -> object:
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = function(x)
            return tape.gradient(value, x)

        run = tf.function(gradient, **options) if graph else gradient
        return lambda: run(x)

    return prepared


def _torch(compiled: bool) -> Callable[[Function, object], Run]:
    def prepared(function: Function, x: object) -> Run:
        import torch

        with torch.no_grad():
            upstream = torch.ones_like(function(x))
        forward = torch.compile(function) if compiled else function
        return lambda: torch.autograd.grad(forward(x), x, upstream)[0]

    return prepared


def _jax(compiled: bool) -> Callable[[Function, object], Run]:
    def prepared(function: Function, x: object) -> Run:
        import jax

        def gradient(x: object) -> object:
            value, pull = jax.vjp(function, x)
            return pull(value)[0]

        run = jax.jit(gradient) if compiled else gradient
        return lambda: jax.block_until_ready(run(x))

    return prepared


STEPS: dict[str, dict[str, Callable[[Function, object], Run]]] = {
    "numpy": {"forward": _numpy},
    "tensorflow": {
        "eager": _tensorflow(False),
        "tf.function": _tensorflow(True),
        "XLA": _tensorflow(True, jit_compile=True),
    },
    "jax": {"jit": _jax(True), "eager": _jax(False)},
    "torch": {"eager": _torch(False), "compile": _torch(True)},
}
