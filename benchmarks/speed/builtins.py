from __future__ import annotations

from collections.abc import Iterator

from actgrad.workbench.timing import STEPS, step, tensor
from speed.cells import Cell, compared, forget_compiled, size_column
from speed.functions import PAIRS, builtin

TITLE = "Beside the built-in"
NOTE = (
    "Forward and backward (NumPy: forward), float32. Piecewise ones beside ReLU, the others "
    "beside mish and gelu; the sigmoid surrogate's forward is a step."
)
HEADS = ("framework", "mode", "activation", "built-in")
FRAMEWORKS = ("numpy", "tensorflow", "jax", "torch")

SIZES = (131_072, 1_048_576, 16_777_216)
BAR = {
    ("numpy", "forward"): (2.0, 1.25, 1.25),
    ("tensorflow", "eager"): (2.5, 2.0, 1.5),
    ("tensorflow", "tf.function"): (1.25, 1.25, 1.25),
    ("tensorflow", "XLA"): (1.1, 1.1, 1.1),
    ("jax", "jit"): (1.1, 1.1, 1.1),
    ("jax", "eager"): (2.5, 2.0, 1.5),
    ("torch", "eager"): (2.5, 1.4, 1.15),
    ("torch", "compile"): (1.1, 1.1, 1.1),
}


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    tensors = {size: tensor(framework, size) for size in (SIZES[:1] if quick else SIZES)}
    for mode in STEPS[framework]:
        for ours, name in PAIRS:
            forget_compiled()
            labels = (framework, mode, ours.name, name)
            for (size, x), bar in zip(tensors.items(), BAR[framework, mode], strict=False):
                a, b = (step(framework, mode, f, x) for f in (ours, builtin(framework, name)))
                yield compared(labels, size_column(size), a, b, bar, quick)
