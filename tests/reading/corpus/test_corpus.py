"""Every elementwise function that the libraries ship is read as the library runs it, or refused."""

from __future__ import annotations

import pytest

from tests.reading.corpus import functions
from tests.reading.corpus.functions import FUNCTIONS
from tests.reading.corpus.page import PAGE, read_names
from tests.reading.corpus.reading import AT_KINKS, REFUSED, RIGHT, find, outcome


def _thirds(path: str, names: list[str]) -> list[list[str]]:
    return [names[i::3] for i in range(3)] if path.startswith("jax") else [names]


# JAX compiles each function for its own run: every third here, the others with `make test-all`.
PARTS = [
    pytest.param(
        path, names, id=path if i == 0 else f"{path}, {i}", marks=[pytest.mark.exhaustive] * bool(i)
    )
    for path, text in FUNCTIONS.items()
    for i, names in enumerate(_thirds(path, text.split()))
]


@pytest.mark.parametrize(("path", "names"), PARTS)
def test_read_right_or_refused(path: str, names: list[str]) -> None:
    package = path.partition(".")[0]
    pytest.importorskip(package)
    expected = read_names(PAGE.read_text(encoding="utf-8"), path)
    faults = []
    for name in names:
        found = outcome(package, find(path, name))
        allowed = {RIGHT, AT_KINKS} if f"{path}.{name}" in functions.AT_KINKS else {RIGHT}
        if name not in expected:
            allowed.add(REFUSED)
        if found.kind not in allowed:
            faults.append(f"{path}.{name}: {found.kind}: {found.detail}")
    assert faults == []


def test_a_wrong_reading_is_told() -> None:
    """The comparison itself finds a fault."""
    import numpy as np

    from actgrad.language.expression import var
    from actgrad.reading.witnesses.original import points
    from tests.reading.corpus.reading import WRONG, compared

    (column,) = points(1)
    assert compared(var("x"), column, column, narrow=False).kind == RIGHT
    assert compared(var("x"), column, column * (1 + 1e-5), narrow=False).kind == WRONG
    kinked = np.where(column == 0.0, 1.0, column)
    assert compared(var("x"), column, kinked, narrow=False).kind == AT_KINKS
