"""The pictures, by what is drawn in them."""

import math
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from actgrad import activation
from actgrad.errors import CallError, MissingFrameworkError
from actgrad.study import plots
from tests.process import python


def spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


def d_spiky(x):
    return 1.0 if x % 1 <= 0.5 else 0.0


def heaviside(x):
    return 1.0 if x >= 0 else 0.0


def triangle(x):
    return max(0, 1 - abs(x))


def lines(ax):
    """What is drawn as lines: (label or None, x, y)."""
    drawn = [line for line in ax.get_lines() if line.get_linestyle() != "None"]
    return [
        (line.get_label(), np.asarray(line.get_xdata()), np.asarray(line.get_ydata()))
        for line in drawn
        if len(line.get_xdata()) > 2
    ]


def dots(ax, marker="o"):
    """(x, y, whether it is full) of every dot."""
    return {
        (
            float(line.get_xdata()[0]),
            round(float(line.get_ydata()[0]), 6),
            line.get_mfc() != "white",
        )
        for line in ax.get_lines()
        if line.get_marker() == marker
    }


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_no_line_crosses_a_jump():
    ax = activation(spiky, derivative=d_spiky).plot(-2.2, 2.2).axes[0]
    steepest = max(float(np.max(np.abs(np.diff(y) / np.diff(x)))) for _, x, y in lines(ax))
    assert steepest < 1.5


def test_what_is_drawn_is_the_function():
    ax = activation(math.exp, name="e").plot(-1, 1).axes[0]
    (label, x, y), (_, x_d, y_d) = lines(ax)
    assert label == "e(x)"
    assert (x[0], x[-1]) == (-1, 1)
    assert y == pytest.approx(np.exp(x))
    assert y_d == pytest.approx(np.exp(x_d))


def test_dots_at_a_jump_are_full_where_the_value_is():
    ax = activation(heaviside, surrogate=triangle).plot().axes[0]
    assert dots(ax) == {(0.0, 1.0, True), (0.0, 0.0, False)}


def test_a_single_point_apart_has_a_full_dot_and_an_open_one():
    ax = activation(lambda x: 2.0 if x == 1 else x).plot().axes[0]
    assert dots(ax) >= {(1.0, 2.0, True), (1.0, 1.0, False)}


def test_kinks_are_diamonds():
    ax = activation(lambda x: max(-1, min(1, x))).plot().axes[0]
    assert {(x, y) for x, y, _ in dots(ax, "D")} == {(-1.0, -1.0), (1.0, 1.0)}
    assert "kink" in legend(ax)


def test_the_exact_derivative_only_if_it_is_another():
    same = activation(spiky, derivative=d_spiky, name="f").plot().axes[0]
    other = activation(heaviside, surrogate=triangle, name="f").plot().axes[0]
    assert legend(same)[:2] == ["f(x)", "derivative (as given)"]
    assert "exact derivative" not in legend(same)
    assert legend(other)[:3] == ["f(x)", "derivative (surrogate)", "exact derivative"]


def test_a_gradient_rule_is_drawn_for_both_signs():
    guided = activation(lambda x: max(x, 0), gradient=lambda x, g: g if x > 0 and g > 0 else 0)
    ax = guided.plot().axes[0]
    assert {"gradient for upstream +1", "gradient for upstream −1"} <= set(legend(ax))


def test_a_pole_does_not_flatten_the_rest():
    bottom, top = activation(lambda x: 1 / x).plot().axes[0].get_ylim()
    assert -100 < bottom < -1 < 1 < top < 100


def test_parameters_and_formula_in_the_title():
    ax = activation(lambda x, beta=1.0: x * beta, name="line").plot(beta=2.5).axes[0]
    assert ax.get_title(loc="left") == "line = x * beta   (beta = 2.5)"
    assert lines(ax)[0][2][-1] == pytest.approx(10.0)


def test_two_inputs_are_maps():
    figure = activation(lambda a, b: max(a, 0) * b, name="gate").plot(-2, 2)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["gate(a, b)", "derivative by a", "derivative by b"]
    image = figure.axes[0].get_images()[0].get_array()
    assert image[-1, -1] == pytest.approx(4.0)
    assert image[0, -1] == pytest.approx(-4.0)
    points = np.concatenate([line.get_xydata() for line in figure.axes[0].get_lines()])
    assert set(points[:, 0]) == {0.0}


def test_two_inputs_with_a_surrogate_show_the_exact_derivatives_too():
    figure = activation(lambda a, b: 1 if a > b else 0, surrogate=1).plot()
    titles = [ax.get_title() for ax in figure.axes]
    assert "exact derivative by a" in titles
    assert "exact derivative by b" in titles


def test_three_inputs_are_slices():
    figure = activation(lambda a, b, c: a * b + max(a, c)).plot()
    assert [ax.get_xlabel() for ax in figure.axes] == ["a", "b", "c"]


def test_host():
    ax = activation(math.tanh, derivative=1, host=True, name="t").plot().axes[0]
    assert lines(ax)[0][2] == pytest.approx(np.tanh(lines(ax)[0][1]))


def test_on_given_axes():
    from matplotlib.figure import Figure

    figure = Figure()
    ax = figure.add_subplot()
    assert activation(math.sin).plot(ax=ax) is figure
    assert lines(ax)


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_written(tmp_path, suffix, start):
    path = tmp_path / f"picture.{suffix}"
    figure = activation(math.tanh).plot(path=path)
    assert path.read_bytes().startswith(start)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_pyplot_is_left_alone():
    code = (
        "import sys, math; from actgrad import activation; activation(math.tanh).plot();"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert python("-c", code) == []


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    plots._picture_class.cache_clear()
    with pytest.raises(MissingFrameworkError, match=r"pip install 'actgrad\[workbench\]'"):
        activation(math.tanh).plot()


@pytest.mark.parametrize(("low", "high"), [(1, 1), (3, -3), (math.nan, 1)])
def test_empty_range(low, high):
    with pytest.raises(CallError, match="from low to high"):
        activation(math.tanh).plot(low, high)
