"""`actgrad report FILE:NAME`: everything that is known of one activation, on one page."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from actgrad.activation import Activation
from actgrad.common.files import write_text
from actgrad.common.text import first_line
from actgrad.common.types import Fields
from actgrad.errors import ActgradError, InputError
from actgrad.language.program import Program
from actgrad.study.card import head, over_lines
from actgrad.study.check import Check
from actgrad.study.forecast import finite_exp
from actgrad.study.plots import legend_below, shortened
from actgrad.study.propagation import Propagation, shown
from actgrad.study.targets import ASPECTS, Row, Support
from actgrad.workbench.load import load
from actgrad.workbench.report import training as trainings
from actgrad.workbench.report.bench import Bench, bench
from actgrad.workbench.report.code import as_written, highlighted
from actgrad.workbench.report.page import check_output, number, render
from actgrad.workbench.report.picture import Picture, panels, picture
from actgrad.workbench.study import MEANING

T = TypeVar("T")
FRAMEWORKS = {
    "numpy": "NumPy",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "torch": "PyTorch",
    "jax": "JAX",
}


@dataclass
class Facts:
    """What can be said of an activation; `left_out` has the reason for what cannot."""

    f: Activation
    check: Check | None = None
    propagation: Propagation | None = None
    supports: Support | None = None
    warnings: list[str] = field(default_factory=list)
    function: Picture | None = None
    forecast: list[Picture] = field(default_factory=list)
    sources: Fields = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def numbers(self) -> list[tuple[str, str, str]]:
        """Symbol, value, meaning."""
        rows = MEANING.items() if self.propagation else ()
        return [
            (sign, shown(getattr(self.propagation, name)).replace("inf", "∞"), says)
            for name, (sign, says) in rows
        ]

    @property
    def formulas(self) -> list[tuple[str, object]]:
        """What it is, as code: the function, and its derivatives in force."""
        program = self.f.program
        found = [("function", over_lines(f"{head(program)} = ", program))]
        if not program.on_host:
            given = {"exact": "", "derivative": ", as given"}.get(program.kind, ", a surrogate")
            for i, name in enumerate(program.inputs):
                if program.axis is not None:
                    found.append((f"gradient by {name}{given}", program.vjp(name).formula))
                elif program.gradient:
                    rule = Program("", (), (), program.gradient[i])
                    found.append((f"gradient by {name}, whole, as given", rule.formula))
                else:
                    found.append((f"derivative by {name}{given}", program.partial(name).formula))
        return [(label, highlighted(shortened(text))) for label, text in found]

    @property
    def written(self) -> object:
        """The user's own lines, if this process has them."""
        if self.f.function is None:
            return None
        try:
            return as_written(inspect.getsource(inspect.unwrap(self.f.function)))
        except (OSError, TypeError, ActgradError):
            return None

    def cells(self, row: Row) -> list[tuple[int, str]]:
        """Of a target: the columns that each cell spans, and why not, or "". Equal reasons share one."""
        reasons = [(row.reason(aspect) or i) for i, aspect in enumerate(ASPECTS)]
        return [
            (len([*group]), reason if isinstance(reason, str) else "")
            for reason, group in groupby(reasons)
        ]


def write(
    target: str,
    output: Path,
    folder: Path | None,
    train: bool,
    measure: bool,
    console: Console,
    warn: Callable[[str], None],
) -> Fields:
    """Writes the page of one activation. Returns what a program wants to know of it."""
    if folder and train:
        raise InputError(
            "--training shows a run that there is, --train makes one: give one of them"
        )
    check_output(output)
    warned: list[str] = []

    def keep(text: str) -> None:
        warned.append(text)
        warn(text)

    f = load(target, keep)
    training = trainings.read(folder, f) if folder else None
    found = facts(f, warned=warned)
    speed = bench(f) if measure else None
    if train:
        training = trainings.short(f, console)
    write_text(output, report(f, found, speed, [training] if training else [], target))
    return {
        "activation": f.name,
        "report": str(output),
        "verdict": found.check.verdict if found.check is not None else None,
        "warnings": found.warnings,
        "left_out": found.left_out,
        "bench": [asdict(row) for row in speed.rows] if speed else None,
    }


