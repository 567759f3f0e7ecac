"""The picture of a table: the real function, the steps, and the error below."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from actgrad.integers.exact import Array
from actgrad.study.plots import EXACT, FUNCTION, new_figure, plain, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def picture(
    title: str,
    input: str,
    x: Array,
    found: Array,
    values: Array,
    step: float,
    path: str | os.PathLike[str] | None,
) -> Figure:
    """Draw a table: see `Table.plot`. Where the output saturates, `values` is nan."""
    figure = new_figure(7.6, 6.0)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.step(x, found, where="mid", label="table", **FUNCTION)
    above.plot(x, values, label="real, where the table holds it", **EXACT)
    above.set_ylabel("output")
    above.legend()
    below.plot(x, (found - values) / step, **EXACT)
    below.set_ylabel("error in steps")
    below.set_xlabel(input)
    for axes in (above, below):
        plain(axes)
    figure.suptitle(title)
    if path is not None:
        save(figure, path)
    return figure
