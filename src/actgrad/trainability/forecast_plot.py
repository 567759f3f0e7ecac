"""The picture of a forecast: the variance map with its fixed points, and the layers."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from actgrad.study.plots import EXACT, FUNCTION, IN_FORCE, _figure
from actgrad.trainability.forecast import Forecast

_TEN = np.log(10)
_FEW = 3  # powers of ten
_VISIBLE = 0.1  # of a power of ten, beside the width of a line


def plot(forecast: Forecast, path: str | os.PathLike[str] | None = None) -> Any:
    figure = _figure()(figsize=(11, 4.6), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    _map(left, forecast)
    _layers(right, forecast)
    figure.suptitle(
        f"{forecast.name}: {forecast.depth} layers of {forecast.width}, weights × "
        f"{forecast.weight_scale:g} of the gain, biases {forecast.bias_scale:g}",
        fontsize=11,
    )
    if path is not None:
        figure.savefig(path)
    return figure


def _map(axes: Any, forecast: Forecast) -> None:
    q, h = np.array(forecast.log_map).T / _TEN
    seen = np.abs(q) <= 5  # to beyond the edge
    axes.plot(q[seen], q[seen], label="kept", **EXACT)
    axes.plot(q[seen], h[seen], label="one layer", **FUNCTION)
    for point in forecast.fixed_points:
        x = np.log10(point.variance)
        if abs(x) <= 4:
            word, face = ("draws in", "#D55E00") if point.attracts else ("drives away", "white")
            label = f"fixed point at {point.variance:.3g}, {word}"
            style = {"mfc": face, "mec": "#D55E00", "mew": 2, "ms": 9, "zorder": 6}
            axes.plot(x, x, "o", label=label, **style)
    if forecast.keeps_every:
        axes.plot([], [], " ", label="every variance is kept")
    walk = np.clip(np.array(forecast.log_variance) / _TEN, -300, 300)
    if np.ptp(walk) > _VISIBLE:
        stairs = np.repeat(walk, 2)
        axes.plot(
            stairs[:-1], stairs[1:], color="#009E73", lw=1.2, label="layer by layer", zorder=5
        )
    axes.set(xlim=(-4, 4), ylim=(-4, 4), xlabel="variance q", ylabel="variance of the next layer")
    for axis in (axes.xaxis, axes.yaxis):
        _numbers(axis, -4, 4)
    axes.set_title("variance map", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    _plain(axes)


def _layers(axes: Any, forecast: Forecast) -> None:
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
    axes.set_ylim(min(low, -1), max(high, 1))
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(_whole())
    _numbers(axes.yaxis, *axes.get_ylim())
    axes.set_title(
        "forecast by layer (band: one standard deviation of networks)", loc="left", fontsize=10
    )
    axes.legend(frameon=False, fontsize=9)
    _plain(axes)


def _numbers(axis: Any, low: float, high: float) -> None:
    """Ticks for logarithms to base 10: powers of ten, and within few of them 1, 2, 5 as well."""
    if high - low > _FEW:
        axis.set_major_locator(_whole())
        axis.set_major_formatter(lambda value, _: f"$10^{{{value:g}}}$")
        return
    tens = 10.0 ** np.arange(np.floor(low), np.ceil(high) + 1)
    axis.set_ticks([t for t in np.log10(np.outer(tens, (1, 2, 5))).ravel() if low <= t <= high])
    axis.set_major_formatter(lambda value, _: f"{10**value:.3g}")


def _whole() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
