from __future__ import annotations

import time
from collections.abc import Iterator

from speed.cells import Cell, within
from speed.process import fresh

TITLE = "The start of a model with 100 activations"
NOTE = (
    "Keras, 100 dense layers with an activation each, all different, beside the same with ReLU, "
    "and with the same functions written by hand in `keras.ops`, without a derivative of their own: "
    "from the definitions to the end of the first training step, in a process that has trained "
    "another small model; the faster of two."
)
HEADS = ("framework", "beside")
FRAMEWORKS = ("keras on tensorflow", "keras on jax", "keras on torch")
BAR = 1.2


def seconds(kind: str, count: int) -> float:
    import keras
    import numpy as np
    from keras import ops

    from actgrad import activation

    x = np.ones((32, 8), np.float32)
    warm = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(8, "tanh")])
    warm.compile("sgd", "mse")
    warm.fit(x, x, verbose=0)
    start = time.perf_counter()

    def slanted(i):
        return activation(lambda x: x if x > 0 else x * (i / 1000), name=f"slanted_{i}")

    def by_hand(i):
        return lambda x: ops.where(x > 0, x, x * (i / 1000))

    make = {"ours": slanted, "by hand": by_hand, "ReLU": lambda i: "relu"}[kind]
    chosen = [make(i) for i in range(count)]
    model = keras.Sequential(
        [keras.layers.Input((8,)), *(keras.layers.Dense(8, activation=f) for f in chosen)]
    )
    model.compile("sgd", "mse")
    model.fit(x, x, verbose=0)
    return time.perf_counter() - start


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    found: dict[str, list[float]] = {"ours": [], "ReLU": [], "by hand": []}
    for _ in range(1 if quick else 2):
        for kind, times in found.items():
            times.append(fresh("speed.starting", "seconds", kind, 3 if quick else 100))
    ours, *others = (min(times) for times in found.values())
    for beside, other in zip(("ReLU", "by hand"), others, strict=True):
        yield Cell((framework, beside), "seconds, ours", f"{ours:.1f} s")
        yield Cell((framework, beside), "seconds, other", f"{other:.1f} s")
        ratio = ours / other
        yield Cell((framework, beside), "ratio", f"{ratio:.2f} / {BAR}", within(ratio, BAR))
