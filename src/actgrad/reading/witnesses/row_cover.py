"""Rows for whose numbers a function's conditions have each answer, so that its own run shows what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np

from actgrad.common.types import Array
from actgrad.language.expression import Expr, is_const, walk

_NUMBERS = [*np.linspace(-6, 6, 121), *(s * 10.0**k for k in range(1, 7) for s in (1, -1, 3, -3))]
_SPECIAL = [0.0, np.nan, np.inf, -np.inf]
_TRIED = 4
"""So many numbers of those that give an answer, as a function may raise for some."""

Columns = list[Array]
Answers = Callable[[Expr, Columns], Array]


def rare(
    asked: Sequence[Expr], columns: Columns, answers: Answers
) -> Iterator[tuple[Expr, bool, list[Columns]]]:
    """Each condition with each answer that no number of these rows gives, and rows one number of which does,
    as far as there are any. `answers` evaluates a condition."""
    for condition in asked:
        given = answers(condition, columns)
        for answer in {True, False} - {bool(each) for each in np.ravel(given)}:
            tried = (rows for number in _numbers(condition) for rows in _moved(columns, number))
            fitting = (rows for rows in tried if (answers(condition, rows) == answer).any())
            yield condition, answer, [*islice(fitting, _TRIED)]


def _numbers(condition: Expr) -> list[float]:
    """Those that it compares with, and beside them, first."""
    constants = [float(node.value) for node in walk(condition) if is_const(node)]  # type: ignore[arg-type]
    near = [c + s * max(1.0, abs(c)) for c in constants for s in (0.0, 1e-3, -1e-3, 0.5, -0.5)]
    return [*near, *_NUMBERS, *_SPECIAL]


def _moved(columns: Columns, number: float) -> Iterator[Columns]:
    """The rows with this number in the place of an early one of one of them."""
    for i, column in enumerate(columns):
        if column.ndim:
            row = column.copy()
            row[len(row) // 3] = number
            yield [*columns[:i], row, *columns[i + 1 :]]
