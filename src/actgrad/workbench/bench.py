"""`actgrad bench`: how fast an activation is beside each framework's own ReLU, on this machine."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table

from actgrad.activation import Activation
from actgrad.errors import MissingFrameworkError
from actgrad.workbench.report.bench import MODES, Bench, bench
from actgrad.workbench.terminal import Screen, print_json


def run(f: Activation, frameworks: list[str], size: int, repeats: int, as_json: bool) -> None:
    """Measure and print. Raises `MissingFrameworkError` for one that was named and is not installed."""
    found = bench(f, frameworks or None, size, repeats)
    if frameworks and found.missing:
        name, reason = next(iter(found.missing.items()))
        raise MissingFrameworkError(f"{name} could not be measured: {reason}")
    if as_json:
        print_json(asdict(found))
    else:
        Screen().print(_table(f, found))


def _table(f: Activation, found: Bench) -> Table:
    table = Table(
        title=f"{f.name} beside ReLU: {found.size:,} float32, forward and backward "
        f"(NumPy: forward), {found.cores} cores",
        title_justify="left",
    )
    for heading in ("framework", "mode", f"{f.name}, ms", "ReLU, ms", "ratio", "middle half"):
        table.add_column(heading, justify="left" if heading in ("framework", "mode") else "right")
    for row in found.rows:
        times = (f"{row.ours:.3f}", f"{row.builtin:.3f}", f"{row.ratio:.2f}")
        table.add_row(row.framework, row.mode, *times, f"{row.low:.2f} to {row.high:.2f}")
    for name, reason in found.missing.items():
        table.add_row(name, MODES[name], reason, "", "", "")
    return table
