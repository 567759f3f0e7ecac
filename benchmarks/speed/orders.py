from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from actgrad.workbench.timing import tensor
from speed.cells import Cell, compared, forget_compiled, size_column
from speed.functions import builtin, mish, spiky

TITLE = "Forward mode and second order"
NOTE = "Beside the same of the built-in: spiky beside ReLU, mish beside mish."
HEADS = ("framework", "mode", "activation", "what")
FRAMEWORKS = ("tensorflow", "jax", "torch")
SIZES = (131_072, 1_048_576)
Function = Callable[[Any], Any]


def in_tensorflow() -> dict[tuple[str, str], Function]:
    import tensorflow as tf

    def forward(f):
        def slope(x):
            with tf.autodiff.ForwardAccumulator(x, x) as found:
                y = f(x)
            return found.jvp(y)

        return slope

    def second(f):
        def bend(x):
            with tf.GradientTape() as outer:
                outer.watch(x)
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    y = f(x)
                slope = tape.gradient(y, x)
            return outer.gradient(slope, x, unconnected_gradients="zero")

        return bend

    return {
        ("eager", "forward mode"): forward,
        ("tf.function", "forward mode"): lambda f: tf.function(forward(f)),
        ("eager", "second order"): second,
        ("tf.function", "second order"): lambda f: tf.function(second(f)),
        ("XLA", "second order"): lambda f: tf.function(second(f), jit_compile=True),
    }


def in_jax() -> dict[tuple[str, str], Function]:
    import jax

    def forward(f):
        return lambda x: jax.jvp(f, (x,), (x,))[1]

    def second(f):
        slope = jax.grad(lambda x: f(x).sum())
        return jax.grad(lambda x: slope(x).sum())

    return {
        ("jit", "forward mode"): lambda f: jax.jit(forward(f)),
        ("eager", "forward mode"): forward,
        ("jit", "second order"): lambda f: jax.jit(second(f)),
        ("eager", "second order"): second,
    }


def in_torch() -> dict[tuple[str, str], Function]:
    import torch

    def forward(f):
        return lambda x: torch.func.jvp(f, (x.detach(),), (x.detach(),))[1]

    def second(f):
        def bend(x):
            y = f(x)
            (slope,) = torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)
            return torch.autograd.grad(slope, x, torch.ones_like(y))[0]

        return bend

    return {
        ("eager", "forward mode"): forward,
        ("compile", "forward mode"): lambda f: torch.compile(forward(f)),
        ("eager", "second order"): second,
    }


MODES = {"tensorflow": in_tensorflow, "jax": in_jax, "torch": in_torch}


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    for size in (4096,) if quick else SIZES:
        x = tensor(framework, size)
        for (mode, what), of in MODES[framework]().items():
            forget_compiled()
            ours, name = (spiky, "relu") if what == "forward mode" else (mish, "mish")
            a, b = (_finished(of(f), x) for f in (ours, builtin(framework, name)))
            labels = (framework, mode, ours.name, what)
            yield compared(labels, size_column(size), a, b, None, quick)


def _finished(function: Function, x: Any) -> Callable[[], Any]:
    if hasattr(x, "block_until_ready"):
        return lambda: function(x).block_until_ready()
    return lambda: function(x)
