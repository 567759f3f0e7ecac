"""How a training looks in the terminal: progress, table, sentences."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from actgrad.common.text import percent
from actgrad.common.types import Fields
from actgrad.workbench.train import Options, Run


class Bars:
    """Two bars: the epochs of all runs, and the steps of the present epoch."""

    def __init__(self, console: Console, options: Options, runs: int, steps: int) -> None:
        self.console = console
        self.steps = steps
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.all = self.progress.add_task("all runs", total=runs * options.epochs, unit="epochs")
        self.epoch = self.progress.add_task("", total=steps, unit="steps")
        self.options = options
        self.done = 0

    def step(self, run: Run, epoch: int, step: int, loss: float) -> None:
        text = f"{run.name}, seed {run.seed}, epoch {epoch}, loss {loss:.3f}"
        self.progress.update(self.epoch, completed=step, description=text)
        self.progress.update(self.all, completed=self.done + epoch - 1 + step / self.steps)

    def finished(self, run: Run) -> None:
        self.done += self.options.epochs
        self.progress.update(self.all, completed=self.done)
        outcome = (
            f"became nan in epoch {run.broke['epoch']}"
            if run.broke
            else f"test accuracy {percent(run.last['accuracy'])}"
        )
        text = f"  {run.name}, seed {run.seed}: {outcome} ({_time(run.seconds)} per epoch)"
        self.console.print(Text(text, style="dim"))


def table(names: dict[str, str], summaries: dict[str, Fields]) -> Table:
    runs = next(iter(summaries.values()))["runs"]
    found = Table(header_style="bold")
    found.add_column("activation")
    broke = any(item["broke"] for item in summaries.values())
    for title in (
        "test accuracy",
        "test loss",
        "time per epoch",
        *(["became nan"] if broke else []),
    ):
        found.add_column(title, justify="right")
    for who, item in summaries.items():
        row = [
            _spread(item["accuracy"], 100, "{:.1f}", " %"),
            _spread(
                item["loss"], 1, "{:.3f}" if (item["loss"]["mean"] or 0) < 1000 else "{:.1e}", ""
            ),
            _spread(item["seconds_per_epoch"], *_unit(item["seconds_per_epoch"]["mean"])),
            *([f"{item['broke']} of {runs}"] if broke else []),
        ]
        found.add_row(Text(names[who]), *row)
    if runs > 1:
        found.caption = f"mean ± standard deviation over {runs} seeds, on the test data"
    return found


def compared(name: str, difference: Fields, seeds: int) -> str:
    """One sentence: how the activation stands beside ReLU."""
    mean, deviation = difference["mean"], difference["deviation"]
    points = f"{abs(100 * mean):.1f}"
    spread = f" ± {100 * deviation:.1f}" if deviation is not None else ""
    where = "above" if mean > 0 else "below"
    same = "the same seed" if seeds == 1 else "the same seeds"
    if points == "0.0" and not spread:
        return f"With {same}, {name} and ReLU reach the same accuracy."
    return f"With {same}, {name} is {points}{spread} points of accuracy {where} ReLU."


def _spread(item: Fields, factor: float, form: str, unit: str) -> str:
    if item["mean"] is None:
        return "–"
    text = form.format(factor * item["mean"])
    if item["deviation"] is not None:
        text += " ± " + form.format(factor * item["deviation"])
    return text + unit


def _unit(seconds: float | None) -> tuple[float, str, str]:
    return (1, "{:.1f}", " s") if seconds is None or seconds >= 1 else (1000, "{:.0f}", " ms")


def _time(seconds: float) -> str:
    factor, form, unit = _unit(seconds)
    return form.format(factor * seconds) + unit
