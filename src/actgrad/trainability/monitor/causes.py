"""From what was measured to a cause: where it is, when it began, and what to do.

What stands in the network is judged before the first step; what then happens, step by step.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from actgrad.trainability.monitor.sample import LayerSample, Sample, WatchedLayer

Cause = Literal[
    "escape",
    "nan",
    "vanishing surrogate",
    "vanishing gradient",
    "dead units",
    "learning rate",
]

GREW = 3.0  # times the first loss: then it has blown up
VANISHED = 0.01  # of the gradient's rms, from the last layer to the first
DEAD = 0.8  # of a layer's units


@dataclass(frozen=True)
class Finding:
    cause: Cause
    step: int
    """When it was found."""
    began: int
    """When it began."""
    layer: str | None
    text: str
    certain: bool = True
    """False: a forecast from the network itself, which has not come true yet."""
    fatal: bool = False
    """Whether training can no longer succeed from here."""

    def __str__(self) -> str:
        where = f", layer {self.layer}" if self.layer else ""
        return f"step {self.step}: {self.cause} (began at step {self.began}{where}): {self.text}"


def chains(places: Sequence[WatchedLayer]) -> Iterator[list[WatchedLayer]]:
    """Runs of layers with one kind of activation and no normalisation between them."""
    run: list[WatchedLayer] = []
    for place in places:
        if run and (place.normalised or place.activation != run[-1].activation):
            yield run
            run = []
        run.append(place)
    if run:
        yield run


class Judge:
    """Finds each cause once."""

    def __init__(self, places: Sequence[WatchedLayer]) -> None:
        self.places = {place.name: place for place in places}
        self.found: list[Finding] = []
        self.losses: deque[tuple[int, float]] = deque(maxlen=200)
        self.base = math.nan
        self.high = 0
        self.held: dict[str, tuple[int, int]] = {}

    def begin(self) -> list[Finding]:
        """Before the first step."""
        found = []
        for chain in chains(list(self.places.values())):
            numbers, depth = chain[0].numbers, len(chain)
            if numbers is None or numbers.second_moment == 0 or depth <= numbers.safe_depth:
                continue
            text = (
                f"{depth} layers of {numbers.name} without normalisation between them, of which about "
                f"{numbers.safe_depth:.0f} are safe: the variance is driven away from its fixed point "
                f"(eta = {numbers.eta:.3g}), and the network can blow up within a few steps. Normalise each "
                f"sample before the activation, or train with `--stabilise auto`."
            )
            where = chain[int(numbers.safe_depth)].name
            found.append(Finding("escape", 0, 0, where, text, certain=False))
        return self._new(found)

    def loss(self, step: int, value: float) -> list[Finding]:
        """After each step: the loss of its batch."""
        self.losses.append((step, value))
        if not math.isfinite(value):
            if self._fatal():
                return []
            return self._new([self._broke(step, list(self.losses)[:-1])])
        if math.isnan(self.base):
            self.base = value  # of the first weights
        self.high = self.high + 1 if value > GREW * self.base else 0
        if self.high < 3 or self._fatal():
            return []
        began = self._rise()
        if (risk := self._risk()) is not None:
            text = f"the loss went from {self.base:.3g} to {value:.3g}. {risk.text}"
            return self._new([Finding("escape", step, began, risk.layer, text, fatal=True)])
        text = (
            f"the loss went from {self.base:.3g} to {value:.3g}, and the activations themselves are sound. "
            f"Take a smaller learning rate, a tenth to begin with."
        )
        return self._new([Finding("learning rate", step, began, None, text, fatal=True)])

    def sample(self, sample: Sample) -> list[Finding]:
        """After each measurement of the layers."""
        found = []
        odd = next((layer for layer in sample.layers if layer.not_finite), None)
        if odd is not None and not self._fatal():
            found.append(self._broke(sample.step, list(self.losses), odd))
        if odd is None and sample.layers:
            found += self._dead(sample)
            found += self._vanishing(sample)
        return self._new(found)

    def data(self, where: str, step: int) -> list[Finding]:
        """The data themselves are not finite."""
        text = f"{where} not finite, and one such number makes every weight nan. Clean the data."
        return self._new([Finding("nan", step, step, "the input", text, fatal=True)])

    def _broke(
        self, step: int, before: list[tuple[int, float]], layer: LayerSample | None = None
    ) -> Finding:
        where = layer.name if layer else None
        signature = (
            " From now on the network answers class 0 for every sample (the argmax of nan), so its "
            "accuracy is the share of class 0: about 10% of ten classes."
        )
        last = [value for at, value in before if math.isfinite(value) and at > step - 30]
        grew = max(last, default=0.0) > 1.5 * self.base
        if (risk := self._risk()) is not None:
            text = f"the numbers left the range of floating point. {risk.text}{signature}"
            return Finding("escape", step, self._rise(), where or risk.layer, text, fatal=True)
        if grew:
            text = (
                f"the loss rose to {max(last):.3g} and was then no longer finite, with sound activations. "
                f"Take a smaller learning rate, a tenth to begin with.{signature}"
            )
            return Finding("learning rate", step, self._rise(), where, text, fatal=True)
        text = (
            f"the loss was no longer finite from one step to the next, out of sound numbers: look for nan "
            f"in the data, and for a log or a division by zero in the loss.{signature}"
        )
        return Finding("nan", step, step, where, text, fatal=True)

    def _dead(self, sample: Sample) -> Iterator[Finding]:
        for layer in sample.layers:
            began = self._holds("dead " + layer.name, layer.dead >= DEAD, sample.step)
            if began is not None:
                text = (
                    f"{layer.dead:.0%} of the units have no slope for any sample, and do not learn. Begin "
                    f"with smaller biases, a smaller learning rate, or an activation with a slope there."
                )
                yield Finding("dead units", sample.step, began, layer.name, text)

    def _vanishing(self, sample: Sample) -> Iterator[Finding]:
        if any(layer.dead >= DEAD for layer in sample.layers):
            return
        first, last = sample.layers[0], sample.layers[-1]
        ratio = first.gradient / last.gradient if last.gradient > 0 else math.nan
        began = self._holds("vanishing", ratio < VANISHED, sample.step)
        if began is None:
            return
        steps = np.log([max(layer.gradient, 1e-300) for layer in sample.layers])
        worst = int(np.argmin(steps[:-1] - steps[1:]))
        place = self.places[sample.layers[worst].name]
        text = (
            f"the gradient's rms is {ratio:.2g} times as large in the first layer as in the last."
        )
        if place.numbers is not None and place.numbers.surrogate:
            c = place.numbers.surrogate_factor
            text += f" The surrogate is out of scale: multiply it by c = {c:.4g} (`f.scaled()`)."
            yield Finding("vanishing surrogate", sample.step, began, place.name, text)
        else:
            text += " Weights with the backward gain, normalisation, or skip connections keep it."
            yield Finding("vanishing gradient", sample.step, began, place.name, text)

    def _holds(self, what: str, now: bool, step: int) -> int | None:
        """Since when it holds, if that is so in this measurement and the one before."""
        if not now:
            self.held.pop(what, None)
            return None
        began, times = self.held.get(what, (step, 0))
        self.held[what] = (began, times + 1)
        return began if times else None

    def _rise(self) -> int:
        """The step from which on the loss has been above twice its usual value."""
        began = self.losses[-1][0] if self.losses else 0
        for step, value in reversed(self.losses):
            if math.isfinite(value) and value <= 1.5 * self.base:
                break
            began = step
        return began

    def _risk(self) -> Finding | None:
        return next((f for f in self.found if f.cause == "escape"), None)

    def _fatal(self) -> bool:
        return any(f.fatal for f in self.found)

    def _new(self, findings: Sequence[Finding]) -> list[Finding]:
        known = {(f.cause, f.certain) for f in self.found}
        new = []
        for finding in findings:
            if (finding.cause, finding.certain) not in known:
                known.add((finding.cause, finding.certain))
                new.append(finding)
        self.found += new
        return new
