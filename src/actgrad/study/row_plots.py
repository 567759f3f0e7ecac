"""Pictures of a function of a row: a sample row and what is made of it, one number moving, the Jacobian."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from actgrad.common.types import Array, Fields
from actgrad.language.length import MOST
from actgrad.language.program import Program
from actgrad.study.plots import (
    EXACT,
    FUNCTION,
    IN_FORCE,
    KINDS,
    heat_map,
    legend_below,
    new_figure,
    plain,
    title,
)
from actgrad.study.row_check import evaluated, jacobian

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PATTERN = (0.36, 0.62, 0.5, 0.74, 0.28, 0.57, 0.69, 0.42)
"""Where the numbers of a sample row lie between the ends: no two are equal, and one is the largest."""


def draw(program: Program, low: float, high: float, ax: Axes | None = None) -> Figure:
    """Draw a program of rows: see `Studied.plot`."""
    n = next(n for n in (8, 6, 9, 5, *range(1, MOST)) if program.misfit(n) is None)
    at = _sample(program, n, low, high)
    if ax is not None:
        _slice(ax, program, at, low, high)
        return ax.figure.figure  # of a subfigure, the whole one
    panels = _jacobians(program, at, n)
    figure = new_figure(8.6 + 3.6 * len(panels), 4.4)
    first, second, *rest = figure.subplots(
        1, 2 + len(panels), gridspec_kw={"width_ratios": [1.1, 1.1, *[1] * len(panels)]}
    )
    _rows(first, program, at)
    _slice(second, program, at, low, high)
    for axes, (label, by, image) in zip(rest, panels, strict=True):
        _matrix(figure, axes, label, by, image)
    figure.suptitle(title(program), fontsize=12, x=0.01, ha="left")
    return figure


def _sample(program: Program, n: int, low: float, high: float) -> Fields:
    found: Fields = {}
    for i, name in enumerate(program.inputs):
        found[name] = low + (high - low) * np.roll(np.resize(_PATTERN, n), 3 * i)
    return found | {
        name: np.float64(v) for name, v in program.parameters if isinstance(v, (int, float))
    }


def _result(program: Program, at: Fields) -> Array:
    """One row, or one for each row of the batch, as many numbers as the result has."""
    found, width = np.atleast_1d(evaluated(program, at)), program.value.width
    size = 1 if width is None else int(width.at(np.shape(at[program.inputs[0]])[-1]))
    return np.broadcast_to(found, (*found.shape[:-1], size))


def _jacobians(program: Program, at: Fields, n: int) -> list[tuple[str, str, Array]]:
    """By each input, and the exact one beside it where that is another."""
    panels = []
    several = len(program.inputs) > 1
    for by in program.inputs:
        name = f" by {by}" if several else ""
        found = jacobian(program, by, at, n)
        exact = jacobian(program.exact(), by, at, n)
        differ = not np.allclose(exact, found, rtol=1e-4, atol=1e-7, equal_nan=True)
        is_zero = "; the exact one is 0" if differ and not exact.any() else ""
        panels.append((f"Jacobian{name}\n({KINDS[program.kind]}{is_zero})", by, found))
        if differ and not is_zero:
            panels.append((f"exact Jacobian{name}", by, exact))
    return panels


def _rows(ax: Axes, program: Program, at: Fields) -> None:
    """The numbers of the row, and those of the result: bars side by side."""
    styles = (EXACT, IN_FORCE)
    result, names = _result(program, at), program.inputs
    wide = 0.8 / (1 + len(names))
    series = [*((at[name], name, styles[i % 2]["color"]) for i, name in enumerate(names))]
    series.append((result, f"{program.name}({', '.join(names)})", FUNCTION["color"]))
    for i, (row, label, color) in enumerate(series):
        shift = (i - len(names) / 2) * wide
        alpha = 1.0 if i == len(names) else 0.45
        ax.bar(np.arange(len(row)) + shift, row, wide, color=color, alpha=alpha, label=label)
    ax.axhline(0, color="#888888", linewidth=0.8)
    ax.set_xticks(range(max(len(row) for row, _, _ in series)))
    ax.set_xlabel("place in the row", fontsize=11)
    ax.set_title("a sample row", fontsize=12)
    _framed(ax)


def _slice(ax: Axes, program: Program, at: Fields, low: float, high: float) -> None:
    """What is made of the row while its first number moves. Of many numbers, the first eight."""
    first = program.inputs[0]
    line = np.linspace(low, high, 801)
    batch = dict(at)
    for name in program.inputs:
        batch[name] = np.tile(at[name], (len(line), 1))
    batch[first][:, 0] = line
    found = _result(program, batch)
    found = np.where(np.isfinite(found), found, np.nan)
    size = found.shape[-1]
    shown = min(size, 8)
    for i in reversed(range(shown)):
        style = FUNCTION if not i else {"linewidth": 1.6, "color": (*_shade(i / shown), 1.0)}
        label = f"{program.name}" if size == 1 else f"place {i}"
        ax.plot(line, found[:, i], label=label, **style)
    ax.set_xlim(low, high)
    ax.set_xlabel(f"{first}[0], the others as in the sample row", fontsize=11)
    ax.set_title("the result as one number moves", fontsize=12)
    _framed(ax, columns=4, reverse=True)


def _shade(share: float) -> tuple[float, float, float]:
    """From dark to light, told apart with every kind of colour vision."""
    from matplotlib import colormaps

    r, g, b, _ = colormaps["viridis"](0.15 + 0.8 * share)
    return r, g, b


def _framed(ax: Axes, columns: int = 3, reverse: bool = False) -> None:
    plain(ax)
    ax.tick_params(labelsize=10)
    step = -1 if reverse else 1
    handles, labels = (each[::step] for each in ax.get_legend_handles_labels())
    legend_below(
        ax, handles, labels, 0.16, columns, fontsize=9.5, columnspacing=1.4, handlelength=1.6
    )


def _matrix(figure: Figure, ax: Axes, label: str, by: str, image: Array) -> None:
    """A line for each number of the result, a column for each one of the row."""
    heat_map(figure, ax, image, (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5))
    ax.set_xlabel(f"place in {by}", fontsize=11)
    ax.set_ylabel("place in the result", fontsize=11)
    ax.set_xticks(range(image.shape[1]))
    ax.set_yticks(range(image.shape[0]))
    ax.set_title(label, fontsize=12)
