"""The reader at work, which a symbol asks where Python needs a plain answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

from actgrad.common.types import Function
from actgrad.errors import ImpureError, MixingError, TraceError
from actgrad.language.expression import Expr, const, make, walk
from actgrad.language.length import Turn
from actgrad.language.program import is_lookup
from actgrad.reading.libraries.mixing import (
    COMPLEX,
    CURES,
    DIFFERENTIATES,
    DRAW,
    LOOKUPS,
    MIXING,
    MIXING_MODULES,
)
from actgrad.reading.refusal import HOST, draws_random, makes_complex, refuse, user_line
from actgrad.reading.turns import Turns


class Reader(Protocol):
    rows: bool
    """Whether a function of a row is read."""
    libraries: tuple[str, ...]
    """What a function of a row is written with, as far as it mentions any."""
    rounds: set[str]
    """The floats to which the function rounds what it computes, whatever its input's dtype."""
    turns: list[Turns]
    """Of the generators over rows that are being taken, the innermost last."""
    loop: Turn | None
    """How long the row is of the last loop over one, which is no generator."""
    each: Turn | None
    """How long the row is of whose numbers each was asked for something."""

    def decide(self, condition: Expr) -> bool: ...
    def decide_each(self, condition: Expr, length: Turn) -> bool: ...
    def mixes(self, row: Expr) -> None: ...
    def ask(self, what: str, question: str) -> bool: ...
    def has_gradient(self) -> bool: ...
    def index(self, value: Expr) -> int: ...
    def settle(self, value: Expr) -> None: ...
    def count(self) -> None: ...
    def range_of(self, value: Expr) -> tuple[float, float]: ...
    def whole_tables(self, values: Sequence[Expr]) -> None: ...
    def method(self, name: str) -> Function | None: ...
    def meaning(self, function: object) -> Callable[..., object] | None: ...


class Nested:
    """The reader at work, for code within which something else holds too; the rest is as outside."""

    def __init__(self, outer: Reader) -> None:
        self.outer = outer
        self.depth: int = 1 + (outer.depth if isinstance(outer, Nested) else 0)
        """Told apart by it, no variable of a reader is that of another one around it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.outer, name)


class Environment(Protocol):
    """Makes the copies that a function sees while it is read: see `sandbox`."""

    copies: dict[int, object]
    weights: dict[tuple[int, str], object]
    calls: int
    calling: list[Any]

    def copy(self, value: object, name: str | None = None) -> Any: ...
    def read(self, function: object) -> object: ...
    def member(self, item: object) -> object: ...


_active = threading.local()


@contextmanager
def reading(reader: Reader) -> Iterator[None]:
    outer = getattr(_active, "reader", None), getattr(_active, "detached", False)
    _active.reader, _active.detached = reader, False
    try:
        yield
    finally:
        _active.reader, _active.detached = outer


def set_detached(detached: bool) -> bool:
    """Whether what is computed from now on has the derivative 0, as under `torch.no_grad()`; what
    was set before is returned."""
    before: bool = getattr(_active, "detached", False)
    _active.detached = detached
    return before


def is_detached() -> bool:
    return getattr(_active, "detached", False)


def detached(expr: Expr) -> Expr:
    """The expression with the derivative 0."""
    lookups = [node for node in walk(expr) if is_lookup(node)]
    read = {node.args[0] for node in lookups}
    leaves = [node for node in walk(expr) if node.op == "var" and node not in read]
    moving = [*sorted(leaves, key=lambda leaf: str(leaf.value)), *lookups]
    pairs = [part for each in moving for part in (each, const(0.0))]
    return make("given", expr, *pairs) if pairs else expr


def active() -> Reader | None:
    return getattr(_active, "reader", None)


def reader() -> Reader:
    current = active()
    if current is None:
        raise ImpureError(
            "a symbolic number was kept after its function had been read, and used again; "
            "an activation must not store its input anywhere"
        )
    return current


def table_method(name: str) -> Function:
    """A method that the reader's table has."""
    found = reader().method(name)
    assert found is not None, name
    return found


def known(function: object, name: str) -> Function:
    return reader().meaning(function) or unknown(name)


def mixes(name: str, line: str = "") -> NoReturn:
    """Refuse an operation that takes several elements of its input at once, at the user's own line."""
    current = active()
    if current is not None and current.rows:
        parts = name.split(".")
        refuse(
            f"`{name}` is not among the operations on a row that actgrad can read",
            CURES.get(parts[-1])
            or CURES.get(".".join(parts[-2:]))
            or "Compose it of sums, extremes, sorts, slices and concatenations: docs/rows.md lists them.",
        )
    of_table = name.rpartition(".")[2] in LOOKUPS
    refuse(
        f"`{name}` mixes the elements of a row, and an elementwise activation computes each element "
        f"from that element alone",
        "Read a table of constants with `table[i]`, in TensorFlow with `tf.gather(table, i)`. "
        * of_table
        + "Make it a function of the row: `activation(..., axis=-1)`. Or take the other numbers as inputs or "
        "parameters of their own, as in `def f(x, total): ...`.",
        MixingError,
        line,
    )


def unknown(name: str, cause: BaseException | None = None) -> NoReturn:
    """Refuse a library's function that has no meaning here."""
    last = name.rpartition(".")[2]
    if last in DRAW:
        draws_random(name)
    if last in COMPLEX:
        makes_complex(f"`{name}`")
    if last in MIXING or not MIXING_MODULES.isdisjoint(name.split(".")):
        mixes(name)
    way_out = "Compose it of operations that are: docs/language.md lists them."
    if last in DIFFERENTIATES:
        way_out = (
            "Take the derivative with `grad`, `jacrev`, `jvp` or `vjp` of `torch.func` or JAX; or make "
            "`d = activation(g).derivative` before, and call `d(x)`."
        )
    error = TraceError(
        f"`{name}` is not among the operations that actgrad can read\n{user_line()}\n  {way_out} {HOST}"
    )
    raise error from cause
