"""The forecast of a deep network, layer by layer, and its picture."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from actgrad.common.types import Fields
from actgrad.study.plots import EXACT, FUNCTION, IN_FORCE, new_figure, plain, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_TEN = np.log(10)
_FEW = 3  # powers of ten
_VISIBLE = 0.1  # of a power of ten, beside the width of a line
_EDGE, _EDGES = 12, "10⁻¹² to 10¹²"  # powers of ten: a network is lost long before


@dataclass(frozen=True)
class FixedPoint:
    """A variance that a layer keeps. Attracting with a slope (d log h / d log q) below 1."""

    variance: float
    slope: float

    @property
    def attracts(self) -> bool:
        return abs(self.slope) < 1


@dataclass(frozen=True)
class Forecast:
    """Layer by layer, the first one first: means over random networks, and how far they scatter."""

    name: str
    depth: int
    width: int
    weight_scale: float
    bias_scale: float
    log_variance: tuple[float, ...]
    """E log q of the pre-activations."""
    log_variance_spread: tuple[float, ...]
    """The standard deviation of log q from network to network."""
    gradient_rms: tuple[float, ...]
    """exp(E log g), with g the rms of the gradient by the pre-activations, 1 at the last layer."""
    gradient_spread: tuple[float, ...]
    """The standard deviation of log g from network to network."""
    fixed_points: tuple[FixedPoint, ...]
    """The variances that an infinitely wide layer keeps, if they are single points."""
    keeps_every: bool
    """Whether (nearly) every variance is kept, as by ReLU with its gain."""
    log_map: tuple[tuple[float, float], ...] = field(repr=False)
    """The map of an infinitely wide layer: log q, and the next layer's log q."""

    @property
    def diverges(self) -> tuple[str, ...]:
        """What leaves every useful range within one standard deviation, and from which layer on, in words."""
        gradient = np.log(np.maximum(self.gradient_rms, 1e-300))
        found = []
        for what, middle, spread, order in (
            ("variance", self.log_variance, self.log_variance_spread, 1),
            ("gradient", gradient, self.gradient_spread, -1),
        ):
            reach = np.abs(np.array(middle)) + np.array(spread)
            beyond = np.flatnonzero(reach > _EDGE * _TEN)[::order]
            if len(beyond):
                where = f"from layer {beyond[0] + 1} {'on' if order > 0 else 'down'}"
                found.append(f"in many networks the {what} leaves {_EDGES}, {where}")
        return tuple(found)

    def to_dict(self) -> Fields:
        """For JSON, without the map."""
        found = dataclasses.asdict(self)
        del found["log_map"]
        return found

    @property
    def _title(self) -> str:
        return (
            f"{self.name}: {self.depth} layers of {self.width}, weights × {self.weight_scale:g} of the "
            f"gain, biases {self.bias_scale:g}"
        )

    def __str__(self) -> str:
        lines = [
            self._title,
            "  layer    variance  (factor ÷ ×)    gradient rms  (factor ÷ ×)",
        ]
        rows = zip(
            self.log_variance,
            self.log_variance_spread,
            self.gradient_rms,
            self.gradient_spread,
            strict=True,
        )
        for i, (q, dq, g, dg) in enumerate(rows):
            log_g = math.log(max(g, 1e-300))
            lines.append(f"  {i + 1:5}{_cells(q, dq, 12)}{_cells(log_g, dg, 16)}".rstrip())
        lines += [f"  it diverges: {text}" for text in self.diverges]
        return "\n".join(lines)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw the variance map with its fixed points, and the forecast by layer.

        Writes the picture to `path` (png, svg, pdf, ...) if one is given. Raises
        `MissingFrameworkError` without matplotlib.
        """
        figure = new_figure(11, 4.6)
        left, right = figure.subplots(1, 2)
        _map(left, self)
        _layers(right, self)
        figure.suptitle(self._title, fontsize=11)
        if path is not None:
            save(figure, path)
        return figure


def finite_exp(x: float) -> float:
    """e^x, and inf instead of an OverflowError."""
    return math.exp(x) if x < 700 else math.inf


def _cells(middle: float, spread: float, width: int) -> str:
    """A mean and its factor, both given as logarithms."""
    if abs(middle) + spread > _EDGE * _TEN:
        return f"{'diverges':>{width}}{'':16}"
    return f"{math.exp(middle):{width}.4g}{math.exp(spread):16.4g}"


def _map(axes: Axes, forecast: Forecast) -> None:
    q, h = np.array(forecast.log_map).T / _TEN
    seen = np.abs(q) <= 5  # to beyond the edge
    axes.axhline(0, label="kept (1)", **EXACT)
    axes.plot(q[seen], (h - q)[seen], label="one layer", **FUNCTION)
    for point in forecast.fixed_points:
        x = np.log10(point.variance)
        if abs(x) <= 4:
            word, face = ("draws in", "#D55E00") if point.attracts else ("drives away", "white")
            label = f"fixed point at {point.variance:.3g}, {word}"
            style = {"mfc": face, "mec": "#D55E00", "mew": 2, "ms": 9, "zorder": 6}
            axes.plot(x, 0, "o", label=label, **style)
    if forecast.keeps_every:
        axes.plot([], [], " ", label="every variance is kept")
    walk = np.clip(np.array(forecast.log_variance) / _TEN, -300, 300)
    if np.ptp(walk) > _VISIBLE:
        style = {"color": "#009E73", "lw": 1.2, "marker": ".", "zorder": 5}
        axes.plot(walk[:-1], np.diff(walk), label="layer by layer", **style)
    inside = (h - q)[np.abs(q) <= 4]
    low, high = (min(inside.min(), -1.0), max(inside.max(), 1.0)) if len(inside) else (-1.0, 1.0)
    low, high = max(low, -4.0), min(high, 4.0)
    axes.set(xlim=(-4, 4), ylim=(low - 0.1, high + 0.1))
    axes.set(xlabel="variance q", ylabel="variance of the next layer / q")
    _numbers(axes.xaxis, -4, 4)
    _numbers(axes.yaxis, low, high)
    axes.set_title("variance map", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="best")
    plain(axes)


def _layers(axes: Axes, forecast: Forecast) -> None:
    layers = np.arange(1, forecast.depth + 1)
    gradient = np.log(np.maximum(forecast.gradient_rms, 1e-300))
    rows = (
        (forecast.log_variance, forecast.log_variance_spread, FUNCTION, "variance, forward"),
        (gradient, forecast.gradient_spread, IN_FORCE, "gradient rms, backward"),
    )
    for middle, spread, style, label in rows:
        m, s = np.array(middle) / _TEN, np.array(spread) / _TEN
        axes.fill_between(layers, m - s, m + s, color=style["color"], alpha=0.18, lw=0)
        axes.plot(layers, m, marker="o", ms=4, label=label, **style)
    low, high = axes.get_ylim()
    axes.set_ylim(max(min(low, -1), -_EDGE), min(max(high, 1), _EDGE))
    if forecast.diverges:
        axes.text(
            *(0.02, 0.03, "\n".join(forecast.diverges)), transform=axes.transAxes, fontsize=8,
            color="#A03000", zorder=7, bbox={"facecolor": "white", "edgecolor": "none", "pad": 3},
        )  # fmt: skip
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(whole_numbers())
    _numbers(axes.yaxis, *axes.get_ylim())
    axes.set_title(
        "forecast by layer (band: one standard deviation of networks)", loc="left", fontsize=10
    )
    axes.legend(frameon=False, fontsize=9)
    plain(axes)


def _numbers(axis: Axis, low: float, high: float) -> None:
    """Ticks for logarithms to base 10: powers of ten, and within few of them 1, 2, 5 as well."""
    if high - low > _FEW:
        axis.set_major_locator(whole_numbers())
        axis.set_major_formatter(lambda value, _: f"$10^{{{value:g}}}$")
        return
    tens = 10.0 ** np.arange(np.floor(low), np.ceil(high) + 1)
    axis.set_ticks([t for t in np.log10(np.outer(tens, (1, 2, 5))).ravel() if low <= t <= high])
    axis.set_major_formatter(lambda value, _: f"{10**value:.3g}")


def whole_numbers() -> object:
    """Ticks at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)
