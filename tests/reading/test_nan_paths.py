"""Comparisons that leave nan alone: there is no number for which Python gives no answer."""

import math

import pytest

from actgrad.errors import TraceError
from actgrad.reading.define import define


def _steps(x):
    if x < 0:
        return 1
    if 0 <= x < 1:
        return x
    if x >= 1:
        return 3


def _signs(x):
    if x < 0:
        return -x
    elif x == 0:
        return 5
    elif x > 0:
        return x * x


@pytest.mark.parametrize("function", [_steps, _signs], ids=lambda f: f.__name__)
def test_comparisons_that_leave_nothing_but_nan(function, reads_as_python):
    reads_as_python(function)
    assert math.isnan(float(define(function).evaluate(math.nan)))


def test_comparisons_that_leave_a_number():
    def gap(x):
        if x < 0:
            return 1
        if x > 0:
            return 2

    with pytest.raises(TraceError, match="a `return` missing"):
        define(gap)
