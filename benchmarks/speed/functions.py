"""The activations that are measured, and the frameworks' own functions beside them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from actgrad import activation
from actgrad.workbench.report.bench import relu


@activation(derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0)
def spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


@activation(surrogate=lambda x: max(0, 1 - abs(x)))
def heaviside(x):
    return 1.0 if x >= 0 else 0.0


@activation
def mish(x):
    return x * math.tanh(math.log(1 + math.exp(x)))


def _step(x):
    return 1.0 if x >= 0 else 0.0


def _logistic_slope(x):
    s = 1 / (1 + math.exp(-x))
    return s * (1 - s)


sigmoid_step = activation(_step, surrogate=_logistic_slope, name="sigmoid_step")

PAIRS = ((spiky, "relu"), (heaviside, "relu"), (mish, "mish"), (sigmoid_step, "gelu"))


def builtin(framework: str, name: str) -> Callable[[Any], Any]:
    """The framework's own function; for NumPy, which has none, what one writes."""
    if name == "relu":
        return relu(framework)
    if framework == "tensorflow":
        import keras
        import tensorflow as tf

        return {"mish": keras.activations.mish, "gelu": tf.nn.gelu}[name]
    if framework == "torch":
        import torch

        return getattr(torch.nn.functional, name)
    if framework == "jax":
        import jax

        return {"mish": jax.nn.mish, "gelu": lambda x: jax.nn.gelu(x, approximate=False)}[name]
    import numpy as np

    return {
        "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
        "gelu": lambda x: 0.5 * x * (1 + np.tanh(0.7978846 * (x + 0.044715 * x * x * x))),
    }[name]


def same_work(ours: Callable[[], Any], other: Callable[[], Any]) -> None:
    """Two steps may be compared only where both have the same result."""
    import numpy as np

    a, b = (
        np.asarray(found.detach() if hasattr(found, "detach") else found)
        for found in (ours(), other())
    )
    if not np.allclose(a, b, rtol=1e-4, atol=1e-6):
        raise AssertionError("not the same work: the results differ")