def facts(f: Activation, prefix: str = "f", warned: list[str] | None = None) -> Facts:
    """Measured and drawn. `prefix` is another one for each activation of a page."""
    found = Facts(f, warnings=list(warned or ()))

    def tried(what: str, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except Exception as error:
            found.left_out[what] = first_line(error)
            return None

    found.check = tried("check", f.check)
    found.function = tried("function", lambda: _function(f, found.check, prefix))
    found.propagation = tried("propagation", f.propagation)
    found.supports = tried("supports", f.supports)
    numbers = found.propagation
    if numbers:
        found.warnings += [w for w in numbers.warnings() if w not in found.warnings]
        found.forecast = tried("forecast", lambda: _forecast(numbers, prefix)) or []
    for name in FRAMEWORKS:
        text = tried(name, partial(f.source, name))
        if text is not None:
            found.sources[name] = highlighted(text)
    return found


@dataclass(frozen=True)
class Comparison:
    """The comparison that an activation is part of, for its page."""

    href: str
    title: str
    label: str
    """What the activation is called there."""
    source: object
    """As it was written then."""
    reference: str


def report(
    f: Activation,
    found: Facts,
    speed: Bench | None,
    runs: list[trainings.Training],
    target: str,
    comparison: Comparison | None = None,
) -> str:
    return render(
        "activation.html",
        it=found,
        aspects=ASPECTS,
        framework_names=FRAMEWORKS,
        name=comparison.label if comparison else f.name,
        bench=speed,
        trainings=runs,
        target=target,
        comparison=comparison,
    )


def _function(f: Activation, check: Check | None, prefix: str) -> Picture:
    figure = f.plot()
    about = f"Graph of {f.name} and its derivative for inputs from −4 to 4."
    if check is not None:
        for word, places in (("kinks", check.kinks), ("jumps", check.jumps)):
            inside = [x for x in places if abs(x) <= 4]
            if inside:
                shown = ", ".join(number(x) for x in inside[:8])
                about += f" It {word[:-1]}s at {shown}{' and more' if len(inside) > 8 else ''}."
    caption = "The function and the derivative in force; where they differ, the exact derivative."
    if f.program.axis is not None:
        about = (
            f"A sample row and what {f.name} makes of it, as numbers, as curves and as a Jacobian."
        )
        caption = "A sample row, the result as one number moves, and the Jacobian in force."
    if len(f.inputs) > 1 or f.program.axis is not None:
        return picture(figure, f"{prefix}-function", about, caption, size=None)
    axes = figure.axes[0]
    axes.set_title("", loc="left")  # the page has it
    legend = axes.get_legend()
    labels = [text.get_text() for text in legend.get_texts()]
    legend_below(axes, legend.legend_handles, labels, 0.16, 2, fontsize=10)
    return picture(figure, f"{prefix}-function", about, caption)


def _forecast(numbers: Propagation, prefix: str) -> list[Picture]:
    ahead = numbers.forecast()
    first, last = finite_exp(ahead.log_variance[0]), finite_exp(ahead.log_variance[-1])
    layers = f"{ahead.depth} layers of {ahead.width} units"
    about = (
        f"The variance of the next layer divided by that of a layer, on logarithmic axes, with "
        f"{len(ahead.fixed_points)} fixed point{'s' * (len(ahead.fixed_points) != 1)}.",
        f"By layer, in {layers}: the variance goes from {number(first)} to "
        f"{number(last)}, the gradient's size is {number(ahead.gradient_rms[0])} in the first "
        f"layer and {number(ahead.gradient_rms[-1])} in the last.",
    )
    caption = (
        "The variance map: by what factor one layer changes the variance; 1 is ideal.",
        f"Forecast for {layers}; the band is one standard deviation of networks."
        + "".join(f" It diverges: {text}." for text in ahead.diverges),
    )
    figures = panels(ahead.plot)
    for figure in figures:
        figure.axes[0].set_title("", loc="left")
    return [
        picture(figure, f"{prefix}-forecast-{i}", about[i], caption[i])
        for i, figure in enumerate(figures)
    ]
