from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from speed.builtins import HEADS, TITLE  # noqa: F401  # one table
from speed.cells import Cell, compared
from speed.functions import heaviside, mish, spiky

NOTE = (
    "Last column: a step of Keras's `fit` on batches of 128, an MLP of three layers of 512 and "
    "a small CNN, beside the same network with the built-in, each backend in a process of its "
    "own."
)
FRAMEWORKS = ("keras on tensorflow", "keras on jax", "keras on torch")
BAR = 1.03
BATCH = 128
STEPS = {
    "tensorflow": {"MLP": 60, "CNN": 30},
    "jax": {"MLP": 20, "CNN": 3},
    "torch": {"MLP": 20, "CNN": 6},
}
"""In one `fit`, whose beginning and end, the same for both, are then a sixth of it or less"""


def mlp(activation: Any) -> Any:
    from keras import Sequential, layers

    hidden = [layers.Dense(512, activation=activation) for _ in range(3)]
    return Sequential([layers.Input((784,)), *hidden, layers.Dense(10)])


def cnn(activation: Any) -> Any:
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation=activation),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation=activation),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation=activation),
            layers.Dense(10),
        ]
    )


def fitting(network: str, activation: Any, quick: bool) -> Any:
    """Some steps of training."""
    import keras

    keras.utils.set_random_seed(0)
    model = {"MLP": mlp, "CNN": cnn}[network](activation)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    random = np.random.default_rng(0)
    count = BATCH * (1 if quick else STEPS[keras.backend.backend()][network])
    x = random.normal(size=(count, *model.input_shape[1:])).astype(np.float32)
    y = random.integers(0, 10, count)
    return lambda: model.fit(x, y, batch_size=BATCH, verbose=0)


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    for network in ("MLP",) if quick else ("MLP", "CNN"):
        for ours, name in ((spiky, "relu"), (heaviside, "relu"), (mish, "mish")):
            a, b = (fitting(network, f, quick) for f in (ours, name))
            labels = (framework, f"fit, {network}", ours.name, name)
            yield compared(labels, "a training step", a, b, BAR, quick, seconds=7.0)
