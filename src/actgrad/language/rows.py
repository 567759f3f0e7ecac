"""The operations on a row: the numbers along an axis, which comes last here. One line each.

A value is a row, or one number for each row, which stays an axis of length 1. A line gives the operation's
name, its arguments, its meaning in NumPy (with what it carries, as whole numbers, after the arguments), how
long its result is, and, as text over the vocabulary, its tangent and its adjoint: `y` is the result, `t` the
tangent of the first argument, `g` the adjoint of the result; `same(t)` is the operation itself, `of t`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actgrad.language.length import MOST, ONE, Length

Array = Any
Width = Length | None
"""The length of a row; None for one number."""


@dataclass(frozen=True)
class RowOp:
    name: str
    arguments: str
    numpy: Callable[..., Array]
    width: Callable[[Sequence[Width], Any], Width]
    tangent: str = "0"
    adjoint: str = "0"


def _one(widths: Sequence[Width], _: object) -> Width:
    return None


def _first(widths: Sequence[Width], _: object) -> Width:
    return widths[0]


def _carried(widths: Sequence[Width], carried: Any) -> Width:
    length: Length = carried[-1] if isinstance(carried, tuple) else carried
    return None if length == ONE else length


def _joined(widths: Sequence[Width], _: object) -> Width:
    total = Length(0)
    for width in widths:
        total = total + (width or ONE)
    return total


def _like(x: Array, y: Array) -> tuple[Array, Array]:
    """Two arrays of one shape, but for the last axis."""
    x, y = np.atleast_1d(x), np.atleast_1d(y)
    batch = np.broadcast_shapes(x.shape[:-1], y.shape[:-1])
    return (np.broadcast_to(a, (*batch, a.shape[-1])) for a in (x, y))  # type: ignore[return-value]


def _take(x: Array, order: Array) -> Array:
    x, order = _like(x, order)
    return np.take_along_axis(x, order.astype(np.intp), -1)


def _sliced(x: Array, start: int, step: int, size: int) -> Array:
    return x[..., start : start + step * (size - 1) + 1 : step]


def _placed(x: Array, start: int, step: int, size: int) -> Array:
    x = np.atleast_1d(x)
    out = np.zeros((*x.shape[:-1], size), x.dtype)
    out[..., start : start + step * (x.shape[-1] - 1) + 1 : step] = x
    return out


def _concatenated(*parts: Array) -> Array:
    parts = tuple(map(np.atleast_1d, parts))
    batch = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return np.concatenate([np.broadcast_to(p, (*batch, p.shape[-1])) for p in parts], -1)


_ROWS = (
    # one number of a row
    RowOp("sum", "x", lambda x: np.sum(x, -1, keepdims=True), _one, "same(t)", "g"),
    RowOp(
        "max",
        "x",
        lambda x: np.max(x, -1, keepdims=True),
        _one,
        "sum(share(x, y) * t)",  # of k that are equal each has 1 / k
        "share(x, y) * g",
    ),
    RowOp(
        "prod",
        "x",
        lambda x: np.prod(x, -1, keepdims=True),
        _one,
        "sum(others(x) * t)",
        "others(x) * g",
    ),
    # as many numbers
    RowOp("cumsum", "x", lambda x: np.cumsum(x, -1), _first, "same(t)", "flip(cumsum(flip(g)))"),
    RowOp("flip", "x", lambda x: x[..., ::-1], _first, "same(t)", "flip(g)"),
    # `order(x)` has the places that sort x, of equal numbers the first one first; it is a step
    RowOp("order", "x", lambda x: np.argsort(x, -1, kind="stable").astype(np.float64), _first),
    # `take(x, order)` takes each place once
    RowOp("take", "x order_", _take, _first, "take(t, order_)", "take(g, order(order_))"),
    # another number of them: `slice` carries start, step and size; `place` puts them back among zeros
    RowOp("slice", "x", _sliced, _carried, "same(t)", "placed(g)"),
    RowOp("place", "x", _placed, _carried, "same(t)", "sliced(g)"),
    RowOp("fill", "x", lambda x, size: x * np.ones(size), _carried, "same(t)", "total(g)"),
    RowOp("concat", "", _concatenated, _joined),  # its rules are those of its parts
    # of the row's length alone
    RowOp("length", "", lambda size: np.float64(size), _one),
    RowOp("position", "", lambda size: np.arange(size, dtype=np.float64), _carried),
)

ROWS: dict[str, RowOp] = {row.name: row for row in _ROWS}
WHOLE = frozenset({"sum", "max", "prod", "cumsum", "flip", "order", "take", "slice"})
"""What takes a row in every argument, and never one number in the place of one."""


def is_order(node: Any) -> bool:
    """Whether it has each place of a row once."""
    node = node.args[0] if node.op == "flip" else node
    return bool(node.op == "order")


def misfit(nodes: Sequence[Any], n: int) -> str | None:
    """Why rows of length n do not fit the operations of these nodes; None if they do."""
    for node in nodes:
        widths = [arg.width.at(n) for arg in node.args if arg.width is not None]
        if node.op not in ROWS or node.op == "take":
            if len(set(widths)) > 1:
                return (
                    f"it combines rows of the lengths {' and '.join(map(str, sorted(set(widths))))}"
                )
        elif node.op in {"slice", "place"}:
            start, step, _ = carried_at(node.value, n)
            size, total = (node.width, node.args[0].width)[:: -1 if node.op == "place" else 1]
            size, total = (1 if w is None else w.at(n) for w in (size, total))
            if start < 0 or size < 1 or start + step * (size - 1) >= total:
                return f"it takes part of a row that has {total} numbers, from {start} on"
        if node.width is not None and node.width.at(n) < 1:
            return "a part of them is empty"
    return None


def fits(nodes: Sequence[Any]) -> list[str]:
    """The conditions under which `misfit` is None, as Python code over n, but for those that hold for each
    n up to MOST."""
    pairs: list[tuple[Length, str, Length]] = []
    for node in nodes:
        widths = sorted({arg.width for arg in node.args if arg.width is not None}, key=str)
        if node.op not in ROWS or node.op == "take":
            pairs += [(widths[0], "==", width) for width in widths[1:]]
        elif node.op in {"slice", "place"}:
            start, step, _ = node.value
            size, total = (node.width, node.args[0].width)[:: -1 if node.op == "place" else 1]
            size, total = size or ONE, total or ONE
            pairs += [(Length(0), "<=", start), (ONE, "<=", size)]
            pairs.append((start + (size - 1) * step + 1, "<=", total))
        if node.width is not None:
            pairs.append((ONE, "<=", node.width))
    found = {f"{a.text('n')} {sign} {b.text('n')}": (a, sign, b) for a, sign, b in pairs}
    every = range(1, MOST)
    return ["n > 0"] + [
        text
        for text, (a, sign, b) in found.items()
        if not all(a.at(n) == b.at(n) or (sign == "<=" and a.at(n) < b.at(n)) for n in every)
    ]


def carried_at(carried: object, n: int) -> tuple[int, ...]:
    """What an operation carries, for rows of length n."""
    if carried is None:
        return ()
    parts = carried if isinstance(carried, tuple) else (carried,)
    return tuple(part.at(n) if isinstance(part, Length) else part for part in parts)
