"""The picture of a table: the real function, the steps, and the error below."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from actgrad.study.plots import EXACT, FUNCTION, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from actgrad.integers.table import Table


def picture(table: Table, path: str | os.PathLike[str] | None) -> Figure:
    """Draw a table: see `Table.plot`."""
    figure = new_figure(7.6, 6.0)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    format, codes = table.format, np.asarray(table)
    x = table.real(np.arange(format.first, format.high + 1))
    found = table.dequantised(codes)
    above.step(x, found, where="mid", label=f"{format.dtype}, {format.size:,} inputs", **FUNCTION)
    finite = np.clip(table.values, *table.dequantised([2 * format.low, 2 * format.high]))
    above.plot(x, finite, label=table.name, **EXACT)
    above.set_ylim(*_limits(found, finite[table.inside]))
    above.set_ylabel("output")
    above.legend()
    with np.errstate(invalid="ignore"):
        off = np.where(table.inside, (found - table.values) / table.output.scale, np.nan)
    below.plot(x, off, **EXACT)
    below.set_ylabel("error in steps")
    below.set_xlabel(table.program.inputs[0])
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.suptitle(f"{table.name} as a table of {format.bits} bits")
    if path is not None:
        save(figure, path)
    return figure


def _limits(*parts: np.ndarray) -> tuple[float, float]:  # type: ignore[type-arg]
    numbers = np.concatenate(parts)
    low, high = float(numbers.min()), float(numbers.max())
    margin = 0.08 * (high - low) or 1.0
    return low - margin, high + margin
