"""The training itself: one network, one activation, one seed, an epoch at a time.

An epoch depends on nothing but the state before it and (seed, epoch), so a run that was stopped and
resumed gives what an uninterrupted one gives.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from actgrad.activation import Activation
from actgrad.common.types import Array
from actgrad.workbench.data import Data
from actgrad.workbench.folder import load_state, save_state
from actgrad.workbench.networks import NETWORKS
from actgrad.workbench.signals import ctrl_c

if TYPE_CHECKING:
    import keras

    from actgrad.trainability.stabilise import Plan

Watch = Callable[["Run", int, int, float], None]
"""Called after each step with the run, the epoch (from 1), the step (from 1), and the loss."""


@dataclass(frozen=True)
class Options:
    network: str
    epochs: int
    seeds: int
    batch_size: int
    learning_rate: float
    stabilise: str = "off"


@dataclass
class Run:
    """One training: `history` has one row for each finished epoch."""

    who: str
    name: str
    seed: int
    history: list[dict[str, float]] = field(default_factory=list)
    broke: dict[str, int] | None = None
    """The epoch and the step at which the loss was no longer finite."""
    constant: int | None = None
    """The class that is predicted for every test sample, if there is one."""
    share: float | None = None
    """Of that class in the test data."""

    def is_done(self, epochs: int) -> bool:
        return self.broke is not None or len(self.history) >= epochs

    @property
    def last(self) -> dict[str, float]:
        return self.history[-1]

    @property
    def seconds(self) -> float:
        """The usual time of an epoch. The first one compiles, and does not count if there are others."""
        times = [row["seconds"] for row in self.history]
        return float(np.median(times[1:] or times))


def build(
    keras: ModuleType, activation: object, data: Data, options: Options, seed: int
) -> keras.Model:
    """The network, with the same first weights for the same seed, whatever the activation."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = NETWORKS[options.network](keras, activation, data.shape, data.classes)
    optimizer = keras.optimizers.Adam(options.learning_rate)
    if options.stabilise != "off" and isinstance(activation, Activation):
        model, chosen = repair(model, options)
        optimizer = keras.optimizers.Adam(chosen.learning_rate, global_clipnorm=chosen.clip)
    compile_model(keras, model, optimizer, activation)
    model.optimizer.build(model.trainable_variables)
    return model


def compile_model(
    keras: ModuleType, model: keras.Model, optimizer: object, activation: object
) -> None:
    """For classes; without XLA where the activation runs on the host."""
    on_host = isinstance(activation, Activation) and activation.program.on_host
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False if on_host else "auto",
    )


def repair(model: object, options: Options) -> tuple[keras.Model, Plan]:
    """The network with what its activation needs, and the plan that says why."""
    from actgrad.trainability.repair import stabilise

    return stabilise(model, options.learning_rate, foldable=options.stabilise == "foldable")


def train(
    keras: ModuleType,
    model: keras.Model,
    run: Run,
    data: Data,
    options: Options,
    path: Path,
    watch: Watch,
) -> None:
    """Train until the last epoch, from the checkpoint at `path` if there is one; keep one there."""
    variables = [*model.variables, *model.optimizer.variables]
    _restore(variables, run, path)
    with ctrl_c() as heed:
        for _ in epochs(keras, model, run, data, options, watch):
            progress = {"history": run.history, "broke": run.broke}
            save_state(path, [keras.ops.convert_to_numpy(v) for v in variables], progress)
            heed()
    _look_for_constant(model, run, data)


def _restore(variables: list[keras.Variable], run: Run, path: Path) -> None:
    state = load_state(path, [tuple(v.shape) for v in variables])
    if state is not None:
        values, progress = state
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        run.history, run.broke = progress["history"], progress["broke"]


def epochs(
    keras: ModuleType, model: keras.Model, run: Run, data: Data, options: Options, watch: Watch
) -> Iterator[int]:
    """Train until the last epoch or a loss that is not finite; the number of each that is finished."""
    while not run.is_done(options.epochs):
        row, step = _one_epoch(keras, model, run, data, options, watch)
        run.history.append(row)
        if not (math.isfinite(row["train_loss"]) and math.isfinite(row["loss"])):
            run.broke = {"epoch": len(run.history), "step": step}
        yield len(run.history)


def _one_epoch(
    keras: ModuleType, model: keras.Model, run: Run, data: Data, options: Options, watch: Watch
) -> tuple[dict[str, float], int]:
    epoch = len(run.history)
    steps = 0

    def after_step(step: int, logs: dict[str, float]) -> None:
        nonlocal steps
        steps = step + 1
        watch(run, epoch + 1, steps, logs["loss"])
        if not math.isfinite(logs["loss"]):
            model.stop_training = True

    order = np.random.default_rng([run.seed, epoch]).permutation(len(data.x_train))
    start = time.perf_counter()
    fitted = model.fit(
        data.x_train[order],
        data.y_train[order],
        batch_size=options.batch_size,
        shuffle=False,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=after_step)],
    ).history
    seconds = time.perf_counter() - start
    loss, accuracy = model.evaluate(data.x_test, data.y_test, batch_size=256, verbose=0)
    row = {
        "train_loss": fitted["loss"][-1],
        "train_accuracy": fitted["accuracy"][-1],
        "loss": loss,
        "accuracy": accuracy,
        "seconds": seconds,
    }
    return {key: float(value) for key, value in row.items()}, steps


def predict(model: keras.Model, data: Data) -> Array:
    return np.asarray(model.predict(data.x_test, batch_size=256, verbose=0))


def _look_for_constant(model: object, run: Run, data: Data) -> None:
    classes = np.unique(predict(model, data).argmax(axis=1))
    if len(classes) == 1:
        run.constant = int(classes[0])
        run.share = float(np.mean(data.y_test == run.constant))
