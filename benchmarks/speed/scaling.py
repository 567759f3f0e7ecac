from __future__ import annotations

from collections.abc import Iterator

from actgrad.workbench.timing import in_turns, step, tensor
from speed.cells import Cell, size_column
from speed.functions import builtin, spiky

TITLE = "Time per element"
NOTE = "Nanoseconds for one element of spiky, forward and backward, with ReLU's in parentheses."
HEADS = ("framework", "mode")
FRAMEWORKS = ("numpy", "tensorflow", "jax", "torch")
SIZES = (100_000, 1_000_000, 10_000_000, 100_000_000)
MODES = {"numpy": "forward", "tensorflow": "tf.function", "jax": "jit", "torch": "eager"}


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    mode = MODES[framework]
    for size in SIZES[:1] if quick else SIZES:
        x = tensor(framework, size)
        a, b = (step(framework, mode, f, x) for f in (spiky, builtin(framework, "relu")))
        found = in_turns(a, b, 3 if quick else 1000, seconds=1.5)
        ours, other = (1e6 * ms / size for ms in (found.ours, found.other))
        yield Cell((framework, mode), size_column(size), f"{ours:.2f} ({other:.2f})")
