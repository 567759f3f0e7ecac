"""What came out of a training: numbers over the seeds, and sentences for what went wrong."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from actgrad.common.text import percent
from actgrad.common.types import Fields
from actgrad.workbench.train import Options, Run

FELL = 0.05  # a training accuracy this far below the best one is worth a sentence


def summary(runs: list[Run]) -> Fields:
    """Mean and standard deviation over the seeds; runs that broke off are counted, not averaged."""
    whole = [run for run in runs if run.broke is None]
    return {
        "runs": len(runs),
        "broke": len(runs) - len(whole),
        "accuracy": spread([run.last["accuracy"] for run in whole]),
        "loss": spread([run.last["loss"] for run in whole]),
        "seconds_per_epoch": spread([run.seconds for run in whole]),
    }


def spread(values: list[float]) -> dict[str, float | None]:
    """Mean and standard deviation (of the sample: None for one value)."""
    return {
        "mean": float(np.mean(values)) if values else None,
        "deviation": float(np.std(values, ddof=1)) if len(values) > 1 else None,
    }


def difference(own: list[Run], other: list[Run]) -> dict[str, float | None]:
    """Test accuracy, own minus other, seed by seed, over the seeds at which neither broke off."""
    pairs = zip(own, other, strict=True)
    return spread(
        [a.last["accuracy"] - b.last["accuracy"] for a, b in pairs if not (a.broke or b.broke)]
    )


def notes(run: Run, steps: int) -> list[str]:
    """What a number alone would hide, in words."""
    who = f"{run.name}, seed {run.seed}"
    if run.broke is not None:
        return [f"{who}: {_how_it_broke(run, steps)}"]
    found = []
    if run.constant is not None:
        found.append(
            f"{who}: the network gives class {run.constant} for every test sample, so its accuracy, "
            f"{percent(run.last['accuracy'])}, is the share of that class. It has learnt nothing."
        )
    accuracies = [row["train_accuracy"] for row in run.history]
    best = int(np.argmax(accuracies))
    if accuracies[best] - accuracies[-1] > FELL:
        found.append(
            f"{who}: the training accuracy was best in epoch {best + 1}, {percent(accuracies[best])}, and "
            f"fell to {percent(accuracies[-1])} in epoch {len(accuracies)}. "
            f"A smaller --learning-rate may help."
        )
    return found


def when_it_broke(run: Run, steps: int, judges: str = "the test data") -> str:
    assert run.broke is not None
    epoch, step = run.broke["epoch"], run.broke["step"]
    if np.isfinite(run.last["train_loss"]):
        return f"the loss of {judges} became {_odd(run.last['loss'])} after epoch {epoch}"
    loss = _odd(run.last["train_loss"])
    return f"the loss became {loss} in epoch {epoch}, step {step} of {steps}"


def _how_it_broke(run: Run, steps: int) -> str:
    text = f"{when_it_broke(run, steps)}, and training stopped there."
    if run.constant == 0:
        text += (
            f" The network now gives class 0 for every test sample, as a network of nan does: its "
            f"accuracy, {percent(run.last['accuracy'])}, is the share of class 0, nothing it learnt."
        )
    if len(run.history) > 1:
        text += f" The epoch before, the test accuracy was {percent(run.history[-2]['accuracy'])}."
    return text + " A smaller --learning-rate, or an activation that grows more slowly, may help."


def _odd(value: float) -> str:
    return "nan" if np.isnan(value) else "infinite"


def as_json(options: Options, runs: dict[str, list[Run]], steps: int) -> Fields:
    return {
        "options": asdict(options),
        "summary": {
            **{who: summary(group) for who, group in runs.items()},
            "difference_in_accuracy": difference(runs["own"], runs["relu"]),
        },
        "runs": [asdict(run) for group in runs.values() for run in group],
        "notes": [note for group in runs.values() for run in group for note in notes(run, steps)],
    }
