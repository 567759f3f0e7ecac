"""How what a function computes lies beside its input: views of it, or rows of some length."""

from __future__ import annotations

from typing import Any, NoReturn

from actgrad.language.length import ONE, Length
from actgrad.reading.refusal import refuse


def refuse_forms() -> NoReturn:
    refuse(
        "the function combines arrays of different shapes, made of the same input",
        "An activation computes each element from that element alone: leave the shape as it is.",
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
                "Combine parts of one length, such as two halves.",
            )
    return longer[0], None
