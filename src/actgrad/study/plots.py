"""Pictures of an activation: the function, the derivative in force, the exact derivative."""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from actgrad.common.files import atomically
from actgrad.common.types import Array
from actgrad.errors import MissingFrameworkError
from actgrad.language.program import Program
from actgrad.study.breakpoints import Breakpoint, along, breakpoints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Okabe and Ito's colours, told apart with every kind of colour vision, and each with its own dashes.
FUNCTION = {"color": "#0072B2", "linewidth": 3.0, "zorder": 3}
IN_FORCE = {"color": "#D55E00", "linewidth": 1.8, "zorder": 4}
NEGATIVE = {"color": "#CC79A7", "linewidth": 2.0, "zorder": 4, "linestyle": (0, (6, 2))}
EXACT = {"color": "#333333", "linewidth": 1.5, "zorder": 5, "linestyle": (0, (2, 2))}
KINDS = {
    "exact": "exact",
    "derivative": "as given",
    "surrogate": "surrogate",
    "gradient": "gradient rule",
}
_MOST_DOTS = 60


def draw(program: Program, low: float = -4.0, high: float = 4.0, ax: Axes | None = None) -> Figure:
    """Draw a program: see `Studied.plot`."""
    inputs = program.inputs
    if ax is not None:
        _draw(ax, program, inputs[0], low, high)
        figure = ax.figure.figure  # of a subfigure, the whole one
    elif len(inputs) == 1:
        figure = new_figure(7.6, 4.8)
        _draw(figure.add_subplot(), program, inputs[0], low, high)
    elif len(inputs) == 2:
        figure = _maps(program, low, high)
    else:
        figure = new_figure(6.2 * len(inputs), 4.8)
        for axes, name in zip(figure.subplots(1, len(inputs)), inputs, strict=True):
            _draw(axes, program, name, low, high)
    return figure


