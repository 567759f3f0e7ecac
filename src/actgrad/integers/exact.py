"""The exact value of a program at given numbers: float64 with error bounds, decimals where those do not do.

Which branch is taken, and on which step a floor, a comparison or an index lands, is what Python decides
in float64. Everything else is real arithmetic, rounded once, at the end.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from actgrad.integers.decimals import context
from actgrad.integers.special import FUNCTIONS
from actgrad.language.decomposed import DECOMPOSITIONS
from actgrad.language.expression import Expr, evaluate_all, plain, walk
from actgrad.language.ops import OPS

Array = npt.NDArray[np.float64]

_ULPS = 4.0
"""How far NumPy's float64 functions may be off, in units of the last place."""
_SPECIAL_ULPS = 64.0
"""How far the special functions of the language may be off, in units of the last place of 1 or more."""
_CHUNK = 1 << 22  # numbers held at once
_DECISIONS = "floor ceil trunc round floordiv lt le eq and or not gather host const var vector"
DECISIONS = frozenset(_DECISIONS.split())
"""What Python decides in float64. The value of a host function counts as exact."""


def bounded(root: Expr, name: str, x: Array) -> tuple[Array, Array]:
    """The value in float64, and a bound of its distance from the exact one; nan where none is known."""
    root = plain(root)
    size = max(64, _CHUNK // len(walk(root)))
    parts = [_bounded(root, name, x[i : i + size]) for i in range(0, len(x), size)]
    return (
        np.concatenate([value for value, _ in parts]),
        np.concatenate([bound for _, bound in parts]),
    )


def _values(root: Expr, name: str, x: Array) -> dict[Expr, Any]:
    """The float64 value of every node."""
    values: dict[Expr, object] = {}

    def keep(node: Expr, value: object) -> object:
        values[node] = value
        return value

    evaluate_all([root], {name: x}, keep)
    for node in walk(root):
        if not node.args and node not in values:
            values[node] = x if node.op == "var" else np.asarray(node.value)
    return values


def _bounded(root: Expr, name: str, x: Array) -> tuple[Array, Array]:
    values = _values(root, name, x)
    bounds: dict[Expr, Any] = {}
    with np.errstate(all="ignore"):
        for node in walk(root):
            args = [values[arg] for arg in node.args]
            bounds[node] = _bound(node, values[node], args, [bounds[arg] for arg in node.args])
    value = np.broadcast_to(values[root], x.shape) + 0.0
    return value, np.broadcast_to(bounds[root], x.shape) + 0.0


def _bound(node: Expr, value: Array, args: list[Array], bounds: list[Array]) -> Array | float:
    if node.op == "select":
        return np.where(args[0], bounds[1], bounds[2])
    if node.op == "mod":
        return bounds[0] + np.abs(np.floor_divide(*args)) * bounds[1] + _ULPS * np.spacing(value)
    if node.op in DECISIONS:
        return 0.0
    size = np.abs(value)
    total = _ULPS * np.spacing(size)
    if node.op in DECOMPOSITIONS:
        total = _SPECIAL_ULPS * np.spacing(np.maximum(size, 1.0))
    for i, bound in enumerate(bounds):
        if np.any(bound):
            for step in (-bound, bound):
                moved = [arg + step if i == j else arg for j, arg in enumerate(args)]
                total = total + np.where(
                    bound == 0, 0.0, np.abs(OPS[node.op].numpy(*moved) - value)
                )
    return total


def decimals(root: Expr, name: str, x: Array) -> Iterator[Decimal]:
    """The value at each number, to more than 60 digits."""
    root = plain(root)
    nodes = walk(root)
    values = {
        node: np.broadcast_to(value, x.shape)
        for node, value in _values(root, name, x).items()
        if node.op != "vector"
    }
    for i in range(len(x)):
        with decimal.localcontext(context()):
            found: dict[Expr, Any] = {}
            for node in nodes:
                if node.op != "vector":
                    found[node] = _decimal(node, found, values, i)
            yield found[root]


def _decimal(node: Expr, found: dict[Expr, Any], values: dict[Expr, Array], i: int) -> object:
    if node.op == "select":
        condition, yes, no = node.args
        return found[yes] if values[condition][i] else found[no]
    if node.op == "mod":
        x, y = node.args
        turns = np.floor_divide(values[x][i], values[y][i])
        if np.isfinite(turns) and np.isfinite(values[y][i]):
            return found[x] - found[y] * Decimal(float(turns))
        return Decimal(float(values[node][i]))
    if node.op in DECISIONS:
        return values[node][i] if node.boolean else Decimal(float(values[node][i]))
    return FUNCTIONS[node.op](*(found[arg] for arg in node.args))
