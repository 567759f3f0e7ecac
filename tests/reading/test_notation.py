"""Formulas of the table of meanings: what Python computes of the same text, and selects for symbols."""

from __future__ import annotations

import itertools
import math

import pytest

from actgrad import activation
from actgrad.reading.libraries import meanings
from actgrad.reading.libraries.notation import formulas

TEXTS = [
    "x - y - 1",
    "-x ** 2 % 3",
    "x // 2 + y * (x / 4)",
    "x if x > y else y if x >= -1 else x * x",
    "x if not x == y and x != 1 or y <= 0 else -x",
    "2 * math.sqrt(2) * abs(x)",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_formula_means_what_it_means_in_python(text: str) -> None:
    (function,) = formulas(f"f(x, y=0.5) =\n    {text}", vars(meanings), __file__).values()
    for x, y in itertools.product((-3.0, -1.0, 0.0, 0.5, 2.0), (0.5, -2.0, 3.0)):
        assert function(x, y) == eval(text, {"x": x, "y": y, "math": math})
        assert activation(lambda x, y: function(x, y), name="f")(x, y) == function(x, y)
    assert function(2.0) == function(2.0, 0.5)


def test_a_choice_is_a_select_and_no_decision() -> None:
    (function,) = formulas("f(x) = x if 0 < x else 0.0", vars(meanings), __file__).values()
    assert str(activation(lambda x: function(x), name="f").program) == "x if 0 < x else 0"
