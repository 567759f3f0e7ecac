"""Which of many cases `make test` runs; the others are `exhaustive`, for `make test-all`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def exhaustive_but(chosen: Iterable[Any], cases: Iterable[Any]) -> list[Any]:
    """All cases, as parameters of a test; those that are not chosen are exhaustive."""
    chosen, cases = list(chosen), list(cases)
    assert all(case in cases for case in chosen), "no such case"
    return [c if c in chosen else pytest.param(c, marks=pytest.mark.exhaustive) for c in cases]
