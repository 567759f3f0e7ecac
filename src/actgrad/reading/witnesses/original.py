"""A function as its user wrote it, its reading, and the numbers on which the two are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any, NoReturn

import numpy as np

from actgrad.common.types import Fields, Function
from actgrad.errors import ImpureError, TraceError
from actgrad.language.expression import LENGTH, Expr, evaluate
from actgrad.language.rewrite import as_written
from actgrad.reading.paths import Reading, read
from actgrad.reading.refusal import COPY_FIRST, definition
from actgrad.reading.signature import Signature, is_number
from actgrad.reading.witnesses.native import Array, Library, NotTaken, Run

# Irregular numbers, on no kink that a person would write: here slopes are compared too.
IRREGULAR = [
    0.137, -0.211, 0.389, -0.457, 0.613, -0.731, 0.883, -0.947, 1.171, -1.283, 1.619, -1.787, 2.213,
    -2.359, 2.741, -3.167, 3.593, -4.129, 4.787, -5.431, 6.353, -7.213, 1.7e-4, -2.3e-2,
]  # fmt: skip
# Zeros, ties of rounding, edges of clipping, and large numbers.
SPECIAL = [
    0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.0, -2.0, 2.5, -2.5, 3.0, -3.0, 4.0, -6.0, 6.0, 7.5, -7.5,
    20.5, -10.0, 100.0, -100.0, 1000.0,
]  # fmt: skip


@cache
def points(inputs: int) -> tuple[Array, ...]:
    """Numbers for each input. Some are equal to those of the first input, and some close to them."""
    first = np.array(IRREGULAR + SPECIAL)
    columns = [first]
    for i in range(1, inputs):
        column = np.roll(first, 17 * i)
        column[5:30:6] = first[5:30:6]
        column[3:24:7] = first[3:24:7] + 0.11 * i
        columns.append(column)
    return tuple(columns)


def each(values: object, columns: Sequence[Array]) -> Array:
    """The values one for each place, flat; one number stands for all."""
    values, shape = np.asarray(values), columns[0].shape
    spread: Array = values if values.shape == shape else np.broadcast_to(values, shape)
    return spread.ravel()


@dataclass(frozen=True)
class Original:
    """A function, its reading, and how it is called."""

    function: Function
    own: Signature
    inputs: tuple[str, ...]
    """The variables of the reading, in the order of the function's inputs."""
    pinned: frozenset[str]
    vectors: Mapping[str, tuple[str, ...]]
    """Names for the entries of parameters that may be read entry by entry."""
    reading: Reading

    @cached_property
    def values(self) -> Fields:
        """The parameters' values: of an array that is read as one number, its first."""
        read = self.reading
        plain_ones = self.pinned | read.fixed | read.entries | read.tables
        return {
            name: value if name in plain_ones or not is_number(value) else _first(value)
            for name, value in self.own.defaults.items()
        }

    @cached_property
    def call(self) -> Function:
        """The function of its inputs alone, in order."""
        if not self.own.keywords:
            return partial(self.function, **self.values) if self.values else self.function
        return lambda *arrays: self.own.call(
            self.function, dict(zip(self.own.inputs, arrays, strict=True)) | self.values
        )

    @cached_property
    def literal(self) -> Reading:
        """Read without the stable forms, which have digits that the function's own answer lacks."""
        with as_written():
            tables = self.reading.tables
            return read(
                self.function, self.own, self.inputs, self.pinned, self.vectors, tables=tables
            )

    def evaluate(
        self,
        root: Expr,
        columns: Sequence[object],
        after: Callable[[Expr, object], object] | None = None,
        length: int | None = None,
    ) -> Array:
        """`length`: of the rows, where it is a function of them."""
        arguments = dict(zip(self.inputs, columns, strict=True)) | {LENGTH: length}
        numbers = {n: v for n, v in self.values.items() if is_number(v)}
        for name in self.reading.entries:
            numbers |= zip(self.vectors[name], self.own.defaults[name], strict=True)
        numbers |= {name: np.asarray(self.own.defaults[name]) for name in self.reading.tables}
        return np.asarray(evaluate(root, numbers | arguments, after))


def _first(value: Any) -> object:
    return value if np.ndim(value) == 0 else float(np.asarray(value).flat[0])


def attempt(
    original: Original, library: Library, columns: Sequence[Array], slopes: bool = False
) -> Run | None:
    """The function's own run; None where it does not take such arrays, whatever it raises then."""
    for asked in (True, False) if slopes else (False,):
        try:
            return library.run(original.call, columns, asked)
        except NotTaken:
            continue
    return None


def refuse_what_fails(
    original: Original,
    library: Library,
    columns: Sequence[Array],
    how_long: str,
    one: str,
    slopes: bool = False,
) -> None:
    """Refuse a function that raises on its own library's arrays, of whatever shape and dtype."""
    try:
        library.run(original.call, columns, slopes)
    except NotTaken as error:
        raised = error.__cause__
        reason = str(raised).strip().split("\n")[0][:200]
        raise TraceError(
            f"{original.own.name!r} cannot be read: called with {library.tensor}{how_long} it raises "
            f"{type(raised).__name__}: {reason}\n"
            f"{definition(original.function)}\n  Make it run on {one} first."
        ) from None


def refuse_writing(original: Original, where: str) -> NoReturn:
    """Refuse a function that writes into its input."""
    raise ImpureError(
        f"{original.own.name!r} cannot be read: it writes into its input, which would change the caller's "
        f"tensor\n{where}\n  {COPY_FIRST}"
    )


def refuse_slope(
    original: Original, library: Library, name: str, at: str, theirs: float, ours: float
) -> NoReturn:
    """Refuse a function whose derivative in its library is another than that of its reading."""
    by = "" if len(original.inputs) == 1 else f" by {name!r}"
    raise TraceError(
        f"the derivative of {original.own.name!r}{by} cannot be read: at {at} it is {theirs:.9g} for "
        f"{library.tensor}, and {ours:.9g} in its reading\n{definition(original.function)}\n"
        f"  Something in it changes the derivative. Give the one that you mean: `derivative=`, or "
        f"`surrogate=` if it is not the true one."
    )
