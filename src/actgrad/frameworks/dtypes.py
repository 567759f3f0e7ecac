"""The dtypes of real numbers, and what to do about a tensor of another."""

from __future__ import annotations

FLOATS = ("float16", "bfloat16", "float32", "float64")
HALVES = ("float16", "bfloat16")
"""They compute in float32 inside."""


def way_out(dtype: str, convert: str, join: str) -> str:
    """`convert` makes floats of it; `join` makes a complex tensor of the results `re` and `im`."""
    if dtype.startswith("complex"):
        return (
            "Write its real and its imaginary part as functions of two real inputs, and call them so: "
            f"`{join}`."
        )
    return f"Convert it first: `{convert}`."