def save(figure: Figure, path: str | os.PathLike[str], dpi: float | None = None) -> None:
    """Write the picture, whole or not at all, in the format of the name's ending (png without one).

    In as many dots per inch as the figure has, if not said. Raises `WriteError`.
    """
    path = Path(path)
    with atomically(path if path.suffix else path.with_suffix(".png")) as temporary:
        figure.savefig(temporary, dpi=dpi or "figure")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches. Raises `MissingFrameworkError` without matplotlib."""
    picture = _picture_class()
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
    return picture(figsize=(width, height), dpi=150, layout=engine)


@cache
def _picture_class() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingFrameworkError(
            "matplotlib, which draws the pictures, is not installed\n"
            "  pip install 'actgrad[workbench]'"
        ) from error

    class Picture(Figure):  # type: ignore[misc]
        """A figure that a notebook shows without pyplot."""

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png")
            return buffer.getvalue()

    return Picture


@dataclass(frozen=True)
class _Curve:
    """A function along one input, and where it breaks."""

    function: Callable[[Array], Array]
    breaks: tuple[Breakpoint, ...]
    label: str
    style: Mapping[str, Any]

    @property
    def jumps(self) -> list[Breakpoint]:
        return [b for b in self.breaks if b.kind == "jump"]

    def pieces(self, low: float, high: float) -> Iterator[tuple[Array, Array]]:
        """The stretches between jumps, with their kinks among the points."""
        ends = [low, *(x for b in self.jumps for x in (b.before, b.after)), high]
        kinks = np.array([b.x for b in self.breaks if b.kind == "kink"])
        for start, stop in zip(ends[::2], ends[1::2], strict=True):
            count = max(8, int(1600 * (stop - start) / (high - low)))
            inside = kinks[(kinks > start) & (kinks < stop)]
            x = np.union1d(np.linspace(start, stop, count), inside)
            yield x, self.function(x)


def _curve(
    program: Program,
    by: str,
    low: float,
    high: float,
    label: str,
    style: Mapping[str, object],
    **given: float,
) -> _Curve:
    at = {name: 0.5 for name in program.inputs if name != by} | given
    return _Curve(along(program, by, at), breakpoints(program, by, low, high, at), label, style)


def _curves(program: Program, by: str, low: float, high: float) -> list[_Curve]:
    several = len(program.inputs) > 1
    arguments = ", ".join(n if n == by else f"{n}=0.5" for n in program.inputs)
    name = "" if not several else f" by {by}"
    curves = [_curve(program, by, low, high, f"{program.name}({arguments})", FUNCTION)]
    if program.gradient:
        rule, up = program.vjp(by), program.upstream
        curves += [
            _curve(rule, by, low, high, f"gradient{name} for upstream +1", IN_FORCE, **{up: 1.0}),
            _curve(rule, by, low, high, f"gradient{name} for upstream −1", NEGATIVE, **{up: -1.0}),
        ]
    else:
        label = f"derivative{name} ({KINDS[program.kind]})"
        curves.append(_curve(program.partial(by), by, low, high, label, IN_FORCE))
    if program.kind != "exact" and not program.on_host:
        partial = program.exact().partial(by)
        exact = _curve(partial, by, low, high, f"exact derivative{name}", EXACT)
        if program.gradient or _differ(exact, curves[1], low, high):
            curves.append(exact)
    return curves


def _differ(a: _Curve, b: _Curve, low: float, high: float) -> bool:
    x = np.linspace(low, high, 1601)
    places = np.array([point.x for curve in (a, b) for point in curve.breaks])
    x = x[~np.isin(x, places)]
    one, other = a.function(x), b.function(x)
    return not np.allclose(one, other, rtol=1e-4, atol=1e-7, equal_nan=True)


def _draw(ax: Axes, program: Program, by: str, low: float, high: float) -> None:
    curves = _curves(program, by, low, high)
    seen = []
    for curve in curves:
        label: str | None = curve.label
        for x, y in curve.pieces(low, high):
            ax.plot(x, np.where(np.isfinite(y), y, np.nan), label=label, **curve.style)
            seen.append(y[np.isfinite(y)])
            label = None
    marks = {label for curve in curves for label in _dots(ax, curve)} | _kinks(ax, curves[0])
    _frame(ax, np.concatenate(seen), low, high, by)
    ax.set_title(title(program), loc="left", fontsize=12)
    _legend(ax, marks)


def _dots(ax: Axes, curve: _Curve) -> set[str]:
    """At a jump: the value, full, and the limits that it is not, open. Returns what was drawn."""
    drawn: set[str] = set()
    if len(curve.jumps) > _MOST_DOTS:
        return drawn
    color, order = curve.style["color"], curve.style["zorder"]
    size = 9 - order / 2 + 0.5  # of dots in one place, the one below shows around the one above
    for b in curve.jumps:
        own = float(curve.function(np.array([b.x]))[0])
        limits = [y for y in dict.fromkeys((b.left, b.right)) if math.isfinite(y)]
        hollow = [y for y in limits if not math.isclose(y, own, rel_tol=1e-6, abs_tol=1e-9)]
        full = [own] if math.isfinite(own) else []
        for y, face, label in (
            *((y, color, "value at a jump") for y in full),
            *((y, "white", "limit at a jump") for y in hollow),
        ):
            ax.plot(
                b.x, y, "o", ms=size, mfc=face, mec=color, mew=1.6, zorder=order + 4, clip_on=False
            )
            drawn.add(label)
    return drawn


def _kinks(ax: Axes, curve: _Curve) -> set[str]:
    kinks = [b for b in curve.breaks if b.kind == "kink"]
    if not kinks or len(kinks) > _MOST_DOTS:
        return set()
    color = curve.style["color"]
    for b in kinks:
        ax.plot(b.x, b.left, "D", ms=11, mfc="none", mec=color, mew=1.4, zorder=12, clip_on=False)
    return {"kink"}


def _frame(ax: Axes, y: Array, low: float, high: float, by: str) -> None:
    ax.set_xlim(low, high)
    if len(y):
        bottom, top = float(y.min()), float(y.max())
        inner = np.quantile(y, [0.06, 0.94])
        spread = float(inner[1] - inner[0])
        if top - bottom > 8 * spread > 0:  # a pole would flatten everything else
            bottom, top = max(bottom, inner[0] - spread), min(top, inner[1] + spread)
        margin = 0.07 * (top - bottom) or 0.5
        ax.set_ylim(bottom - margin, top + margin)
    ax.axhline(0, color="#888888", linewidth=0.8, zorder=1)
    ax.axvline(0, color="#888888", linewidth=0.8, zorder=1)
    plain(ax)
    ax.tick_params(labelsize=11)
    ax.set_xlabel(by, fontsize=12)


def plain(ax: Axes) -> None:
    """The frame of every drawing."""
    ax.grid(color="#E4E4E4", linewidth=0.8, zorder=0)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def legend_below(
    ax: Axes, handles: object, labels: object, below: float, columns: int, **style: float
) -> None:
    """A legend under the drawing, so many entries in a line."""
    where = {"loc": "upper center", "bbox_to_anchor": (0.5, -below)}
    ax.legend(handles, labels, **where, ncols=columns, frameon=False, **style)


def shortened(formula: str) -> str:
    """Six digits of each long constant."""
    constant = r"\d+\.\d{6,}(?:e[+-]\d+)?"
    return re.sub(constant, lambda number: f"{float(number[0]):.6g}", formula)


def title(program: Program) -> str:
    formula = shortened(program.formula)
    values = ", ".join(f"{n} = {v:g}" for n, v in program.settings.items() if isinstance(v, float))
    lines = formula.splitlines()
    fits = len(lines) <= 6 and max(map(len, lines)) <= 60
    text = f"{program.name} = {formula}" if fits else program.name
    return text + (f"   ({values})" if values else "")


def _legend(ax: Axes, marks: set[str]) -> None:
    from matplotlib.lines import Line2D

    handles, labels = ax.get_legend_handles_labels()
    for label, marker, face, size in (
        ("kink", "D", "none", 8),
        ("value at a jump", "o", "#333333", 6),
        ("limit at a jump", "o", "white", 6),
    ):
        if label in marks:
            handles.append(Line2D([], [], ls="", marker=marker, mfc=face, mec="#333333", ms=size))
            labels.append(label)
    legend_below(ax, handles, labels, 0.13, 3, fontsize=10.5, columnspacing=1.6, handlelength=2.4)


def _maps(program: Program, low: float, high: float) -> Figure:
    """Function and derivatives over two inputs; below them the exact derivatives, if others."""
    first, second = names = program.inputs
    a, b = np.meshgrid(*[np.linspace(low, high, 401)] * 2)

    def values(part: Program) -> Array:
        upstream = (1.0,) * (len(part.inputs) - 2)
        found = np.broadcast_to(part.evaluate(a, b, *upstream), a.shape).astype(float)
        return np.where(np.isfinite(found), found, np.nan)

    word = "gradient" if program.gradient else "derivative"
    in_force = [values(program.vjp(n) if program.gradient else program.partial(n)) for n in names]
    panels = [f"{program.name}({first}, {second})", *(f"{word} by {n}" for n in names)]
    value = values(program)
    rows = [list(zip(panels, [value, *in_force], strict=True))]
    if program.kind != "exact" and not program.on_host:
        exact = [values(program.exact().partial(n)) for n in names]
        if not np.allclose(exact, in_force, rtol=1e-4, atol=1e-7, equal_nan=True):
            labels = [f"exact derivative by {n}" for n in names]
            rows.append(list(zip(labels, exact, strict=True)))
    figure = new_figure(12.6, 3.9 * len(rows))
    axes = figure.subplots(len(rows), 3, squeeze=False)
    dots, jumps = _broken(program, low, high)
    for row, found in zip(axes, rows, strict=True):
        for ax in row[: 3 - len(found)]:
            ax.set_axis_off()
        for ax, (label, image) in zip(row[3 - len(found) :], found, strict=True):
            _map(figure, ax, image, dots, (low, high), names)
            ax.set_title(label, fontsize=12)
    if not jumps:
        lines = axes[0, 0].contour(a, b, value, levels=9, colors="#333333", linewidths=0.7)
        axes[0, 0].clabel(lines, fontsize=8)
    heading = title(program) + ("   (dotted: kinks and jumps)" if len(dots) else "")
    figure.suptitle(heading, fontsize=12, x=0.01, ha="left")
    return figure


def _map(
    figure: Figure,
    ax: Axes,
    image: Array,
    dots: Array,
    ends: tuple[float, float],
    names: Sequence[str],
) -> None:
    """Over two inputs, with the breakpoints on it."""
    heat_map(figure, ax, image, (*ends, *ends))
    if len(dots):
        ax.plot(dots[:, 0], dots[:, 1], ".", color="black", ms=2, zorder=5)
    ax.set_xlabel(names[0], fontsize=12)
    ax.set_ylabel(names[1], fontsize=12, rotation=0, labelpad=8)


def heat_map(
    figure: Figure, ax: Axes, image: Array, extent: tuple[float, float, float, float]
) -> None:
    """A heat map, its colours symmetric around 0 and not stretched by a pole."""
    known = np.abs(image[np.isfinite(image)])
    reach = (float(np.quantile(known, 0.995)) if len(known) else 0.0) or 1.0
    shown = ax.imshow(
        image,
        origin="lower" if extent[2] < extent[3] else "upper",
        extent=extent,
        cmap="RdBu_r",
        vmin=-reach,
        vmax=reach,
        interpolation="nearest",
    )
    ax.tick_params(labelsize=10)
    figure.colorbar(shown, ax=ax, shrink=0.9)


def _broken(program: Program, low: float, high: float) -> tuple[Array, bool]:
    """Points on the curves along which a function of two inputs has its kinks and jumps, and whether
    it has jumps."""
    first, second = program.inputs
    found, kinds = [], set()
    for value in np.linspace(low, high, 33).tolist():
        for b in breakpoints(program, first, low, high, {second: value}, 30):
            found.append((b.x, value))
            kinds.add(b.kind)
        for b in breakpoints(program, second, low, high, {first: value}, 30):
            found.append((value, b.x))
            kinds.add(b.kind)
    return np.array(found).reshape(-1, 2), "jump" in kinds
