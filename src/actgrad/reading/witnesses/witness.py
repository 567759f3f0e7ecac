"""The second witness: a function's own run, on several numbers at once, against its reading.

The reading follows a symbol through the function, and believes its tables. The witness believes nothing: it
runs the function unread, on arrays of the library that it is written with, and compares place by place. So
it sees what a table has wrong, and what is no function of one number: a function that mixes its elements,
rounds to a narrow dtype, draws random numbers, or depends on the shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NoReturn

import numpy as np

from actgrad.common.types import Function
from actgrad.errors import ImpureError, MixingError
from actgrad.language.derive import derive
from actgrad.language.expression import plain, walk
from actgrad.reading.derivatives import custom
from actgrad.reading.paths import Reading
from actgrad.reading.refusal import HOST, definition, place
from actgrad.reading.signature import Signature
from actgrad.reading.witnesses import native, row_witness
from actgrad.reading.witnesses.native import Array, Library, Run
from actgrad.reading.witnesses.original import (
    IRREGULAR,
    SPECIAL,
    Original,
    attempt,
    each,
    points,
    refuse_slope,
    refuse_what_fails,
    refuse_writing,
)
from actgrad.reading.witnesses.rounding import differences, tolerance

_SHAPES = [(48,), (6, 8), (2, 4, 6), (2, 4, 3, 2)]
"""Tried in turn: a function may want a batch and channels."""
_ONE_BY_ONE = [0, 1, 3, 10, 12, 21, 24, 28, 29, 41]
"""Places of the few numbers that a function gets one at a time, where it takes no arrays."""


def check(original: Original, *, slopes: bool = False) -> None:
    """Compare a reading with the function's own run, and refuse what is not the same. With `slopes` the
    library's derivative is compared too.
    """
    function = original.function
    if isinstance(function, custom.Half) and function.gradient:
        return  # half of a function that is run whole
    if original.own.rows:
        row_witness.check(original, slopes)
        return
    mentioned = native.mentions(function)
    if not mentioned.libraries and not mentioned.inverts and _numbers(original, narrow=False):
        return
    _check_in_libraries(original, mentioned, slopes)


def check_elementwise(function: Function, own: Signature, pinned: frozenset[str]) -> None:
    """Refuse a function that is not read (`host=True`) if it mixes the elements of an array."""
    nothing = Reading((), "number", frozenset(), frozenset())
    original = Original(function, own, own.inputs, pinned, {}, nothing)
    mentioned = native.mentions(function)
    for library in native.libraries(mentioned.libraries):
        if library.name == "numpy" and mentioned.collects:
            continue
        columns = [column.reshape(_SHAPES[1]) for column in points(len(own.inputs))]
        run, again = (attempt(original, library, columns) for _ in range(2))
        if run is None or again is None or not _same(run, again):
            continue  # it takes no arrays, or draws random numbers, which it may on the host
        _refuse_other_shapes(original, library, columns, run)
        own_values = each(run.outputs[0], columns)
        for i in _ONE_BY_ONE[:4]:
            if _mixes(original, library, columns, own_values[i], 0, i):
                _refuse_mixing(original, _DEPENDS)


def _same(run: Run, again: Run) -> bool:
    return all(map(partial(np.array_equal, equal_nan=True), run.outputs, again.outputs))


def _check_in_libraries(original: Original, mentioned: native.Mentions, slopes: bool) -> None:
    # A function that names no library takes no plain numbers either: `x.clamp(0, 1)`, say.
    names = mentioned.libraries or native.imported()
    libraries = native.libraries(names)
    answered = False
    for library in libraries:
        if library.name == "numpy" and mentioned.collects:
            continue
        asks = slopes and _asks_for_slopes(library, mentioned, original.reading)
        if _arrays(original, library, asks):
            if library.name != "numpy":
                return
            answered = True
    tensors = [library for library in libraries if library.name != "numpy"]
    if any(_one_by_one(original, library, slopes and mentioned.asks) for library in tensors):
        return
    if mentioned.libraries:
        if not mentioned.inverts:
            answered |= _numbers(original, narrow=bool(tensors), few=answered)
        if libraries and not answered and (mentioned.plain or mentioned.asks):
            columns = points(len(original.inputs))
            refuse_what_fails(original, libraries[0], columns, "", "one of them", mentioned.asks)


_STEPS = {"given", "round", "floor", "ceil", "trunc", "floordiv"}
"""Operations whose derivative in a library is often another than the slope of the value."""


def _asks_for_slopes(library: Library, mentioned: native.Mentions, reading: Reading) -> bool:
    """PyTorch's derivative costs little. The others take milliseconds for it, so it is asked for where it
    can be another than that of the value."""
    if library.name == "torch" or not mentioned.plain:
        return library.name != "numpy"
    return any(node.op in _STEPS for node in walk(*reading.outputs))


def _arrays(original: Original, library: Library, slopes: bool) -> bool:
    """Compare on whole arrays. Whether the function takes them."""
    for shape in _SHAPES:
        for dtype in (np.float64, np.float32) if library.name != "numpy" else (np.float64,):
            columns = [c.astype(dtype).reshape(shape) for c in points(len(original.inputs))]
            run = attempt(original, library, columns, slopes)
            if run is not None and original.reading.single:
                run = replace(run, narrow=True)
            if run is not None and any(_is_jacobian(part.shape, shape) for part in run.outputs):
                _refuse_jacobian(original)
            fewer = run is not None and any(part.ndim > len(shape) for part in run.outputs)
            if fewer and shape is not _SHAPES[-1]:
                continue  # a weight of shape (1, 1, 1, 1) waits for a batch of images
            if run is not None:
                _compare(original, library, columns, run)
                return True
    return False


def _is_jacobian(shape: tuple[int, ...], of: tuple[int, ...]) -> bool:
    """Whether it has one number for each two, or more, of the input, as `jax.hessian` gives them."""
    times, rest = divmod(len(shape), len(of))
    return times > 1 and not rest and shape == of * times


def _refuse_jacobian(original: Original) -> NoReturn:
    raise MixingError(
        f"{original.own.name!r} cannot be read: of an array it makes a matrix, with the derivative of each "
        f"number by each other one, as `jacrev` and `hessian` do\n{definition(original.function)}\n"
        f"  Take the derivative of each number by itself: `jax.vmap(jax.jacrev(g))(x)` or "
        f"`torch.vmap(torch.func.hessian(g))(x)`; or that of the sum: `jax.grad(lambda z: g(z).sum())(x)`."
    )


def _one_by_one(original: Original, library: Library, slopes: bool) -> bool:
    """Compare on one number at a time, as for `if x > 0`. Whether the function takes them."""
    all_points = points(len(original.inputs))
    answered = False
    for dtype in (np.float64, np.float32):
        for shape in ((), (1,)):
            for i in _ONE_BY_ONE:
                columns = [column[i : i + 1].astype(dtype).reshape(shape) for column in all_points]
                run = attempt(original, library, columns, slopes)
                if run is not None:
                    _compare(original, library, columns, run)
                    answered = True
            if answered:
                return True
    return False


def _numbers(original: Original, narrow: bool, few: bool = False) -> bool:
    """Compare on plain Python numbers, of which a tensor library makes float32's (`narrow`); on a few where
    arrays have been compared. Whether the function answers any."""
    columns = points(len(original.inputs))
    if few:
        columns = tuple(column[_ONE_BY_ONE[::2]] for column in columns)
    run = replace(_PYTHON.run(original.call, columns), narrow=narrow)
    if all(np.isnan(part).all() for part in run.outputs):
        return False
    _compare(original, _PYTHON, columns, run)
    return True


_PYTHON = native.Python()


def _compare(original: Original, library: Library, columns: Sequence[Array], run: Run) -> None:
    if run.changed:
        _refuse_writing(original, library, columns)
    _refuse_other_shapes(original, library, columns, run)
    for k in range(len(original.reading.outputs)):
        places = differences(original, library, columns, run, k)
        if places:
            _explain(original, library, columns, run, k, places[0])
    if run.slopes is not None:
        _compare_slopes(original, library, columns, run)


def _compare_slopes(
    original: Original, library: Library, columns: Sequence[Array], run: Run
) -> None:
    compared = np.isfinite(each(run.outputs[0], columns))
    compared[len(IRREGULAR) :] = False
    for column in columns[1:]:
        # Where two inputs are equal, or one is a special number, several slopes can be right.
        compared &= (column.ravel() != columns[0].ravel()) & ~np.isin(column.ravel(), SPECIAL)
    for name, theirs in zip(original.inputs, run.slopes or (), strict=True):
        derivative = plain(derive(original.reading.outputs[0], name))
        ours = each(original.evaluate(derivative, columns), columns)
        theirs = each(theirs, columns)
        relative, absolute = (10 * each for each in tolerance(run, columns))
        close = np.isclose(ours, theirs, rtol=relative, atol=absolute)
        wrong = compared & np.isfinite(theirs) & ~close
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            refuse_slope(original, library, name, _shown(columns, i), theirs[i], ours[i])


# What was found, and the way out.


def _shown(columns: Sequence[Array], i: int) -> str:
    row = [f"{column.ravel()[i]:.6g}" for column in columns]
    return row[0] if len(row) == 1 else f"({', '.join(row)})"


def _explain(
    original: Original, library: Library, columns: Sequence[Array], run: Run, k: int, i: int
) -> NoReturn:
    """Say why the k-th output differs at place i."""
    name, where = original.own.name, definition(original.function)
    own = each(run.outputs[k], columns)[i]
    read_value = each(original.evaluate(original.reading.outputs[k], columns), columns)[i]
    at = _shown(columns, i)
    if library.name != "python" and columns[0].size > 1:
        again = attempt(original, library, columns)
        if again is not None and not _same(run, again):
            raise ImpureError(
                f"two runs of {name!r} with the same input gave different results, so it is not a function "
                f"of its arguments alone\n{where}\n"
                f"  Remove what varies between two calls (randomness, time, stored state), or the mode "
                f"that draws it (`module.eval()`)."
            )
        if _mixes(original, library, columns, own, k, i):
            _refuse_mixing(original, _DEPENDS)
    if library.name == "python":
        raise ImpureError(
            f"{name!r} cannot be read: at {at} Python returns {own:.9g}, and its "
            f"reading {read_value:.9g}\n{where}\n"
            f"  It does something that is not a computation with its argument: catching its own exceptions, "
            f"looking at types or names, comparing by `is` (as `case True:` does), or keeping a state. "
            + HOST
        )
    rounds = f" (as {run.dtype})" if run.narrow else ""
    raise ImpureError(
        f"{name!r} cannot be read: at {at} it returns {own:.9g} for {library.tensor}{rounds}, and its "
        f"reading {read_value:.9g}\n{where}\n"
        f"  It does something that is not a computation with one number: rounding to a narrower dtype, "
        f"looking at shapes, dtypes or types, asking for a mode, or keeping a state. Write it without. "
        + HOST
    )


def _mixes(
    original: Original, library: Library, columns: Sequence[Array], own: float, k: int, i: int
) -> bool:
    """Whether the result at place i changes when the numbers at all other places do."""
    changed = []
    for column in columns:
        # Moderate ones: among large numbers a softmax is zero whatever the others are.
        other = np.resize(np.roll(IRREGULAR, 7), column.size).astype(column.dtype)
        other[i] = column.ravel()[i]
        changed.append(other.reshape(column.shape))
    run = attempt(original, library, changed)
    if run is None:
        return False
    result = each(run.outputs[k], columns)[i]
    return not np.isclose(result, own, rtol=1e-6, atol=1e-9, equal_nan=True)


_DEPENDS = "its result at one place depends on the numbers at others"


def _refuse_other_shapes(
    original: Original, library: Library, columns: Sequence[Array], run: Run
) -> None:
    shape = columns[0].shape
    other = [part.shape for part in run.outputs if part.shape != shape and part.size != 1]
    if other:
        _refuse_mixing(original, f"it makes {other[0]} of {library.tensor} of shape {shape}")


def _refuse_mixing(original: Original, found: str) -> NoReturn:
    raise MixingError(
        f"{original.own.name!r} cannot be read: this mixes the elements of a row: {found}\n"
        f"{definition(original.function)}\n"
        f"  Make it a function of the row: `activation(..., axis=-1)`. Or make what it needs of the other "
        f"elements an input of its own, `def f(x, total): ...`."
    )


def _refuse_writing(original: Original, library: Library, columns: Sequence[Array]) -> None:
    """Refuse a function that writes into its input, unless by `x += 1`, `torch.relu_(x)` or an
    `inplace=True`, which mean a new number here."""
    where = native.written_at(library, original.call, columns)
    if where is not None and (where.meant or not where.user):
        return
    at = place(where.file, where.line, where.function) if where else definition(original.function)
    refuse_writing(original, at)
