"""How fast it is beside the framework's own ReLU: a short measurement, in the frameworks that are here."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass

from actgrad.activation import Activation
from actgrad.common.text import first_line
from actgrad.common.types import Function
from actgrad.workbench.quiet import quiet
from actgrad.workbench.timing import in_turns, step, tensor

SIZE = 131_072
ROW = 1024
"""So long are the rows of a function of one."""
MODES = {"numpy": "forward", "tensorflow": "tf.function", "torch": "eager", "jax": "jit"}


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
    for name in frameworks or MODES:
        if importlib.util.find_spec(name) is None:
            missing[name] = "not installed"
            continue
        try:
            with quiet():
                rows.append(_measured(f, name, size, repeats))
        except Exception as error:  # whatever a framework raises: the page has the other ones
            missing[name] = first_line(error)
    return Bench(rows, missing, size=size)


def _measured(f: Activation, framework: str, size: int, repeats: int) -> Speed:
    shape = size if f.program.axis is None else (size // ROW, ROW)
    x, mode = tensor(framework, shape), MODES[framework]
    ours = step(framework, mode, lambda x: f(*(x,) * len(f.inputs)), x)
    found = in_turns(ours, step(framework, mode, relu(framework), x), repeats)
    return Speed(framework, mode, found.ours, found.other, found.ratio, found.low, found.high)


def relu(framework: str) -> Function:
    """The framework's own."""
    if framework == "tensorflow":
        import tensorflow as tf

        return tf.nn.relu
    if framework == "torch":
        import torch

        return torch.relu
    if framework == "jax":
        import jax

        return jax.nn.relu
    import numpy as np

    return lambda x: np.maximum(x, 0)
