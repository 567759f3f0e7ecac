"""mpmath computes with numbers of any length, which no tensor has: its functions are refused."""

from __future__ import annotations

import types
from typing import Any, NoReturn

from actgrad.reading.refusal import HOST, refuse


def stand_in(value: Any) -> object:
    """What stands in for something of mpmath's: a number for a number. None for anything else."""
    kind = value if isinstance(value, type) else type(value)
    if isinstance(value, types.MethodType):
        kind = type(value.__self__)
    homes = [getattr(value, "__module__", None), kind.__module__]
    if not any(isinstance(home, str) and home.startswith("mpmath.") for home in homes):
        return None
    if hasattr(kind, "_mpf_") and not isinstance(value, (type, types.MethodType)):
        return float(value)
    return _Refused()


class _Refused:
    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        refuse(
            "`mpmath` computes with more digits than a tensor has",
            "Use `math` or NumPy; of a formula of SymPy's, `sympy.lambdify(..., modules='numpy')`. "
            + HOST,
        )
