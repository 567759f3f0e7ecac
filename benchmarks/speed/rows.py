from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

from actgrad import rows
from actgrad.workbench.timing import STEPS, step, tensor
from speed.cells import Cell, compared, forget_compiled

TITLE = "Functions of a row"
NOTE = (
    "Forward and backward, float32, beside the framework's own softmax, its own gate of two halves, and "
    "sparsemax of the entmax library (left out where it is not installed)."
)
HEADS = ("framework", "mode", "activation", "beside")
FRAMEWORKS = ("tensorflow", "jax", "torch")
SHAPES = ((4096, 1024), (128, 32768))
EAGER, COMPILED, ENTMAX = 2.0, 1.2, 0.8


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    import numpy as np

    for shape in ((64, 32),) if quick else SHAPES:
        flat = tensor(framework, int(np.prod(shape)))
        x = (
            flat.detach().reshape(shape).requires_grad_()
            if framework == "torch"
            else _as(flat, shape)
        )
        for mode in STEPS[framework]:
            for ours, name, other in _pairs(framework):
                forget_compiled()
                labels = (framework, mode, ours.name, name)
                bar = ENTMAX if name == "entmax" else EAGER if mode == "eager" else COMPILED
                a, b = (step(framework, mode, f, x) for f in (ours, other))
                yield compared(labels, f"{shape[0]:,} rows of {shape[1]:,}", a, b, bar, quick)


def _as(flat: Any, shape: tuple[int, int]) -> Any:
    if hasattr(flat, "reshape"):
        return flat.reshape(shape)
    import tensorflow as tf

    return tf.reshape(flat, shape)


def _pairs(framework: str) -> list[tuple[Any, str, Callable[[Any], Any]]]:
    """An activation, what it is compared with, and that."""
    if framework == "tensorflow":
        import tensorflow as tf

        def gate(x: Any) -> Any:
            a, b = tf.split(x, 2, -1)
            return a * tf.nn.silu(b)

        return [
            (rows.softmax, "tf.nn.softmax", tf.nn.softmax),
            (rows.swiglu, "a * tf.nn.silu(b)", gate),
        ]
    if framework == "jax":
        import jax
        import jax.numpy as jnp

        def gate(x: Any) -> Any:
            a, b = jnp.split(x, 2, -1)
            return a * jax.nn.silu(b)

        return [
            (rows.softmax, "jax.nn.softmax", jax.nn.softmax),
            (rows.swiglu, "a * jax.nn.silu(b)", gate),
        ]
    import torch

    def gate(x: Any) -> Any:
        a, b = x.chunk(2, -1)
        return a * torch.nn.functional.silu(b)

    pairs = [
        (rows.softmax, "torch.softmax", lambda x: torch.softmax(x, -1)),
        (rows.swiglu, "a * F.silu(b)", gate),
    ]
    if importlib.util.find_spec("entmax"):
        import entmax

        pairs.append((rows.sparsemax, "entmax", lambda x: entmax.sparsemax(x, -1)))
    return pairs
