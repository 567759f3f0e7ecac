"""How what a function computes lies beside its input: views of it, or rows of some length."""

from __future__ import annotations

from typing import Any, NoReturn

from actgrad.language.length import ONE, Length
from actgrad.reading.refusal import LengthError, refuse


def refuse_forms() -> NoReturn:
    refuse(
        "the function combines arrays of different shapes, made of the same input",
        "An activation computes each element from that element alone: leave the shape as it is.",
    )


def refuse_one_after_another() -> NoReturn:
    refuse(
        "the function takes its row one number after another",
        "Compute with the whole row, `x * 2`, `np.sum(x)`, `x[::-1]`, or with each number, "
        "`[v * 2 for v in x]`.",
        LengthError,
    )


def one_row(shapes: set[tuple[Any, Any]]) -> tuple[Any, Any]:
    """The length of rows that are combined; one of length 1 goes with every other."""
    lengths = [form for form, mask in shapes if isinstance(form, Length) and mask is None]
    longer = sorted((form for form in lengths if form != ONE), key=str)
    if len(lengths) < len(shapes):
        refuse_forms()
    for other in longer[1:]:
        if not longer[0].agrees_with(other):
            refuse(
                f"the function combines rows of the lengths {longer[0]} and {other}",
                "Combine parts of one length, such as two halves, or `x[:-1]` and `x[1:]`.",
            )
    return longer[0], None
