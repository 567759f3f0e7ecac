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
    "the second half of so many. Definitions differ by numbers; new texts by their operations too. JAX keeps "
    "something of each shape and of all that it compiles, TensorFlow of all code that calls an operation. "
    "There the bar is what the framework keeps of the same function by hand, the stand-alone file of "
    "`f.source(...)`, and a fifth more, where that is above 1 KB."
)
HEADS = ("framework", "what changes", "how many")
FRAMEWORKS = ("numpy", "tensorflow", "jax", "torch")
COUNTS = {
    "shapes": {"numpy": 10_000, "torch": 10_000, "tensorflow": 10_000, "jax": 200},
    "parameter values": {"numpy": 10_000, "torch": 10_000, "tensorflow": 10_000, "jax": 10_000},
    "definitions": {"numpy": 20_000, "torch": 5_000, "tensorflow": 4_000, "jax": 200},
    "new texts": {"numpy": 5_000, "torch": 4_000, "tensorflow": 3_000, "jax": 200},
}
"""In JAX what compiles takes a tenth of a second each."""
KEPT = {
    ("jax", "shapes"),
    ("jax", "definitions"),
    ("jax", "new texts"),
    ("tensorflow", "new texts"),
}
"""Where the framework keeps something itself."""
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


STEPS: list[Callable[[Any, float], Any]] = [
    lambda y, c: y * c,
    lambda y, c: y + c,
    lambda y, c: y / (1 + c),
    lambda y, c: abs(y) - c,
    lambda y, c: max(y, c),
    lambda y, c: min(y, c),
    lambda y, c: y % (1 + c),
    lambda y, c: y if y > c else y * y,
]


def one(framework: str, what: str, own: bool) -> Callable[[int], None]:
    """What is done for each number; without actgrad's own way to the framework, if not `own`."""
    from actgrad import activation

    def slope(x, b=0.25):
        return max(x, b * x)

    def made(i: int) -> Any:
        if what == "definitions":
            return activation(lambda x: x if x > i / 7 else x * i + x % (i + 1), name="defined")
        turns = i * 40_503  # whose last digits, in base 8, are those of no number near

        def defined(x):
            for k in range(6):
                x = STEPS[turns >> 3 * k & 7](x, i / 7 + k)
            return x

        return activation(defined)

    def by_hand(f: Any) -> Any:
        names: dict[str, Any] = {"__name__": "alone"}
        exec(f.source(framework), names)
        return names[f.name]

    sloped = activation(slope)
    if what == "parameter values":
        return lambda i: used(framework, sloped(b=0.25 + i / 1e6), USED)
    if what == "shapes":
        fixed = sloped if own else by_hand(sloped)
        return lambda i: used(framework, fixed, i + 1)
    return lambda i: used(framework, made(i) if own else by_hand(made(i)), USED)


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
    if (framework, what) in KEPT:
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
        if (framework, what) in KEPT:
            other = fresh("speed.lasting", "left", framework, what, count, False)
            bar = max(BAR, MORE * other)
            text = f"{kept:,.1f} KB / {bar:,.0f} KB"
            yield Cell(labels, "left for each", text, within(kept, bar))
        else:
            yield limit_cell(labels, "left for each", kept, "KB", BAR)
