"""What a run of a function returned, as expressions: one number, a tuple of them, or a dict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Literal

import numpy as np

from actgrad.errors import TraceError
from actgrad.language.expression import Expr, as_row, make
from actgrad.language.length import ONE, Length, Turn
from actgrad.reading.refusal import definition
from actgrad.reading.symbol import Symbol, number, of_row, row_of

Form = Literal["number", "numbers", "tuple"] | tuple[str, ...]
"""What a function returns: one number, a list with those of one row, a tuple, or a dict with these names."""


def described(form: Form | None) -> str:
    if isinstance(form, tuple):
        return f"a dict of {', '.join(map(repr, form)) or 'nothing'}"
    return "several" if form == "tuple" else "one number"


def _named_numbers(result: dict[object, object]) -> Iterator[tuple[str, object]]:
    """The numbers in a dict by name; of a sequence each one, as `name[i]`."""
    for name, item in result.items():
        if isinstance(item, (list, tuple)) or (isinstance(item, np.ndarray) and item.ndim == 1):
            yield from ((f"{name}[{i}]", part) for i, part in enumerate(item))
        else:
            yield str(name), item


def length_of(root: Expr) -> Length | None:
    """How long a returned row is; a row of one number is no number."""
    return ONE if root.op == "fill" and root.value == ONE else root.width


def outputs_of(result: object, copy: object) -> tuple[tuple[Expr, ...], Form]:
    form: Form = "number"
    parts: tuple[Any, ...] = (result,)
    if isinstance(result, dict):
        named = dict(sorted(_named_numbers(result)))
        form, parts = tuple(named), tuple(named.values())
    elif (row := in_line(result)) is not result:
        form, parts = "numbers", (row,)
    elif isinstance(result, (tuple, list)):
        form, parts = "tuple", tuple(result)
    for part in parts:
        if isinstance(part, np.ndarray) and part.ndim == 0:
            part = part[()]
        if not isinstance(part, Symbol) and not _is_number(part):
            shown = "None (is a `return` missing on one path?)" if part is None else repr(part)[:80]
            raise TraceError(
                f"the result is not a number: {shown}\n{definition(copy)}\n"
                f"  Every path must return one number (or one per gradient)."
            )
    symbols = [number(p[()] if isinstance(p, np.ndarray) else p) for p in parts]
    return tuple(as_row(s.expr, s.form) if of_row(s) else s.expr for s in symbols), form


def in_line(values: object) -> object:
    """A list or tuple with numbers of a row, `[x[0], *(v * v for v in x)]`, as one row; else as it is."""
    if type(values) not in (list, tuple):
        return values
    items = [*values]  # type: ignore[misc]
    row = row_of(items)
    if row is items:
        row = _one_after_another(items) if any(map(_is_turn, items)) else values
    return row


def _is_turn(value: object) -> bool:
    """Whether it stands for each number of a row."""
    return isinstance(value, Symbol) and isinstance(value.form, Turn)


def _one_after_another(parts: list[object]) -> Symbol:
    """The row of `[max(v, 0) for v in x] + [max(-v, 0) for v in x]`."""
    rows = [number([part] if _is_turn(part) else part) for part in parts]
    lengths = [row.form if of_row(row) else ONE for row in rows]
    joined = make("concat", *(as_row(r.expr, n) for r, n in zip(rows, lengths, strict=True)))
    return Symbol(joined, sum(lengths, Length(0)))


def _is_number(value: Any) -> bool:
    if isinstance(value, (str, bytes, complex, np.complexfloating)) or value is None:
        return False
    if (
        np.ndim(value)
        if isinstance(value, (np.ndarray, list, tuple))
        else getattr(value, "shape", ())
    ):
        return False
    with suppress(Exception):
        float(value)
        return True
    return False
