"""How fast, and in how much memory: ours beside the frameworks' own, and beside what people write today.

    python benchmarks/run.py                                  everything; half an hour on two quiet cores
    python benchmarks/run.py --write docs/performance.md      and put the tables into that page
    python benchmarks/run.py --only torch builtins training   some frameworks, some sections
    python benchmarks/run.py --resume                         only what is missing or has failed
    python benchmarks/run.py --quick                          every section, with few runs and small tensors

A cell is `ratio (quartiles; runs) / bar`: the ratio of the medians of two things timed in turns in one
process, the quartiles of the single ratios, and how many there were. `✓`: the bar holds; `~`: the ratio is
over it, its spread is not; `✗`: over it. Every section of every framework has a process of its own; what
it finds is kept in a file (--results), so that later runs replace or complete it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

sys.path.insert(0, str(Path(__file__).parent))
import chart
from speed import process
from speed.cells import HOLDS, NEAR, OVER, Cell
from speed.results import Entry, Results, rows, where
from speed.tables import markdown, rich_table

SECTIONS = {
    name: importlib.import_module(f"speed.{name}")
    for name in (
        "builtins", "training", "versions", "handwritten", "libraries", "rows", "halves", "orders", "memory",
        "latency", "scaling", "compiling", "numbers", "starting", "lasting",
    )
}  # fmt: skip
NEEDS = {
    "python": (),
    "numpy": (),
    "tensorflow": ("tensorflow", "keras"),
    "jax": ("jax",),
    "torch": ("torch",),
    "keras on tensorflow": ("keras", "tensorflow"),
    "keras on jax": ("keras", "jax"),
    "keras on torch": ("keras", "torch"),
}
SILENCE = 180.0
"""Seconds without an answer after which a process counts as hung"""


def plan(only: Iterable[str]) -> list[tuple[str, str]]:
    """Each section with each of its frameworks, as far as they were named."""
    names = set(only)
    sections = [name for name in SECTIONS if name in names] or list(SECTIONS)
    frameworks = names & set(NEEDS) or set(NEEDS)
    return [
        (section, framework)
        for section in sections
        for framework in SECTIONS[section].FRAMEWORKS
        if framework in frameworks
    ]


def measure(section: str, framework: str, quick: bool, tell: Progress, silence: float) -> Entry:
    entry = Entry(where=where())
    missing = [name for name in NEEDS[framework] if importlib.util.find_spec(name) is None]
    if missing:
        entry.failed = f"{missing[0]} is not installed"
        return entry
    start = time.perf_counter()
    task = tell.tasks[0].id
    tell.update(task, description=f"{section}, {framework}")
    for said in process.answers(SECTIONS[section].__name__, framework, quick, silence):
        if "failed" in said:
            entry.failed = said["failed"]
        else:
            cell = Cell(tuple(said["cell"].pop("labels")), **said["cell"])
            entry.cells.append(cell)
            tell.update(task, description=f"{section}, {' '.join(cell.labels)}, {cell.column}")
    entry.seconds = round(time.perf_counter() - start, 1)
    entry.busy = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else 0.0
    return entry


def tables(results: Results, chosen: Iterable[str]) -> list[tuple[list[ModuleType], list[Cell]]]:
    """For each title its sections and their cells."""
    found: dict[str, tuple[list[ModuleType], list[Cell]]] = {}
    for name in chosen:
        section = SECTIONS[name]
        sections, cells = found.setdefault(section.TITLE, ([], []))
        sections.append(section)
        entries = [
            (framework, results.entries[name, framework])
            for framework in section.FRAMEWORKS
            if (name, framework) in results.entries
        ]
        cells += rows(entries, len(section.HEADS))
    return [(sections, cells) for sections, cells in found.values() if cells]


def summary(cells: Iterable[Cell]) -> str:
    count = Counter(cell.verdict for cell in cells)
    return f"{HOLDS} {count[HOLDS]}, {NEAR} {count[NEAR]}, {OVER} {count[OVER]}"


def about(results: Results) -> str:
    entries = results.entries.values()
    days = sorted({entry.day for entry in entries})
    minutes = sum(entry.seconds for entry in entries) / 60
    machines = "; ".join(dict.fromkeys(entry.where for entry in entries))
    when = " to ".join(dict.fromkeys([days[0], days[-1]]))
    busy = statistics.median(entry.busy for entry in entries)
    return f"{machines}; {when}, {minutes:.0f} minutes, load average {busy:.1f}."


BEGIN, END = "<!-- from benchmarks/run.py -->", "<!-- to here -->"


def write(page: Path, results: Results) -> None:
    """Put everything that was found between the page's two marks."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    found = tables(results, SECTIONS)
    texts = [about(results), f"All bars: {summary(cell for _, cells in found for cell in cells)}."]
    for sections, cells in found:
        first, notes = sections[0], " ".join(section.NOTE for section in sections)
        texts.append(markdown(first.TITLE, notes, first.HEADS, cells))
    text = "\n\n".join(texts)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    chart.write(page)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    known = [*SECTIONS, *NEEDS]
    parser.add_argument("--only", nargs="+", choices=known, default=[], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="few runs of small tensors")
    parser.add_argument("--resume", action="store_true", help="keep what --results has already")
    parser.add_argument("--results", type=Path, help="default: build/bench.json, bench-quick.json")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    parser.add_argument("--silence", type=float, default=SILENCE, help="seconds; then it has hung")
    options = parser.parse_args(arguments)
    name = "bench-quick.json" if options.quick else "bench.json"
    results = Results(options.results or Path(__file__).parents[1] / "build" / name)
    chosen = plan(options.only)
    todo = [
        key
        for key in chosen
        if not (options.resume and key in results.entries and not results.entries[key].failed)
    ]

    console = Console(width=None if sys.stdout.isatty() else 190)
    columns = (
        BarColumn(20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=len(todo))
        for section, framework in todo:
            entry = measure(section, framework, options.quick, progress, options.silence)
            results.put(section, framework, entry)
            progress.advance(task)
            outcome = (entry.failed and f"not measured: {entry.failed}") or summary(entry.cells)
            progress.console.print(
                f"{section}, {framework}: {entry.seconds:.0f} s, {outcome}",
                markup=False,
                highlight=False,
            )
    for sections, cells in tables(results, dict.fromkeys(section for section, _ in chosen)):
        first = sections[0]
        console.print()
        console.print(rich_table(first.TITLE, first.HEADS, cells))
        for section in sections:
            console.print(section.NOTE, markup=False, highlight=False)
    if results.entries:
        console.print(f"\n{about(results)}", markup=False, highlight=False)
    if options.write:
        write(options.write, results)
        lacking = [
            f"{section} ({framework})"
            for section, framework in plan([])
            if (section, framework) not in results.entries
        ]
        if lacking:
            console.print(
                f"{options.write} lacks, until --resume: {', '.join(lacking)}", markup=False
            )
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        print("\nStopped. What is finished is kept: --resume goes on.", file=sys.stderr)
        raise SystemExit(130) from None
