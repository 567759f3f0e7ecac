"""The networks that `actgrad train` offers. Small, and without dropout or normalisation, so that what is
seen is the activation."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from actgrad.errors import InputError


def mlp(keras: ModuleType, activation: object, shape: tuple[int, ...], classes: int) -> Any:
    """One wide hidden layer."""
    dense = keras.layers.Dense
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(),
            dense(512, activation=activation),
            dense(classes),
        ]
    )


def deep(keras: ModuleType, activation: object, shape: tuple[int, ...], classes: int) -> Any:
    """Four hidden layers."""
    dense = keras.layers.Dense
    hidden = [dense(128, activation=activation) for _ in range(4)]
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), *hidden, dense(classes)])


def cnn(keras: ModuleType, activation: object, shape: tuple[int, ...], classes: int) -> Any:
    """Two convolutions, each followed by pooling, and a hidden layer."""
    layers = keras.layers
    convolution, pooling, dense = layers.Conv2D, layers.MaxPooling2D, layers.Dense
    height, width, *channels = shape
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Reshape((height, width, *(channels or [1]))),
            convolution(32, 3, padding="same", activation=activation),
            pooling(),
            convolution(64, 3, padding="same", activation=activation),
            pooling(),
            keras.layers.Flatten(),
            dense(128, activation=activation),
            dense(classes),
        ]
    )


NETWORKS: dict[str, Callable[[ModuleType, object, tuple[int, ...], int], Any]] = {
    "mlp": mlp,
    "deep": deep,
    "cnn": cnn,
}


def check_shape(network: str, shape: tuple[int, ...]) -> None:
    """Raises `InputError` if the network cannot take samples of this shape."""
    if network == "cnn" and (len(shape) not in (2, 3) or min(shape[:2]) < 4):
        raise InputError(
            f"--network cnn needs images, (height, width) or (height, width, channels) of at least "
            f"4 x 4, and a sample here has the shape {shape}\n  --network mlp takes any shape."
        )
