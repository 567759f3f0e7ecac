"""Special functions as expressions of elementary operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from actgrad.language import special
from actgrad.language.expression import Expr, lift, operation

_EXPRESSIONS = special.Numbers(
    *map(operation, ("abs", "floor", "round", "sqrt", "exp", "log", "log1p", "pow", "sin", "cos")),
    *map(operation, ("eq", "select")),
)


_NAMES = ("gamma", "lgamma", "digamma", "trigamma", "erfinv", "ndtri", "erfcx", "i0e", "i1e")
DECOMPOSITIONS: dict[str, Callable[..., Expr | None]] = {
    name: partial(getattr(special, name), _EXPRESSIONS) for name in _NAMES
}


def without(*names: str) -> Mapping[str, Callable[..., Expr | None]]:
    """The decompositions that a framework lacks, which has these of its own."""
    return {name: rule for name, rule in DECOMPOSITIONS.items() if name not in names}


def polygamma(order: int, x: Expr | float) -> Expr:
    """The derivative of digamma of this order, from 1 on."""
    return special.polygamma(_EXPRESSIONS, order, lift(x))  # type: ignore[no-any-return]
