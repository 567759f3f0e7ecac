"""One run of a comparison, in whatever process it is asked for: a `Task` in, a `Row` out, never an error.

A worker keeps Keras and the data from one run to the next.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import platform
import re
import threading
import time
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import actgrad
from actgrad.common.text import installed
from actgrad.common.types import Fields
from actgrad.errors import InputError
from actgrad.workbench import data as data_files
from actgrad.workbench.compare.design import Choice, rebuild
from actgrad.workbench.compare.store import FAILED, OK, TUNE, Key, Row
from actgrad.workbench.data import Data
from actgrad.workbench.networks import NETWORKS
from actgrad.workbench.results import when_it_broke
from actgrad.workbench.train import Options, Run, compile_model, epochs

VALIDATION = 5  # one sample of so many judges the tries
DIED = "the worker died"


@dataclass(frozen=True)
class Task:
    """A run that is asked for. All that a worker needs to know."""

    index: int
    key: Key
    choice: Choice
    place: str
    """Where the data is: `digits`, or an absolute path."""
    digest: str
    epochs: int
    batch_size: int
    backend: str
    threads: int = 0
    marks: str = ""
    """A folder where a worker of the same machine says how far it is."""
    attempts: int = 1

    def row(self, status: str, **rest: Any) -> Row:
        rest = {"attempts": self.attempts, **rest}
        return Row(**vars(self.key), hash=self.choice.hash, status=status, **rest)

    def died(self) -> Row:
        return self.row(FAILED, cause=f"{DIED}, {self.attempts} times: killed, or out of memory")

    def mark(self, epoch: int) -> None:
        """Say that this run is in epoch so and so; a run that cannot say it is silent."""
        if self.marks and os.path.isdir(self.marks):
            with contextlib.suppress(OSError):
                Path(self.marks, str(self.index)).write_text(str(epoch))

    def unmark(self) -> None:
        if self.marks:
            Path(self.marks, str(self.index)).unlink(missing_ok=True)


_ALONE = threading.Lock()  # a Dask worker may have threads, and Keras one session


def run(task: Task) -> Row:
    """Train and judge. Whatever goes wrong is in the row."""
    with _ALONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = {
            "epochs": task.epochs,
            "batch_size": task.batch_size,
            "backend": task.backend,
            "worker": f"{platform.node()}:{os.getpid()}",
            "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        begun = time.perf_counter()
        one = Run("", task.key.activation, task.key.seed)
        found: Fields = {"settings": settings}
        task.mark(0)
        try:
            keras, data = _keras(task.backend, task.threads), _data(task)
            begun = time.perf_counter()
            _train(keras, data, task, one)
            steps = math.ceil(len(data.x_train) / task.batch_size)
            status, cause = OK, None
            if one.broke is not None:
                status, cause = FAILED, when_it_broke(one, steps, "the data that judges")
        except Exception as error:
            status, cause = FAILED, _named(error)
        found["seconds"] = time.perf_counter() - begun
        found["versions"] = _versions(task.backend)
        task.unmark()
        whole = [row for row in one.history if math.isfinite(row["loss"])]
        found["curve"] = [row["accuracy"] for row in whole]
        found["losses"] = [row["train_loss"] for row in one.history]
        if status == OK:
            found |= {"accuracy": one.last["accuracy"], "loss": one.last["loss"]}
        return task.row(status, cause=cause, **found)


@functools.cache
def _keras(backend: str, threads: int) -> ModuleType:
    """Once in each worker."""
    from actgrad.workbench.quiet import choose_backend, import_keras

    if threads:  # before the frameworks are loaded: two workers shall not use all cores each
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(threads))
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    choose_backend(backend)
    return import_keras(backend)


@functools.lru_cache(maxsize=4)
def _loaded(place: str, digest: str) -> Data:
    data = data_files.load(place)
    if data.digest != digest:
        raise InputError(f"{place} on this worker is not the data that the comparison began with")
    return data


def _data(task: Task) -> Data:
    """All of it; or, for tuning, the training data alone, a part of which judges."""
    data = _loaded(task.place, task.digest)
    return split(data) if task.key.stage == TUNE else data


def split(data: Data) -> Data:
    """The training data, divided: the test data is not looked at before the end."""
    order = np.random.default_rng(0).permutation(len(data.x_train))
    cut = len(order) - len(order) // VALIDATION
    train, judge = order[:cut], order[cut:]
    x, y = data.x_train, data.y_train
    return Data(f"{data.name}, validation", x[train], y[train], x[judge], y[judge])


def optimizer(keras: ModuleType, name: str, rate: float) -> object:
    if name == "momentum":
        return keras.optimizers.SGD(rate, momentum=0.9)
    return keras.optimizers.get({"class_name": name, "config": {"learning_rate": rate}})


def _train(keras: ModuleType, data: Data, task: Task, one: Run) -> None:
    key = task.key
    keras.backend.clear_session()
    keras.utils.set_random_seed(key.seed)
    f = rebuild(task.choice)
    # All classes of the data, also where the part that trains has not each of them.
    classes = _loaded(task.place, task.digest).classes
    model = NETWORKS[key.network](keras, f, data.shape, classes)
    compile_model(keras, model, optimizer(keras, key.optimizer, key.rate), f)
    options = Options(key.network, task.epochs, 1, task.batch_size, key.rate)
    for epoch in epochs(keras, model, one, data, options, lambda *_: None):
        task.mark(epoch)


_INSIDE = re.compile(r"^\s*([A-Z]\w*(?:Error|Exception)): (.+)$", re.MULTILINE)


def _named(error: Exception) -> str:
    """What failed, in one line. A framework's error about a Python error names the Python error."""
    kind, text = type(error).__name__, str(error).strip()
    if isinstance(error, MemoryError) or kind in ("ResourceExhaustedError", "OutOfMemoryError"):
        return f"out of memory ({kind})"
    if type(error).__module__.partition(".")[0] in ("tensorflow", "jax", "jaxlib"):
        inside = _INSIDE.search(text)
        if inside:
            if inside[1] == "MemoryError":
                return "out of memory (MemoryError)"
            return f"{inside[1]}: {inside[2]}"[:300]
    first = text.splitlines()[0] if text else ""
    return f"{kind}: {first}"[:300] if first else kind


@functools.cache
def _versions(backend: str) -> dict[str, str]:
    own = {"python": platform.python_version(), "actgrad": actgrad.__version__}
    return own | installed("numpy", "keras", backend, f"{backend}-cpu")
