from __future__ import annotations

import time
from collections.abc import Iterator

from speed.cells import Cell, within
from speed.process import fresh

TITLE = "The start of a model with 100 activations"
NOTE = (
    "Keras, 100 dense layers with an activation each, all different, beside the same with ReLU: "
    "from the definitions to the end of the first training step, in a process that has trained "
    "another small model; the faster of two."
)
HEADS = ("framework", "beside")
FRAMEWORKS = ("keras on tensorflow", "keras on jax", "keras on torch")
BAR = 1.2


def seconds(different: bool, count: int) -> float:
    import keras
    import numpy as np

    from actgrad import activation

    x = np.ones((32, 8), np.float32)
    warm = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(8, "tanh")])
    warm.compile("sgd", "mse")
    warm.fit(x, x, verbose=0)
    start = time.perf_counter()

    def slanted(i):
        return activation(lambda x: x if x > 0 else x * (i / 1000), name=f"slanted_{i}")

    chosen = [slanted(i) if different else "relu" for i in range(count)]
    model = keras.Sequential(
        [keras.layers.Input((8,)), *(keras.layers.Dense(8, activation=f) for f in chosen)]
    )
    model.compile("sgd", "mse")
    model.fit(x, x, verbose=0)
    return time.perf_counter() - start


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    ours, other = [], []
    for _ in range(1 if quick else 2):
        for different, found in ((1, ours), (0, other)):
            found.append(fresh("speed.starting", "seconds", different, 3 if quick else 100))
    a, b = min(ours), min(other)
    yield Cell((framework, "ReLU"), "seconds, ours", f"{a:.1f} s")
    yield Cell((framework, "ReLU"), "seconds, ReLU", f"{b:.1f} s")
    yield Cell((framework, "ReLU"), "ratio", f"{a / b:.2f} / {BAR}", within(a / b, BAR))
