"""Which of many cases `make test` runs; the others are `exhaustive`, for `make test-all`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest


def exhaustive_but(chosen: Iterable[Any], cases: Iterable[Any]) -> list[Any]:
    """All cases, as parameters of a test; those that are not chosen are exhaustive."""
    chosen, cases = list(chosen), list(cases)
    assert all(case in cases for case in chosen), "no such case"
    return [c if c in chosen else pytest.param(c, marks=pytest.mark.exhaustive) for c in cases]


def only_diagonals(items: Iterable[pytest.Item]) -> None:
    """Of the cross product of a test's cases, marked `diagonal`: leave those in which each occurs."""
    tests: dict[str, list[Any]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("diagonal") and not item.get_closest_marker("exhaustive"):
            tests[item.nodeid.partition("[")[0]].append(item)
    for cases in tests.values():
        values: dict[tuple[str, ...], list[Any]] = defaultdict(list)
        for item in cases:
            for names, value in _axes(item).items():
                if value not in values[names]:
                    values[names].append(value)
        longest = max(values, key=lambda names: len(values[names]))
        unseen = {(names, value) for names in values for value in values[names]}
        others = []
        for item in cases:
            at = {names: values[names].index(value) for names, value in _axes(item).items()}
            if all(at[names] == at[longest] % len(values[names]) for names in values):
                unseen -= set(_axes(item).items())
            else:
                others.append(item)
        for item in others:
            if unseen & set(_axes(item).items()):
                unseen -= set(_axes(item).items())
            else:
                item.add_marker(pytest.mark.exhaustive)


def _axes(item: Any) -> dict[tuple[str, ...], Any]:
    """For each list of cases that the test is made of: its arguments, and the case as it can be compared."""
    lists = []
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0]
        names = names.split(",") if isinstance(names, str) else names
        lists.append(tuple(name.strip() for name in names))
    alone = item.callspec.params.keys() - {name for names in lists for name in names}
    lists += [(name,) for name in sorted(alone)]
    return {
        names: tuple(id(item.callspec.params[name]) for name in names)
        for names in lists
        if names[0] in item.callspec.params
    }
