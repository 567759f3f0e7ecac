"""The second witness of a function of a row: its own run on rows of several lengths, against its reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from actgrad.errors import ImpureError, TraceError
from actgrad.language.adjoint import adjoint
from actgrad.language.expression import Expr, const, make, plain, show, var, walk
from actgrad.language.rows import misfit
from actgrad.reading.outputs import length_of
from actgrad.reading.refusal import definition, refuse
from actgrad.reading.witnesses import native, row_cover
from actgrad.reading.witnesses.native import Array, Library, Run
from actgrad.reading.witnesses.original import (
    IRREGULAR,
    Original,
    attempt,
    refuse_slope,
    refuse_what_fails,
    refuse_writing,
)
from actgrad.reading.witnesses.rounding import tolerance

_LENGTHS = (12, 8, 6, 9, 5, 7, 16, 24, 4, 3, 2, 1, *range(25, 64))
_TIED = [1.0, -2.0, 3.0, 1.0, 0.0, 3.0, -0.5, 2.0, 2.0, -2.0, 0.5, 1.5]


def check(original: Original, slopes: bool) -> None:
    """Compare a reading with the function's own run, with its slopes too if asked, and refuse what is not
    the same."""
    function, own = original.function, original.own
    nodes = walk(*original.reading.outputs)
    lengths = [n for n in _LENGTHS if misfit(nodes, n) is None][:3]
    if not lengths:
        raise TraceError(
            f"{own.name!r} cannot be read: no row that was tried fits its parts\n{definition(function)}\n"
            f"  Take parts that a row of 12 numbers has."
        )
    mentioned = native.mentions(function)
    # One that names no library may still be written for tensors: `x.max(dim=-1)`.
    names = mentioned.libraries or ("numpy", *(n for n in native.imported() if n != "numpy"))
    libraries = native.libraries(names)
    for library in libraries:
        if _answers(original, library, lengths):
            _compare_rare(original, library, lengths[0])
            if slopes and (library.name == "torch" or not mentioned.plain):
                _compare_slopes(original, library, lengths[0])
            return
    n = lengths[0]
    columns = _columns(original, IRREGULAR, n, np.float32)
    refuse_what_fails(original, libraries[0], columns, f" of {n} numbers", "one row")


def _answers(original: Original, library: Library, lengths: Sequence[int]) -> bool:
    """Compare on this library's rows. Whether the function takes them."""
    samples = [IRREGULAR, IRREGULAR[11:] + IRREGULAR, _TIED]
    if any(node.op == "order" for node in walk(*original.reading.outputs)):
        del samples[-1]  # most libraries' sorts leave open which of two that are equal comes first
    for dtype in (np.float64, np.float32)[: 1 + (library.name != "numpy")]:
        runs = []
        for n in lengths:
            for numbers in samples:
                columns = _columns(original, numbers, n, dtype)
                run = attempt(original, library, columns)
                if run is None:
                    break
                runs.append((n, columns, run))
        if len(runs) == len(samples) * len(lengths):
            for n, columns, run in runs:
                _compare(original, library, n, columns, run)
            return True
    return False


def _compare_rare(original: Original, library: Library, n: int) -> None:
    """Compare on rows for which conditions on each number have answers that they have seldom. What a loop
    carries on from such a number shows there alone."""
    columns = _columns(original, IRREGULAR, n, np.float64)

    def answers(condition: Expr, rows: Sequence[Array]) -> Array:
        return np.atleast_1d(_evaluated(original, condition, n, rows))

    for condition, answer, found in row_cover.rare(original.reading.asked, columns, answers):
        runs = [(rows, attempt(original, library, rows)) for rows in found]
        for rows, run in runs:
            if run is not None:
                _compare(original, library, n, rows, run)
        if not found:
            refuse(
                f"the function asks each number of its row whether {show(condition)}, and no number was "
                f"found of which it is {str(answer).lower()}, to compare with",
                "Choose with `np.where(condition, a, b)`.",
                line=definition(original.function),
            )


