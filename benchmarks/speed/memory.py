from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from actgrad.workbench.timing import STEPS, step, tensor
from speed.cells import Cell, within
from speed.functions import builtin, heaviside, mish, spiky
from speed.process import fresh

TITLE = "Memory"
NOTE = (
    "In units of the input, of 16 million elements: what is kept between forward and backward "
    "beside the output, which the next layer keeps, at most 1; and how far a step's peak is "
    "above what was there before. The built-in's in parentheses."
)
HEADS = ("framework", "mode", "activation", "built-in")
FRAMEWORKS = ("numpy", "tensorflow", "jax", "torch")
SIZE = 1 << 24
COMPILED = 40_000
FUNCTIONS = {"spiky": (spiky, "relu"), "heaviside": (heaviside, "relu"), "mish": (mish, "mish")}
PEAKS = ("spiky", "mish")
LEAST = 0.25
"""of an input above the built-in: less is the allocator's"""


def peak(framework: str, mode: str, name: str, own: bool, size: int) -> float:
    """How many inputs' worth of memory a step takes at most."""
    ours, other = FUNCTIONS[name]
    function = ours if own else builtin(framework, other)
    x = tensor(framework, size)
    # What TensorFlow has had once it keeps, so its first large step is the one that shows.
    compiling = tensor(framework, COMPILED) if framework == "tensorflow" else x
    step(framework, mode, function, compiling)()
    run = step(framework, mode, function, x)
    if compiling is x:
        run()
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = _status("VmRSS")
    run()
    return (_status("VmHWM") - before) / (4 * size)


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise OSError(f"no {field}")


def kept(framework: str, function, size: int) -> float | None:
    """Inputs' worth of what the forward pass keeps; None where the framework does not say."""
    x = tensor(framework, size)
    if framework == "torch":
        import torch

        found = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: found.setdefault(t.data_ptr(), t), lambda t: t
        ):
            y = function(x)
        found.pop(y.data_ptr(), None)  # what the next layer keeps anyway
        return sum(t.numel() * t.element_size() for t in found.values()) / (4 * x.numel())
    if framework == "jax":
        import jax

        leaves = jax.tree.leaves(jax.vjp(function, x)[1])
        return sum(leaf.nbytes for leaf in leaves) / (4 * x.size)
    return None


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    size = 1 << 20 if quick else SIZE
    for name, (ours, other) in FUNCTIONS.items():
        own, theirs = (kept(framework, f, size) for f in (ours, builtin(framework, other)))
        if own is not None:
            labels = (framework, "eager", name, other)
            yield Cell(labels, "kept", f"{own:.2f} ({theirs:.2f}) / 1", within(own, 1.001))
    if not os.access("/proc/self/clear_refs", os.W_OK):
        return
    for mode in list(STEPS[framework])[: 1 if quick else None]:
        for name in PEAKS[: 1 if quick else None]:
            measure = partial(fresh, "speed.memory", "peak") if framework == "tensorflow" else peak
            own, theirs = (measure(framework, mode, name, k, size) for k in (True, False))
            labels = (framework, mode, name, FUNCTIONS[name][1])
            verdict = within(own, theirs + LEAST)
            yield Cell(labels, "peak of a step", f"{own:.2f} ({theirs:.2f})", verdict)
