from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from speed.builtins import HEADS, TITLE  # noqa: F401  # one table
from speed.cells import Cell, compared
from speed.functions import builtin, heaviside, mish, spiky
from speed.handwritten import RIVALS

NOTE = (
    "Last column: a step of training on batches of 128 beside the same network with the built-in, and with "
    "spiky as it is written by hand. Keras's `fit` of an MLP of three layers of 512 and of a small CNN, "
    "each backend in a process of its own; an epoch is timed, without the end of `fit`, where TensorFlow "
    "at times waits for 0.3 s. In PyTorch alone a ResNet-18 of images of 32 x 32, and a transformer block "
    "of width 256 and 32 places."
)
FRAMEWORKS = ("keras on tensorflow", "keras on jax", "keras on torch", "torch")
BAR, BAR_BY_HAND = 1.05, 1.0
BATCH = 128
STEPS = {
    "tensorflow": {"MLP": 60, "CNN": 30},
    "jax": {"MLP": 20, "CNN": 3},
    "torch": {"MLP": 20, "CNN": 6},
}
"""In one epoch, whose beginning, the same for both, is then a tenth of it or less"""


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


def fitting(network: str, activation: Any, quick: bool) -> Callable[[], float]:
    """Some steps of training, which answer how many milliseconds they took."""
    import keras

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.milliseconds = 1e3 * (time.perf_counter() - self.start)

    keras.utils.set_random_seed(0)
    model = {"MLP": mlp, "CNN": cnn}[network](activation)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    random = np.random.default_rng(0)
    count = BATCH * (1 if quick else STEPS[keras.backend.backend()][network])
    x = random.normal(size=(count, *model.input_shape[1:])).astype(np.float32)
    y = random.integers(0, 10, count)

    def fit() -> float:
        clock = Clock()
        model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[clock])
        return clock.milliseconds

    return fit


def stepping(network: str, activation: Any) -> Callable[[], float]:
    """A step of PyTorch alone, which answers how many milliseconds it took."""
    import torch

    from speed.networks import resnet18, transformer

    torch.manual_seed(0)
    model = {"ResNet-18": resnet18, "transformer": transformer}[network](activation)
    x = torch.randn((BATCH, 3, 32, 32) if network == "ResNet-18" else (BATCH, 32, 256))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step() -> float:
        start = time.perf_counter()
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        return 1e3 * (time.perf_counter() - start)

    return step


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    backend = framework.removeprefix("keras on ")
    networks, mode = ("MLP", "CNN"), "fit, {}"
    if framework == "torch":
        networks, mode = ("transformer", "ResNet-18"), "eager, {}"
    by_hand = RIVALS[backend]()["by hand"]
    for network in networks[:1] if quick else networks:
        for ours, name in (
            (spiky, "relu"),
            (heaviside, "relu"),
            (mish, "mish"),
            (spiky, "by hand"),
        ):
            other = by_hand if name == "by hand" else name
            bar = BAR_BY_HAND if name == "by hand" else BAR
            if framework == "torch":
                other = builtin("torch", name) if isinstance(other, str) else other
                a, b = (stepping(network, f) for f in (ours, other))
            else:
                a, b = (fitting(network, f, quick) for f in (ours, other))
            labels = (framework, mode.format(network), ours.name, name)
            yield compared(labels, "a training step", a, b, bar, quick, 10.0, lambda run: run())
