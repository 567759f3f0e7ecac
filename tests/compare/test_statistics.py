"""Intervals, paired tests and Holm's correction against SciPy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from actgrad.workbench.compare.statistics import holm, interval, paired


@pytest.mark.parametrize("n", [2, 3, 10, 40])
def test_the_interval_is_students(n: int) -> None:
    values = np.random.default_rng(n).normal(0.9, 0.02, n)
    mean, low, high = interval(list(values))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("n", [2, 3, 10, 40])
def test_the_paired_test_is_students(n: int) -> None:
    a, b = np.random.default_rng(n).normal(0.9, 0.02, (2, n))
    assert paired(list(a - b)) == pytest.approx(stats.ttest_rel(a, b).pvalue)


@pytest.mark.parametrize(
    ("differences", "expected"), [([], None), ([0.1], None), ([0.0, 0.0], 1.0), ([0.1, 0.1], None)]
)
def test_where_nothing_can_be_said(differences: list[float], expected: float | None) -> None:
    assert paired(differences) == expected


@pytest.mark.parametrize(("values", "expected"), [([], (None,) * 3), ([0.5], (0.5, None, None))])
def test_too_few_for_an_interval(values: list[float], expected: tuple[float | None, ...]) -> None:
    assert interval(values) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # Holm (1979), by hand
        ([0.01, None, 0.03], [0.02, None, 0.03]),
        ([0.9, 0.8], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holm(given: list[float | None], expected: list[float | None]) -> None:
    assert holm(given) == pytest.approx(expected)
