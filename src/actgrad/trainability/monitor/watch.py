"""What every monitor has: when to measure, what was found, and where that is told."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from actgrad.activation import Activation
from actgrad.common.types import Function
from actgrad.errors import CallError
from actgrad.trainability.monitor.causes import Finding, Judge
from actgrad.trainability.monitor.sample import Sample, WatchedLayer, measure
from actgrad.trainability.monitor.sinks import JsonLines, Sink, TensorBoard, Terminal

Failure = Literal["go on", "stop", "roll back"]
SHARE = 0.02
"""Of the time: what measuring may take. With what the hooks themselves cost it stays below 5%."""


class Watch:
    """Watches a training from the outside: it is told losses, pre-activations and gradients.

    For JAX, and for loops of any other kind, it is used as it is: `watch.observe(step, loss, values,
    gradients)` after each step, outside of `jit`, with dictionaries from the layers' names to arrays
    (left out in the steps in which they were not computed).

    `functions` are the layers' activations, in order, by name. `findings` is what was found, `samples`
    what was measured, `cause` the verdict, `failed` whether training can go no further.

    >>> from actgrad import activation
    >>> square = activation(lambda x: x**2, name="square")
    >>> watch = Watch({"a": square, "b": square, "c": square, "d": square}, terminal=False)
    >>> watch.findings[0].cause, watch.findings[0].layer, watch.findings[0].certain
    ('escape', 'c', False)
    """

    def __init__(
        self,
        functions: Mapping[str, Activation | Function | None] | Sequence[WatchedLayer],
        *,
        every: int | None = None,
        on_failure: Failure = "go on",
        terminal: bool = True,
        json_lines: str | os.PathLike[str] | None = None,
        tensorboard: str | os.PathLike[str] | None = None,
    ) -> None:
        if every is not None and (not isinstance(every, int) or every < 1):
            raise CallError(f"every is a number of steps from 1 on (or None), and is {every!r}")
        if on_failure not in ("go on", "stop", "roll back"):
            raise CallError(f"on_failure is 'go on', 'stop' or 'roll back', and is {on_failure!r}")
        self.every, self.on_failure = every, on_failure
        self.sinks: list[Sink] = [Terminal()] if terminal else []
        self.sinks += [JsonLines(json_lines)] if json_lines is not None else []
        self.sinks += [TensorBoard(tensorboard)] if tensorboard is not None else []
        self.samples: list[Sample] = []
        self.kept: object = None
        self._began: float | None = None
        self._spent, self._cost, self._last = 0.0, 0.0, -1
        self._answer = (-1, False)
        self.places = (
            [WatchedLayer(name, f) for name, f in functions.items()]
            if isinstance(functions, Mapping)
            else list(functions)
        )
        self.judge = Judge(self.places)
        self._tell(self.judge.begin())

    @property
    def findings(self) -> list[Finding]:
        return list(self.judge.found)

    @property
    def cause(self) -> str | None:
        """The first cause that has come true; else the first that may come; None in a healthy run."""
        order = sorted(self.judge.found, key=lambda f: not f.certain)
        return order[0].cause if order else None

    @property
    def failed(self) -> bool:
        return any(f.fatal for f in self.judge.found)

    def due(self, step: int) -> bool:
        """Whether the layers are to be measured in this step: each `every` steps; left out, in the first,
        and then as often as keeps all that was spent, the first measurement too, below 5% of the time."""
        if self.every is not None:
            return step % self.every == 0
        if self._answer[0] != step:  # one answer for all layers of a step
            now = time.perf_counter()
            self._began = now if self._began is None else self._began
            measured = self._spent > 0
            due = not measured or self._spent + self._cost <= SHARE * (now - self._began)
            self._answer = step, due
        return self._answer[1]

    def observe(
        self,
        step: int,
        loss: object,
        values: Mapping[str, object] | None = None,
        gradients: Mapping[str, object] | None = None,
        seconds: float = 0.0,
    ) -> list[Finding]:
        """Take in a step. Returns what was newly found. `seconds` is what it cost to compute `values`."""
        value = float(np.asarray(loss))  # where steps run on while this does, it waits for them
        start = time.perf_counter() - seconds
        found = self.judge.loss(step, value) if step != self._last else []
        self._last = step
        if values:
            gradients = gradients or {}
            layers = [
                measure(place, values[place.name], gradients.get(place.name))
                for place in self.places
                if place.name in values
            ]
            sample = Sample(step, value, tuple(layers))
            self.samples.append(sample)
            for sink in self.sinks:
                sink.sample(sample)
            found += self.judge.sample(sample)
        self._tell(found)
        cost = time.perf_counter() - start
        self._spent += cost
        self._cost = cost if values else self._cost
        return found

    def check_data(self, x: object, name: str = "the data", step: int = 0) -> None:
        """Look for numbers that are not finite among the inputs."""
        x = np.asarray(x)
        if x.dtype.kind != "f":
            return
        odd = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
        if odd.any():
            where = f"{int(odd.sum())} of {len(x)} samples of {name} (the first is {int(odd.argmax())}) are"
            self._tell(self.judge.data(where, step))

    def healthy(self) -> bool:
        """Whether the last measurement has finite numbers only: then it is a state to roll back to."""
        loss = self.judge.losses[-1][1] if self.judge.losses else 0.0
        layers = self.samples[-1].layers if self.samples else ()
        base = self.judge.base if math.isfinite(self.judge.base) else math.inf
        return loss <= 1.5 * base and not any(layer.not_finite for layer in layers)

    def keep_or_roll_back(self, measured: bool) -> None:
        """After a step: back to the last healthy state, at a tenth of the learning rate; or keep this one."""
        start = time.perf_counter()
        if self.failed and self.kept is not None:
            self.restore()
            self.judge.found = [f for f in self.judge.found if not f.fatal]  # look for them again
            self.judge.high = 0
            self.keep()
        elif measured and self.healthy() and not self.failed:
            self.keep()
        self._spent += time.perf_counter() - start

    def keep(self) -> None:
        """Set `kept` to the state of the model and its optimizer."""
        raise NotImplementedError

    def restore(self) -> None:
        """Go back to `kept`, with a tenth of the learning rate."""
        raise NotImplementedError

    def _tell(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            for sink in self.sinks:
                sink.finding(finding)
