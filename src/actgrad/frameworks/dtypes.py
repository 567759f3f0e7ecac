"""What to do about a tensor that is not of real numbers."""

from __future__ import annotations


def way_out(dtype: str, convert: str, join: str) -> str:
    """`convert` makes floats of it; `join` makes a complex tensor of the results `re` and `im`."""
    if dtype.startswith("complex"):
        return (
            "Write its real and its imaginary part as functions of two real inputs, and call them so: "
            f"`{join}`."
        )
    return f"Convert it first: `{convert}`."
