"""The picture of a function of a row: what is drawn is what the user's function and its matrix are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actgrad import activation, rows
from actgrad.errors import CallError

pytest.importorskip("matplotlib")


def image(ax: Any) -> Any:
    return np.asarray(ax.images[0].get_array())


def softmax(x: Any) -> Any:
    powers = np.exp(x - np.max(x))
    return powers / np.sum(powers)


def row_of(ax: Any, i: int) -> Any:
    return np.array([bar.get_height() for bar in ax.containers[i]])


def test_a_row_its_result_and_the_jacobian() -> None:
    figure = rows.softmax.plot(temperature=2.0)
    first, second, third, _ = figure.axes
    x, y = row_of(first, 0), row_of(first, 1)
    np.testing.assert_allclose(y, softmax(x / 2))
    np.testing.assert_allclose(image(third), (np.diag(y) - np.outer(y, y)) / 2, atol=1e-12)
    assert third.get_title() == "Jacobian\n(exact)"
    lines = {line.get_label(): line for line in second.lines}
    for i in range(8):
        at = lines[f"place {i}"]
        moved = np.concatenate([[at.get_xdata()[500]], x[1:]])
        np.testing.assert_allclose(at.get_ydata()[500], softmax(moved / 2)[i])
    assert second.get_xlim() == (-4, 4)


def test_of_a_surrogate_the_jacobian_in_force() -> None:
    first, _, third, _ = rows.hardmax.plot().axes
    x, y = row_of(first, 0), row_of(first, 1)
    assert y.tolist() == np.eye(8)[np.argmax(x)].tolist()
    p = softmax(x)
    np.testing.assert_allclose(image(third), np.diag(p) - np.outer(p, p), atol=1e-12)
    assert "(surrogate; the exact one is 0)" in third.get_title()
    soft = activation(softmax, axis=-1, name="soft", surrogate=lambda x: x * np.mean(x))
    _, _, third, fourth, *_ = soft.plot().axes
    assert fourth.get_title() == "exact Jacobian"
    np.testing.assert_allclose(image(fourth), np.diag(p) - np.outer(p, p), atol=1e-12)
    np.testing.assert_allclose(image(third), np.eye(8) * x.mean() + x[:, None] / 8, atol=1e-12)


def test_other_lengths_one_number_and_several_inputs() -> None:
    norm = activation(lambda x: np.sqrt(np.sum(x * x)), axis=-1, name="norm")
    first, second, third, _ = norm.plot().axes
    x = row_of(first, 0)
    np.testing.assert_allclose(row_of(first, 1), [np.linalg.norm(x)])
    np.testing.assert_allclose(image(third), x[None] / np.linalg.norm(x))
    assert [line.get_label() for line in second.lines] == ["norm"]
    assert image(rows.glu.plot().axes[2]).shape == (4, 8)
    assert image(rows.crelu.plot().axes[2]).shape == (16, 8)
    by_thirds = activation(lambda x: x[: len(x) // 3], axis=-1, name="by_thirds")
    assert image(by_thirds.plot().axes[2]).shape[1] % 8 in (0, 6)
    dot = activation(lambda x, y: x * np.sum(y), axis=-1, name="dot")
    titles = [ax.get_title() for ax in dot.plot().axes]
    assert titles[2:4] == ["Jacobian by x\n(exact)", "Jacobian by y\n(exact)"]


def test_a_file_axes_of_a_caller_and_a_wrong_range(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    rows.glu.plot(-1, 1, tmp_path / "glu.svg")
    assert "<svg" in (tmp_path / "glu.svg").read_text()
    figure = Figure()
    ax = figure.add_subplot()
    assert rows.softmax.plot(-1, 2, ax=ax) is figure
    assert ax.get_xlim() == (-1, 2)
    with pytest.raises(CallError, match="range"):
        rows.softmax.plot(2, 1)
