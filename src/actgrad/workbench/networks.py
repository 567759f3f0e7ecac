"""The networks that `actgrad train` offers. Small, and without dropout or normalisation, so that what is
seen is the activation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

from actgrad.activation import Activation
from actgrad.errors import InputError

if TYPE_CHECKING:
    import keras


def dense(
    widths: Sequence[int],
    keras: ModuleType,
    activation: object,
    shape: tuple[int, ...],
    classes: int,
) -> keras.Model:
    """Hidden layers of these widths."""
    layers = keras.layers
    hidden = [layers.Dense(width, activation=activation) for width in widths]
    return keras.Sequential([keras.Input(shape), layers.Flatten(), *hidden, layers.Dense(classes)])


def cnn(keras: ModuleType, activation: object, shape: tuple[int, ...], classes: int) -> keras.Model:
    """Two convolutions, each followed by pooling, and a hidden layer."""
    layers = keras.layers
    height, width, *channels = shape
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Reshape((height, width, *(channels or [1]))),
            layers.Conv2D(32, 3, padding="same", activation=activation),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation=activation),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation=activation),
            layers.Dense(classes),
        ]
    )


Network = Callable[[ModuleType, object, tuple[int, ...], int], "keras.Model"]
NETWORKS: dict[str, Network] = {
    "mlp": partial(dense, [512]),
    "deep": partial(dense, [128] * 4),
    "cnn": cnn,
}


def check_one_input(f: Activation) -> None:
    if len(f.inputs) != 1:
        raise InputError(
            f"{f.name!r} takes {len(f.inputs)} inputs ({', '.join(f.inputs)}), and an activation between "
            f"layers takes one"
        )


def check_shape(network: str, shape: tuple[int, ...]) -> None:
    """Raises `InputError` if the network cannot take samples of this shape."""
    if network == "cnn" and (len(shape) not in (2, 3) or min(shape[:2]) < 4):
        raise InputError(
            f"--network cnn needs images, (height, width) or (height, width, channels) of at least "
            f"4 x 4, and a sample here has the shape {shape}\n  --network mlp takes any shape."
        )
