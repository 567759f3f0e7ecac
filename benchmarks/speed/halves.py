from __future__ import annotations

from collections.abc import Iterator

from actgrad.workbench.timing import STEPS, step, tensor
from speed.cells import Cell, compared, forget_compiled, size_column
from speed.functions import mish, spiky

TITLE = "Half types beside float32"
NOTE = (
    "Ours beside ours: the time in bfloat16 and float16, in units of float32's. The bar is where "
    "memory is the bound: spiky, of more than caches hold. Mish computes, in float32 inside."
)
HEADS = ("framework", "mode", "activation")
FRAMEWORKS = ("tensorflow", "jax", "torch")
SIZES = (1_048_576, 16_777_216)
BAR = 1.0
IN_CACHE = 4_000_000
"""elements, more or less"""


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    for size in (4096,) if quick else SIZES:
        whole = tensor(framework, size)
        halves = {dtype: tensor(framework, size, dtype) for dtype in ("bfloat16", "float16")}
        for mode in STEPS[framework]:
            for f in (spiky, mish):
                for dtype, half in halves.items():
                    forget_compiled()
                    a, b = (step(framework, mode, f, x) for x in (half, whole))
                    labels = (framework, mode, f.name)
                    bar = BAR if f is spiky and size > IN_CACHE else None
                    yield compared(labels, f"{dtype}, {size_column(size)}", a, b, bar, quick)
