from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from actgrad import activation
from actgrad.workbench.timing import step, tensor
from speed.cells import Cell, within
from speed.latency import caches

TITLE = "Compiling many branches"
NOTE = (
    "From the Python function to the first result of its value and gradient (NumPy: value), with "
    "empty caches: milliseconds for each branch, which may not grow. The last column is of so many "
    "different activations of 64 branches each."
)
HEADS = ("framework", "mode")
FRAMEWORKS = ("numpy", "tensorflow", "jax", "torch")
MODES = {"numpy": "forward", "tensorflow": "XLA", "jax": "jit", "torch": "eager"}
BRANCHES = (8, 16, 32, 64)
MANY = {"numpy": 16, "tensorflow": 64, "jax": 64, "torch": 4}
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
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= caches(folder)
        milliseconds(framework, 4, range(1))
        many = MANY[framework]
        plan = [(count, range(1, 2), f"{count} branches") for count in BRANCHES]
        plan.append((64, range(2, 2 + many), "64 branches, many"))
        least = float("inf")
        for count, seeds, column in plan[: 1 if quick else None]:
            found = milliseconds(framework, count, seeds)
            least = min(least, found)
            text = f"{found:.1f}" + (f" (of {many})" if "many" in column else "")
            verdict = within(found, LINEAR * least)
            yield Cell((framework, MODES[framework]), column, text, verdict)
