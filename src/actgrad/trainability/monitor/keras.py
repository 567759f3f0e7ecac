"""The monitor of a Keras model: a callback, on each backend."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from actgrad.common.types import Array, Fields, Function
from actgrad.errors import CallError
from actgrad.frameworks.keras import ActivationLayer
from actgrad.models.keras import held_by
from actgrad.models.place import attribute
from actgrad.trainability.monitor.sample import WatchedLayer
from actgrad.trainability.monitor.watch import Watch

PROBE = 64
_ELEMENTWISE = (
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
    keras.layers.PReLU,
    ActivationLayer,
)


class KerasMonitor(keras.callbacks.Callback, Watch):
    """Watches `model.fit(..., callbacks=[monitor])`.

    The layers are measured on the first 64 samples of `x` (and their gradient on `y`, in the loss of
    the compiled model), with the weights after the step, outside of what Keras compiles; so it is the
    same on every backend. With `on_failure="stop"` training ends at a failure; with `"roll back"`
    weights return to the last healthy measurement, and the learning rate falls to a tenth.
    """

    def __init__(self, model: keras.Model, x: object, y: object = None, **options: Any) -> None:
        keras.callbacks.Callback.__init__(self)
        if not isinstance(x, np.ndarray) or not len(x):
            raise CallError(
                f"x is a NumPy array of inputs to measure on, and is {type(x).__name__}"
            )
        self.steps, self.seen, self.mean = 0, 0, 0.0
        self.kept: list[Array] | None
        self.x, self.y = x[:PROBE], None if y is None else np.asarray(y)[:PROBE]
        self.watched = watched(model)
        Watch.__init__(self, [place for place, _ in self.watched], **options)
        self.check_data(x)

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.seen, self.mean = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        step, self.steps = self.steps, self.steps + 1
        mean = float((logs or {}).get("loss", np.nan))
        steps = max(batch + 1 - self.seen, 1)
        loss = (mean * (batch + 1) - self.mean * self.seen) / steps  # Keras tells the epoch's mean
        self.seen, self.mean = batch + 1, mean
        values: Fields = {}
        gradients: Fields = {}
        start = time.perf_counter()
        if due := self.due(step):
            values, gradients = self._probe()
        self.observe(step, loss, values, gradients, time.perf_counter() - start)
        if self.failed and self.on_failure == "stop":
            self.model.stop_training = True
        elif self.on_failure == "roll back":
            self.keep_or_roll_back(due)

    def keep(self) -> None:
        self.kept = [keras.ops.convert_to_numpy(v).copy() for v in self._variables()]

    def restore(self) -> None:
        model = self.model
        rate = float(np.asarray(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
        for variable, value in zip(self._variables(), self.kept or (), strict=True):
            variable.assign(value)
        model.optimizer.learning_rate = 0.1 * rate
        self.seen, self.mean = 0, 0.0
        model.reset_metrics()

    def _variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def _probe(self) -> tuple[Fields, Fields]:
        x = keras.ops.convert_to_tensor(self.x)
        model = self.model
        names = [place.name for place, _ in self.watched]
        with _recording(self.watched) as record:
            values, gradients = _BACKENDS[keras.config.backend()](
                record, lambda: self._loss(model, x)
            )
        present = [name for name in names if name in values]
        as_numpy = keras.ops.convert_to_numpy
        return (
            {name: as_numpy(values[name]) for name in present},
            {
                name: as_numpy(gradients[name]) * len(self.x)
                for name in present
                if gradients.get(name) is not None
            },
        )

    def _loss(self, model: keras.Model, x: object) -> object:
        z = model(x, training=False)
        if self.y is None or model.loss is None or isinstance(z, (list, tuple, dict)):
            return keras.ops.mean(keras.ops.square(z)) / 2
        y = keras.ops.convert_to_tensor(self.y)
        return keras.ops.mean(keras.losses.get(model.loss)(y, z))


class _Record:
    """What the layers' activations were given."""

    def __init__(self) -> None:
        self.values: Fields = {}
        self.added: Fields | None = None

    def see(self, name: str, h: object) -> object:
        if self.added is not None and name in self.added:
            h = h + self.added[name]
        self.values.setdefault(name, h)
        return h


@contextlib.contextmanager
def _recording(watched: list[tuple[WatchedLayer, object]]) -> Iterator[_Record]:
    record = _Record()
    with contextlib.ExitStack() as stack:
        for place, layer in watched:
            key = "call" if isinstance(layer, _ELEMENTWISE) else "activation"
            own: Function = getattr(layer, key)

            def recorder(
                h: object,
                *rest: object,
                own: Function = own,
                name: str = place.name,
                **options: object,
            ) -> object:
                return own(record.see(name, h), *rest, **options)

            stack.callback(attribute(vars(layer), key)(recorder))
        yield record


def _tensorflow(record: _Record, loss: Callable[[], object]) -> tuple[Fields, Fields]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = loss()
    names = list(record.values)
    found = tape.gradient(value, [record.values[name] for name in names])
    return record.values, dict(zip(names, found, strict=True))


def _torch(record: _Record, loss: Callable[[], object]) -> tuple[Fields, Fields]:
    import torch

    with torch.enable_grad():
        value = loss()
        names = [name for name, h in record.values.items() if h.requires_grad]
        found = torch.autograd.grad(value, [record.values[n] for n in names], allow_unused=True)
    return record.values, dict(zip(names, found, strict=True))


def _jax(record: _Record, loss: Callable[[], object]) -> tuple[Fields, Fields]:
    import jax

    loss()
    values, record.added = record.values, {n: 0 * h for n, h in record.values.items()}

    def perturbed(added: Fields) -> object:
        record.values, record.added = {}, added
        return loss()

    return values, jax.grad(perturbed)(record.added)


_BACKENDS = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}


def watched(model: keras.Model) -> list[tuple[WatchedLayer, object]]:
    """Layers with an activation, in the model's order."""
    found: list[tuple[WatchedLayer, object]] = []
    normalised = False
    for layer in model._flatten_layers(include_self=False):
        if "Normalization" in type(layer).__name__:
            normalised = True
            continue
        function = getattr(layer, "activation", None)
        if isinstance(layer, ActivationLayer):
            function = held_by(layer)
        elif isinstance(layer, keras.layers.ReLU):
            function = keras.activations.relu
        elif isinstance(layer, _ELEMENTWISE):
            function = None
        elif function is None or getattr(function, "__name__", "") in ("linear", "softmax"):
            continue
        found.append((WatchedLayer(layer.name, function, normalised), layer))
        normalised = False
    return found
