from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

from speed.cells import Cell, limit_cell, within
from speed.process import fresh

TITLE = "A long run"
NOTE = (
    "The memory that is left, in KB, for each shape, each value of a bound parameter and each definition "
    "that a process has used with its gradient and dropped, at most 1 KB: by how much the process grows in "
    "the second half of so many. JAX compiles each shape and each definition and keeps something of both, "
    "so there the bar is what it keeps of the same function written by hand under `jax.jit`, and a fifth "
    "more, where that is above 1 KB."
)
HEADS = ("framework", "what changes", "how many")
FRAMEWORKS = ("numpy", "tensorflow", "jax", "torch")
COUNTS = {
    "shapes": {"numpy": 10_000, "torch": 10_000, "tensorflow": 10_000, "jax": 200},
    "parameter values": {"numpy": 10_000, "torch": 10_000, "tensorflow": 10_000, "jax": 10_000},
    "definitions": {"numpy": 20_000, "torch": 5_000, "tensorflow": 4_000, "jax": 200},
}
"""In JAX what compiles takes a tenth of a second each."""
COMPILED = {("jax", "shapes"), ("jax", "definitions")}
BAR, MORE = 1.0, 1.2
TEXTS = 1100
"""Definitions whose code fills the cache of compiled code, which a few hundred would not."""
USED = 5
"""Numbers in the tensor that an activation is called with"""


def used(framework: str, function: Any, size: int) -> None:
    """Its value and its gradient, as this framework computes them."""
    import numpy as np

    x: Any = np.ones(size, np.float32)
    if framework == "numpy":
        function(x)
        function.derivative(x)
    elif framework == "torch":
        import torch

        function(torch.from_numpy(x).requires_grad_()).sum().backward()
    elif framework == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        tape.gradient(y, x)
    else:
        import jax

        y, pull = jax.vjp(function, x)
        pull(y)


def one(framework: str, what: str, own: bool) -> Callable[[int], None]:
    """What is done for each number; by hand, without actgrad, if not `own`."""
    from actgrad import activation

    def slope(x, b=0.25):
        return max(x, b * x)

    def by_hand(i: int) -> Any:
        import jax
        import jax.numpy as jnp

        return jax.jit(lambda x: jnp.where(x > i / 7, x, x * i + x % (i + 1)))

    def defined(i: int) -> Any:
        return activation(lambda x: x if x > i / 7 else x * i + x % (i + 1), name="defined")

    sloped = activation(slope)
    if what == "definitions":
        return lambda i: used(framework, (defined if own else by_hand)(i), USED)
    if what == "shapes":
        fixed = sloped if own else by_hand(1)
        return lambda i: used(framework, fixed, i + 1)
    return lambda i: used(framework, sloped(b=0.25 + i / 1e6), USED)


def resident() -> int:
    """Bytes of this process in memory, after what is free has been given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def left(framework: str, what: str, count: int, own: bool) -> float:
    """KB left for each, without the first half, which fills what is bounded."""
    do = one(framework, what, own)
    first = count // 2
    if (framework, what) in COMPILED:
        fill = one("numpy", "definitions", True)
        for i in range(TEXTS):
            fill(i)
    for i in range(first):
        do(i)
    before = resident()
    for i in range(first, count):
        do(i)
    return (resident() - before) / (count - first) / 1024


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    if not os.access("/proc/self/statm", os.R_OK) or not hasattr(ctypes.CDLL(None), "malloc_trim"):
        return
    for what, counts in COUNTS.items():
        count = counts[framework] // (100 if quick and counts[framework] > 1000 else 1)
        labels = (framework, what, f"{count:,}")
        kept = fresh("speed.lasting", "left", framework, what, count, True)
        if (framework, what) in COMPILED:
            other = fresh("speed.lasting", "left", framework, what, count, False)
            bar = max(BAR, MORE * other)
            text = f"{kept:,.1f} KB / {bar:,.0f} KB"
            yield Cell(labels, "left for each", text, within(kept, bar))
        else:
            yield limit_cell(labels, "left for each", kept, "KB", BAR)
