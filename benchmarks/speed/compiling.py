from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from actgrad import activation
from actgrad.workbench.timing import step, tensor
from speed.cells import HOLDS, OVER, Cell

TITLE = "Compiling many branches"
NOTE = (
    "From the Python function to the first result of its value and gradient, milliseconds for "
    "each branch. The last column is 64 different activations of 64 branches each."
)
HEADS = ("framework", "mode")
FRAMEWORKS = ("numpy", "tensorflow", "jax")
MODES = {"numpy": "forward", "tensorflow": "XLA", "jax": "jit"}
BRANCHES = (8, 16, 32, 64)
MANY = 64
LINEAR = 1.5
"""times the least: more is not linear"""
SIZE = 40_000


def branched(count: int, seed: int) -> Any:
    def f(x):
        for i in range(count):
            if x < i - count / 2:
                return x * (i + seed)
        return -x

    return activation(f, name=f"branched_{count}_{seed}")


def milliseconds(framework: str, count: int, seeds: range) -> float:
    """For each branch of each activation."""
    x = tensor(framework, SIZE)
    start = time.perf_counter()
    for seed in seeds:
        f = branched(count, seed)
        step(framework, MODES[framework], f, x)()
    return 1e3 * (time.perf_counter() - start) / len(seeds) / count


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    milliseconds(framework, 4, range(1))
    labels = (framework, MODES[framework])
    least = float("inf")
    plan = [(count, range(1, 4), f"{count} branches") for count in BRANCHES]
    plan.append((64, range(4, 4 + MANY), f"{MANY} × 64"))
    if quick:
        plan = [(8, range(1, 2), "8 branches")]
    for count, seeds, column in plan:
        found = milliseconds(framework, count, seeds)
        least = min(least, found)
        yield Cell(labels, column, f"{found:.1f}", HOLDS if found <= LINEAR * least else OVER)
