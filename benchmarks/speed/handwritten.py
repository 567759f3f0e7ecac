"""Spiky, as it is written by hand in each framework, and as the documents make it: by a callback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from actgrad.workbench.timing import STEPS, step, tensor
from speed.cells import Cell, compared, forget_compiled, size_column
from speed.functions import same_work, spiky

TITLE = "Beside a gradient written by hand, and a callback"
NOTE = (
    "Spiky: `tf.custom_gradient`, `torch.autograd.Function` and `jax.custom_vjp` of the "
    "framework's own operations; and the recipe of question-and-answer sites, `np.vectorize` in "
    "a callback."
)
HEADS = ("framework", "mode", "beside")
FRAMEWORKS = ("numpy", "tensorflow", "jax", "torch")
SIZES = (1, 1000, 131_072, 1_048_576, 16_777_216)
BARS = {1: None, 1000: 1.15}
"""1 for larger ones. Nothing is done for one number, which no network calls."""
A_CALLBACK_TAKES = 1_048_576
"""elements at most: more would take minutes"""


def one(x):
    r = x % 1
    return r if r <= 0.5 else 0.0


def one_slope(x):
    return 1.0 if x % 1 <= 0.5 else 0.0


one_by_one = np.vectorize(one, otypes=[np.float32])
slope_by_one = np.vectorize(one_slope, otypes=[np.float32])


def by_numpy() -> dict[str, Callable[[Any], Any]]:
    def where(x):
        r = np.mod(x, 1)
        return np.where(r <= 0.5, r, np.float32(0))

    return {"by hand": where, "callback": one_by_one}


def by_tensorflow() -> dict[str, Callable[[Any], Any]]:
    import tensorflow as tf

    @tf.custom_gradient
    def hand(x):
        r = tf.math.floormod(x, 1.0)
        return tf.where(r <= 0.5, r, 0.0), lambda upstream: tf.where(r <= 0.5, upstream, 0.0)

    @tf.custom_gradient
    def callback(x):
        y = tf.ensure_shape(tf.numpy_function(one_by_one, [x], tf.float32), x.shape)
        return y, lambda upstream: upstream * tf.numpy_function(slope_by_one, [x], tf.float32)

    return {"by hand": hand, "callback": callback}


def by_torch() -> dict[str, Callable[[Any], Any]]:
    import torch

    class Hand(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            r = torch.remainder(x, 1)
            return torch.where(r <= 0.5, r, 0.0)

        @staticmethod
        def backward(ctx, upstream):
            (x,) = ctx.saved_tensors
            return torch.where(torch.remainder(x, 1) <= 0.5, upstream, 0.0)

    class Callback(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.from_numpy(one_by_one(x.detach().numpy()))

        @staticmethod
        def backward(ctx, upstream):
            (x,) = ctx.saved_tensors
            return upstream * torch.from_numpy(slope_by_one(x.detach().numpy()))

    return {"by hand": lambda x: Hand.apply(x), "callback": lambda x: Callback.apply(x)}


def by_jax() -> dict[str, Callable[[Any], Any]]:
    import jax
    import jax.numpy as jnp

    @jax.custom_vjp
    def hand(x):
        r = jnp.mod(x, 1)
        return jnp.where(r <= 0.5, r, 0.0)

    hand.defvjp(lambda x: (hand(x), x), lambda x, up: (jnp.where(jnp.mod(x, 1) <= 0.5, up, 0.0),))

    def outside(function, x):
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return jax.pure_callback(lambda x: function(np.asarray(x)), shape, x)

    @jax.custom_vjp
    def callback(x):
        return outside(one_by_one, x)

    callback.defvjp(lambda x: (callback(x), x), lambda x, up: (up * outside(slope_by_one, x),))
    return {"by hand": hand, "callback": callback}


RIVALS = {"numpy": by_numpy, "tensorflow": by_tensorflow, "torch": by_torch, "jax": by_jax}


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    tensors = {size: tensor(framework, size) for size in (SIZES[1:2] if quick else SIZES)}
    for mode in STEPS[framework]:
        for name, rival in RIVALS[framework]().items():
            forget_compiled()
            # XLA refuses numpy_function; torch.compile only breaks its graph around it.
            if name == "callback" and mode in ("XLA", "compile"):
                continue
            for size, x in tensors.items():
                if name == "callback" and size > A_CALLBACK_TAKES:
                    continue
                a, b = (step(framework, mode, f, x) for f in (spiky, rival))
                same_work(a, b)
                yield compared(
                    (framework, mode, name), size_column(size), a, b, BARS.get(size, 1.0), quick
                )
