from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, repeat
from typing import Any

from actgrad.catalogue import surrogates
from actgrad.workbench.timing import STEPS, Run, step, tensor
from speed.cells import Cell, compared, size_column

TITLE = "A new number in each call"
NOTE = (
    "An annealed surrogate: forward and backward (NumPy: forward) of `surrogates.atan(alpha=v)`, made anew "
    "in each call with another `v`, beside the same with one `v`. In TensorFlow's and JAX's compiled modes "
    "`v` is an argument of the compiled function, `surrogates.atan(x, alpha=v)`; in PyTorch's the "
    "activation is."
)
HEADS = ("framework", "mode")
FRAMEWORKS = ("numpy", "tensorflow", "jax", "torch")
SIZE = 65_536
BAR = 1.2
VALUES = 100


def annealed(framework: str, mode: str, x: Any, values: Iterator[float]) -> Run:
    """A run that takes the next number each time."""
    if mode in ("forward", "eager"):
        return lambda: step(framework, mode, surrogates.atan(alpha=next(values)), x)()
    if framework == "torch":
        import torch

        forward = torch.compile(lambda f, x: f(x))
        upstream = torch.ones_like(x)
        return lambda: torch.autograd.grad(
            forward(surrogates.atan(alpha=next(values)), x), x, upstream
        )[0]
    gradient = _compiled[framework, mode]()
    return lambda: gradient(x, next(values))


def _tensorflow(**options: object) -> Callable[[Any, float], Any]:
    import tensorflow as tf

    @tf.function(**options)
    def gradient(x: Any, v: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = surrogates.atan(x, alpha=v)
        return tape.gradient(y, x)

    return lambda x, v: gradient(x, tf.constant(v))


def _jax() -> Callable[[Any, float], Any]:
    import jax

    @jax.jit
    def gradient(x: Any, v: Any) -> Any:
        y, pull = jax.vjp(lambda x: surrogates.atan(x, alpha=v), x)
        return pull(y)[0]

    return lambda x, v: jax.block_until_ready(gradient(x, v))


_compiled: dict[tuple[str, str], Callable[[], Callable[[Any, float], Any]]] = {
    ("tensorflow", "tf.function"): _tensorflow,
    ("tensorflow", "XLA"): lambda: _tensorflow(jit_compile=True),
    ("jax", "jit"): _jax,
}


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    x = tensor(framework, SIZE)
    for mode in STEPS[framework]:
        new = (1 + i / VALUES for i in count())
        ours, same = (annealed(framework, mode, x, values) for values in (new, repeat(2.0)))
        yield compared((framework, mode), size_column(SIZE), ours, same, BAR, quick)
