"""Ours beside the framework's built-in, in one process: the ratio of medians, interleaved.

    python benchmarks/run.py                      every installed framework, three sizes
    python benchmarks/run.py --framework numpy --sizes 131072 --repeats 20
    python benchmarks/run.py --write docs/performance.md    the table of that page, from this run

Forward and backward (NumPy: forward), float32, all cores. A cell is `ours / built-in` with the
interquartile range of the single ratios; a ratio needs no quiet machine, but it likes one.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from actgrad import activation

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@activation(derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0)
def spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


@activation(surrogate=lambda x: max(0, 1 - abs(x)))
def heaviside(x):
    return 1.0 if x >= 0 else 0.0


@activation
def mish(x):
    return x * math.tanh(math.log(1 + math.exp(x)))


PAIRS = ((spiky, "relu"), (heaviside, "relu"), (mish, "mish"))


@dataclass(frozen=True)
class Case:
    framework: str
    mode: str
    ours: str
    builtin: str
    run_ours: Callable[[], Any]
    run_builtin: Callable[[], Any]


def numpy_cases(size: int) -> Iterator[Case]:
    x = np.random.default_rng(0).normal(size=size).astype(np.float32)
    builtins = {
        "relu": lambda: np.maximum(x, 0),
        "mish": lambda: x * np.tanh(np.logaddexp(x, np.float32(0))),
    }
    for ours, builtin in PAIRS:
        yield Case("numpy", "eager", ours.name, builtin, lambda f=ours: f(x), builtins[builtin])


def tensorflow_cases(size: int) -> Iterator[Case]:
    import keras
    import tensorflow as tf

    x = tf.random.stateless_normal([size], [0, 0])

    def step(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def forward_backward(tensor: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(tensor)
                value = function(tensor)
            return tape.gradient(value, tensor)

        return forward_backward

    modes: dict[str, Callable[[Any], Any]] = {
        "eager": lambda f: f,
        "tf.function": tf.function,
        "XLA": lambda f: tf.function(f, jit_compile=True),
    }
    for mode, wrap in modes.items():
        for ours, builtin in PAIRS:
            reference = tf.nn.relu if builtin == "relu" else keras.activations.mish
            a, b = wrap(step(ours)), wrap(step(reference))
            yield Case("tensorflow", mode, ours.name, builtin, _on(a, x), _on(b, x))


def jax_cases(size: int) -> Iterator[Case]:
    import jax

    x = jax.random.normal(jax.random.key(0), (size,))

    def step(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda tensor: jax.vjp(function, tensor)[1](tensor)[0]

    for mode, wrap in (("jit", jax.jit), ("eager", lambda f: f)):
        for ours, builtin in PAIRS:
            reference = {"relu": jax.nn.relu, "mish": jax.nn.mish}[builtin]
            a, b = wrap(step(ours)), wrap(step(reference))
            yield Case(
                "jax",
                mode,
                ours.name,
                builtin,
                lambda f=a: f(x).block_until_ready(),
                lambda f=b: f(x).block_until_ready(),
            )


def torch_cases(size: int) -> Iterator[Case]:
    import torch

    x = torch.randn(size, requires_grad=True)
    upstream = torch.ones(size)

    def step(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda tensor: torch.autograd.grad(function(tensor), tensor, upstream)[0]

    for mode, wrap in (("eager", lambda f: f), ("compile", torch.compile)):
        for ours, builtin in PAIRS:
            reference = {"relu": torch.relu, "mish": torch.nn.functional.mish}[builtin]
            a, b = step(wrap(ours)), step(wrap(reference))
            yield Case("torch", mode, ours.name, builtin, _on(a, x), _on(b, x))


def _on(function: Callable[[Any], Any], x: Any) -> Callable[[], Any]:
    return lambda: function(x)


SIZES = (131_072, 1_048_576, 16_777_216)
# What we want at these sizes; NumPy's with a compiler of its own, which is not built yet.
BAR = {
    ("numpy", "eager"): (2.0, 1.25, 1.25),
    ("tensorflow", "eager"): (2.5, 2.0, 1.5),
    ("tensorflow", "tf.function"): (1.25, 1.25, 1.25),
    ("tensorflow", "XLA"): (1.1, 1.1, 1.1),
    ("jax", "jit"): (1.1, 1.1, 1.1),
    ("jax", "eager"): (2.5, 2.0, 1.5),
    ("torch", "eager"): (2.0, 1.25, 1.15),
    ("torch", "compile"): (1.1, 1.1, 1.1),
}
CASES = {
    "numpy": numpy_cases,
    "tensorflow": tensorflow_cases,
    "jax": jax_cases,
    "torch": torch_cases,
}


def measure(case: Case, repeats: int) -> tuple[float, float, float, list[float]]:
    """Medians of both in milliseconds, their ratio, and the quartiles of the single ratios."""
    for _ in range(3):
        case.run_ours(), case.run_builtin()
    ours, builtin = [], []
    for _ in range(repeats):
        for run, times in ((case.run_ours, ours), (case.run_builtin, builtin)):
            start = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - start))
    ratios = [a / b for a, b in zip(ours, builtin, strict=True)]
    a, b = statistics.median(ours), statistics.median(builtin)
    return a, b, a / b, statistics.quantiles(ratios, n=4)


@dataclass(frozen=True)
class Cell:
    case: Case
    size: int
    ours: float
    builtin: float
    ratio: float
    low: float
    high: float

    @property
    def text(self) -> str:
        return f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f})"


def rich_table(cells: list[Cell], title: str) -> Table:
    table = Table(title=title)
    for column in (
        "framework",
        "mode",
        "activation",
        "built-in",
        "n",
        "ours ms",
        "built-in ms",
        "ratio",
    ):
        table.add_column(
            column, justify="right" if column in {"n", "ours ms", "built-in ms"} else "left"
        )
    for cell in cells:
        case = cell.case
        names = (case.framework, case.mode, case.ours, case.builtin)
        table.add_row(
            *names, f"{cell.size:,}", f"{cell.ours:.3f}", f"{cell.builtin:.3f}", cell.text
        )
    return table


def markdown(cells: list[Cell], title: str) -> str:
    """A row for each activation in each mode, bold where it is over the bar."""
    sizes = sorted({cell.size for cell in cells})
    rows: dict[tuple[str, ...], dict[int, str]] = {}
    for cell in cells:
        case = cell.case
        bars = dict(zip(SIZES, BAR[case.framework, case.mode], strict=True))
        bar = bars.get(cell.size)
        text = cell.text if bar is None else f"{cell.text} / {bar}"
        over = bar is not None and cell.ratio > bar
        key = (case.framework, case.mode, case.ours, case.builtin)
        rows.setdefault(key, {})[cell.size] = f"**{text}**" if over else text
    heads = ["framework", "mode", "activation", "built-in", *(f"n = {size:,}" for size in sizes)]
    lines = [title, "", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    lines += [
        "| " + " | ".join([*names, *(found.get(size, "") for size in sizes)]) + " |"
        for names, found in rows.items()
    ]
    return "\n".join(lines)


BEGIN, END = "<!-- from benchmarks/run.py -->", "<!-- to here -->"


def write(path: Path, text: str) -> None:
    """Put the text between the page's two marks."""
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--framework", choices=CASES, action="append")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    options = parser.parse_args()
    frameworks = options.framework or [name for name in CASES if importlib.util.find_spec(name)]

    cells = []
    console = Console(width=None if sys.stdout.isatty() else 130)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("measuring", total=len(frameworks) * len(options.sizes))
        for framework in frameworks:
            for size in options.sizes:
                progress.update(task, description=f"{framework}, n = {size:,}")
                for case in CASES[framework](size):
                    ours, builtin, ratio, (low, _, high) = measure(case, options.repeats)
                    cells.append(Cell(case, size, ours, builtin, ratio, low, high))
                progress.advance(task)
    title = f"ours / built-in, float32, {os.cpu_count()} cores, {options.repeats} runs"
    console.print(rich_table(cells, title))
    if options.write:
        write(options.write, markdown(cells, title))


if __name__ == "__main__":
    main()
