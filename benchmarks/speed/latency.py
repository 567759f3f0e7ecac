from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from actgrad import activation
from actgrad.workbench.timing import Run, in_turns, tensor, wall
from speed.cells import Cell, limit_cell, size_column
from speed.functions import builtin, heaviside, spiky
from speed.process import environment, fresh

TITLE = "Latency"
NOTE = (
    "`import actgrad` and a definition; what a call of `abs` of one element, as an activation, "
    "takes above the framework's own; medians. Then the first call, forward only, of 100 "
    "elements, which waits for no compiler, and of 1,048,576, which does, in a process in which "
    "ReLU has run: with empty caches, and in the next process."
)
HEADS = ("framework", "what")
FRAMEWORKS = ("python", "numpy", "tensorflow", "jax", "torch")
MODES = {
    "numpy": ("eager",),
    "tensorflow": ("eager", "XLA"),
    "jax": ("eager", "jit"),
    "torch": ("eager", "compile"),
}


def compiled(framework: str, mode: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if mode == "XLA":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    if mode == "jit":
        import jax

        return jax.jit(function)
    if mode == "compile":
        import torch

        return torch.compile(function)
    return function


def first_calls(framework: str, mode: str) -> tuple[float, float]:
    """Milliseconds of the first small and the first large call."""
    small, large = tensor(framework, 100), tensor(framework, 1_048_576)
    relu = compiled(framework, mode, builtin(framework, "relu"))
    a, b = (compiled(framework, mode, f) for f in (spiky, heaviside))
    relu(small), relu(large)
    return wall(lambda: a(small)), wall(lambda: b(large))


def caches(folder: str) -> dict[str, str]:
    """Where the frameworks' compilers keep what they made."""
    return {
        "ACTGRAD_CACHE": folder,
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
        "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


IMPORT = (
    "import time; start = time.perf_counter(); import actgrad; print(time.perf_counter() - start)"
)


def importing() -> float:
    """Seconds, in a process that has imported nothing, with the bytecode that an installation has."""
    command = [sys.executable, "-c", IMPORT]
    own = environment(PYTHONDONTWRITEBYTECODE="")
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=True)
    return float(done.stdout)


def definition() -> float:
    """Milliseconds, the median of definitions that are all new."""
    found = []
    for i in range(50):

        def sawtooth(x, width=0.5 + i / 1000):
            r = x % 1
            return r if r <= width else 0

        def slope(x, width):
            return 1.0 if x % 1 <= width else 0.0

        found.append(wall(lambda: activation(sawtooth, derivative=slope)))
    return statistics.median(found)


def own_abs(framework: str) -> Callable[[Any], Any]:
    if framework == "tensorflow":
        import tensorflow as tf

        return tf.abs
    if framework == "torch":
        import torch

        return torch.abs
    if framework == "jax":
        import jax.numpy as jnp

        return jnp.abs
    return np.abs


magnitude = activation(lambda x: abs(x), name="magnitude")


def dispatch(framework: str, mode: str, runs: int) -> float:
    """Microseconds of `abs` of one element, as an activation, above the framework's own."""
    x = tensor(framework, 1)
    if framework == "torch":
        x = x.detach()

    def a_hundred(function: Callable[[Any], Any]) -> Run:
        run = compiled(framework, mode, function)
        return lambda: [run(x) for _ in range(100)]

    found = in_turns(a_hundred(magnitude), a_hundred(own_abs(framework)), runs)
    return 10 * (found.ours - found.other)


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    if framework == "python":
        median = statistics.median(importing() for _ in range(2 if quick else 9))
        yield limit_cell((framework, "import actgrad"), "found", median, "s", 0.15)
        yield limit_cell((framework, "a definition"), "found", definition(), "ms", 2)
        return
    for mode in MODES[framework]:
        found = dispatch(framework, mode, 5 if quick else 50)
        labels = (framework, f"a call, {mode}")
        if mode == "eager":  # no network calls one number, so nothing is done for it
            yield Cell(labels, "found", f"{found:.3g} µs")
        else:
            yield limit_cell(labels, "found", found, "µs", 2)
    for mode in MODES[framework][: 1 if quick else None]:
        with tempfile.TemporaryDirectory() as folder:
            for column in ("found",) if quick else ("found", "next process"):
                found = fresh("speed.latency", "first_calls", framework, mode, **caches(folder))
                for size, milliseconds in zip((100, 1_048_576), found, strict=True):
                    labels = (framework, f"first call, {mode}, {size_column(size)}")
                    yield Cell(labels, column, f"{milliseconds:,.1f} ms")
