"""Functions in each library's own spelling are read as the library runs them, or refused by our own
error: no argument is ignored, and no other library's exception comes out."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterator
from unittest import mock

import numpy as np
import pytest

from actgrad.errors import ActgradError
from actgrad.language.derive import derive
from actgrad.language.expression import Expr, evaluate, plain
from actgrad.reading.define import define
from actgrad.reading.witnesses import native, witness
from actgrad.reading.witnesses.original import IRREGULAR, points
from tests.fuzz.spelling import MODULES, Spelled, spelled

FUZZ = int(os.environ.get("ACTGRAD_FUZZ", "300"))
SHARES = {"torch": 0.3, "numpy": 0.3, "tensorflow": 0.2, "keras": 0.15, "jax": 0.05}
"""JAX compiles each operation with each of its arguments, so it has fewer."""
SEED = random.randrange(10**9) if "ACTGRAD_FUZZ" in os.environ else 0


def fault(one: Spelled) -> str | None:
    """What is wrong with the reading of a function; None if nothing is."""
    function = one.function()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = define(function)
        except ActgradError as error:
            return None if "\n  " in str(error) else f"no way out: {error}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        run = own_run(one, function)
    if run is None:
        return "read, though the library refuses it"
    run, column = run
    wrong = different(program.value, column, run.outputs[0], run.narrow)
    if wrong or run.slopes is None:
        return wrong and f"value {wrong}"
    slope = plain(derive(program.value, "x"))
    smooth = np.flatnonzero(np.isfinite(run.outputs[0].ravel()))
    smooth = smooth[smooth < len(IRREGULAR)]
    wrong = different(slope, column[smooth], run.slopes[0].ravel()[smooth], run.narrow)
    return wrong and f"slope {wrong}"


def own_run(one: Spelled, function: object) -> tuple[native.Run, np.ndarray] | None:
    library, *_ = native.libraries(native.mentions(function).libraries)
    for dtype in (np.float64, np.float32):
        (column,) = points(1)
        column = column.astype(dtype)
        for slopes in (True, False):
            try:
                return library.run(function, [column], slopes), column.astype(np.float64)
            except native.NotTaken:
                continue
    return None


def different(root: Expr, column: np.ndarray, theirs: np.ndarray, narrow: bool) -> str | None:
    if theirs.shape != column.shape and theirs.size != 1:
        return f"has the shape {theirs.shape}"
    ours = np.broadcast_to(evaluate(root, {"x": column}), column.shape)
    theirs = np.broadcast_to(theirs, column.shape)
    relative, absolute = (1e-3, 1e-4) if narrow else (1e-5, 1e-8)
    wrong = np.isfinite(theirs) & ~np.isclose(ours, theirs, relative, absolute)
    if not wrong.any():
        return None
    i = np.flatnonzero(wrong)[0]
    return f"at {column[i]:g}: {ours[i]:.9g}, and the library's {theirs[i]:.9g}"


@pytest.mark.parametrize("package", MODULES)
def test_read_right_or_refused(package: str) -> None:
    pytest.importorskip(package)
    count = max(10, round(FUZZ * SHARES[package]))
    assert list(faults(package, SEED, count)) == []


def faults(package: str, seed: int, count: int) -> Iterator[str]:
    for i in range(count):
        one = spelled(package, seed + i)
        found = fault(one)
        if found:
            yield f"{package} {seed + i}: {one.text}: {found}"


def test_a_planted_fault_is_told() -> None:
    torch = pytest.importorskip("torch")
    from actgrad.reading.libraries import names

    known = names.meaning
    ignores = lambda x, *args, **kwargs: x
    with (
        mock.patch.object(witness, "check"),
        mock.patch.object(names, "meaning", lambda f: ignores if f is torch.round else known(f)),
    ):
        assert "value at" in str(fault(Spelled("torch", "torch.round(x, decimals=1)")))