def _columns(original: Original, numbers: Sequence[float], n: int, dtype: Any) -> list[Array]:
    columns = []
    for i, name in enumerate(original.inputs):
        row = np.roll(np.resize(numbers, n), 5 * i).astype(dtype)
        is_row = original.own.rows.get(name) is not None
        width = original.own.rows[name].at(n) if is_row else None  # type: ignore[union-attr]
        columns.append(np.resize(row, width) if width is not None else row[0])
    return columns


def _evaluated(original: Original, root: Expr, n: int, columns: Sequence[Array]) -> Array:
    found = np.atleast_1d(original.evaluate(root, columns, length=n))
    length = length_of(root)
    return found.reshape(()) if length is None else found


def _compare(
    original: Original, library: Library, n: int, columns: Sequence[Array], run: Run
) -> None:
    name, where = original.own.name, definition(original.function)
    if run.changed:
        refuse_writing(original, where)
    for k, root in enumerate(original.reading.outputs):
        theirs, ours = _result(original, run, k), _evaluated(original, root, n, columns)
        if theirs.shape != ours.shape:
            raise TraceError(
                f"{name!r} cannot be read: of a row of {n} numbers it makes {theirs.shape or 'one number'} "
                f"for {library.tensor}, and its reading {ours.shape or 'one number'}\n{where}\n"
                f"  Return the row, or one number of it. What a loop carries on from number to number is not "
                f"read: `np.sum(x)` or `np.cumsum(x)` in the place of `functools.reduce`."
            )
        relative, absolute = tolerance(run, columns)
        wrong = ~np.isclose(ours, theirs, relative, absolute, equal_nan=True)
        if wrong.any():
            literal = _evaluated(original, original.literal.outputs[k], n, columns)
            wrong &= ~np.isclose(literal, theirs, relative, absolute, equal_nan=True)
        if wrong.any():
            again = attempt(original, library, columns)
            if again is None or not np.array_equal(
                _result(original, again, k), theirs, equal_nan=True
            ):
                raise ImpureError(
                    f"two runs of {name!r} with the same row gave different results\n{where}\n"
                    f"  Remove what varies between two calls (randomness, time, stored state)."
                )
            i = int(np.flatnonzero(wrong.ravel())[0])
            raise ImpureError(
                f"{name!r} cannot be read: at place {i} of the row {np.ravel(columns[0])[:6]}... it returns "
                f"{theirs.ravel()[i]:.9g} for {library.tensor}, and its reading {ours.ravel()[i]:.9g}\n"
                f"{where}\n  It does something that is not a computation with its row: rounding to a "
                f"narrower dtype, looking at dtypes, asking for a mode, keeping a state, or a loop over its "
                f"numbers that carries something on from turn to turn: a running sum is `np.cumsum(x)`, a "
                f"running product `np.cumprod(x)`."
            )


def _result(original: Original, run: Run, k: int) -> Array:
    """The function's own; a list of numbers is a row."""
    if original.reading.form == "numbers" or len(run.outputs) > len(original.reading.outputs) == 1:
        return np.ravel(np.array(run.outputs))
    return run.outputs[k]


def _compare_slopes(original: Original, library: Library, n: int) -> None:
    """The gradient of the sum of the squares of what it returns, where no two numbers are equal."""

    def squares(*tensors: object) -> Any:
        result: Any = original.call(*tensors)
        return result * result

    (root,) = original.reading.outputs
    columns = _columns(original, IRREGULAR, n, np.float64)
    columns = [column + 0.0119 * i for i, column in enumerate(columns)]
    try:
        run = library.run(squares, columns, slopes=True)
    except native.NotTaken:
        return
    relative, absolute = (1e-3, 1e-4) if run.narrow else (1e-5, 1e-8)
    for name, theirs in zip(original.inputs, run.slopes or (), strict=bool(run.slopes)):
        by = var(name, original.own.rows.get(name))
        derivative = plain(adjoint(root, make("mul", const(2.0), root), by))
        ours = np.broadcast_to(_evaluated(original, derivative, n, columns), theirs.shape)
        wrong = np.isfinite(theirs) & ~np.isclose(ours, theirs, relative, absolute)
        for i in np.flatnonzero(wrong)[:1]:
            at = f"place {i} of the row {np.ravel(columns[0])[:6]}..."
            refuse_slope(original, library, name, at, theirs.flat[i], ours.flat[i])
