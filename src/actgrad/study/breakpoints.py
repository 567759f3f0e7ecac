"""The kinks and jumps of a program, found from its graph.

A program is smooth except where one of its operations switches: a comparison turns, a `floor` steps,
the argument of an `abs` changes sign. Together these switches are a signature that is constant
between breakpoints. It is evaluated on a grid, and every change of it is bisected, over the floating
point numbers themselves, until nothing lies between the two sides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from actgrad.common.types import Array, Fields
from actgrad.errors import CallError
from actgrad.language.derive import derive
from actgrad.language.expression import Expr, evaluate, evaluate_all, plain, walk
from actgrad.language.program import Program

GRID = 2049
_nodes = cache(np.polynomial.legendre.leggauss)
LIMIT = 1000


@dataclass(frozen=True)
class Breakpoint:
    """A place where a function is not smooth.

    `x` is the place, `before` and `after` the nearest numbers that lie on its two sides, `left` and
    `right` the function's values there (so, its limits), `slopes` the exact derivative there.
    """

    x: float
    kind: Literal["jump", "kink"]
    before: float
    after: float
    left: float
    right: float
    slopes: tuple[float, float]


def breakpoints(
    program: Program,
    by: str | None = None,
    low: float = -10.0,
    high: float = 10.0,
    at: Mapping[str, float] | None = None,
    limit: int = LIMIT,
) -> tuple[Breakpoint, ...]:
    """The jumps and kinks of a program between low and high, in order.

    Along the input `by` (the first one, if not said), with the other inputs, and parameters if they
    shall differ, at the values `at` (0 where nothing is said). A place where the value has no jump and
    its exact derivative none either is left out. At most `limit` places, those nearest to 0. Of
    a program with parts that run on the host, whose graph does not show where it switches, only
    jumps are found, and their slopes are nan.

    For the breakpoints of the derivative in force, ask for those of `program.partial(name)`.

    >>> from actgrad import activation
    >>> relu = activation(lambda x: x if x > 0 else 0, name="relu")
    >>> [(b.x, b.kind, b.slopes) for b in breakpoints(relu.program)]
    [(0.0, 'kink', (0.0, 1.0))]
    """
    by = by or program.inputs[0]
    value = plain(program.value)
    if program.on_host:
        with np.errstate(all="ignore"):
            return tuple(_measured_jumps(value, by, settings(program, at), low, high, limit))
    found = places([value], by, settings(program, at), low, high, limit)
    with np.errstate(all="ignore"):
        return tuple(_classified(value, by, settings(program, at), found, high - low))


def settings(program: Program, at: Mapping[str, float] | None = None) -> Fields:
    """A number for every argument: the parameters' values (of an array the first), 0 for inputs. Of a
    table the whole."""
    values: Fields = dict.fromkeys(program.inputs, 0.0)
    for name, value in program.parameters:
        array = np.asarray(value)
        values[name] = array if name in program.tables else float(array.flat[0])
    return values | dict(at or {})


def along(
    program: Program, by: str | None = None, at: Mapping[str, float] | None = None
) -> Callable[[Array], Array]:
    """The value as a function of one input, the first if none is said, with the others at `at`."""
    by, others = by or program.inputs[0], at or {}

    def value(x: Array) -> Array:
        arguments = (x if name == by else others[name] for name in program.inputs)
        return np.broadcast_to(program.evaluate(*arguments), np.shape(x))

    return value


def check_range(low: float, high: float, what: str = "range") -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise CallError(f"the {what} goes from low to high, and is {low!r} to {high!r}")


def on_panels(ends: Array, points: int) -> tuple[Array, Array]:
    """So many nodes between each two neighbours along the last axis, and weights with the normal density."""
    nodes, own = _nodes(points)
    half = np.diff(ends)[..., None] / 2
    z = ((ends[..., :-1] + ends[..., 1:])[..., None] / 2 + half * nodes).reshape(
        *ends.shape[:-1], -1
    )
    weights = (half * own).reshape(z.shape) * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return z, weights


class Signature:
    """On which side of each of its switches an expression is, as an array of one row per switch."""

    def __init__(self, roots: Sequence[Expr], by: str, values: Mapping[str, float]) -> None:
        self.by, self.values = by, values
        nodes = [n for n in walk(*map(plain, roots)) if n.op in _SWITCHES]
        self.arguments = list(dict.fromkeys(arg for node in nodes for arg in node.args))
        self.nodes = nodes

    def __call__(self, x: Array) -> Array:
        results = evaluate_all(self.arguments, {**self.values, self.by: x})
        known = dict(zip(self.arguments, results, strict=True))
        rows = np.zeros((1 + len(self.nodes), *np.shape(x)))
        with np.errstate(all="ignore"):
            for row, node in zip(rows[1:], self.nodes, strict=True):
                row[...] = _SWITCHES[node.op](*(known[arg] for arg in node.args))
        return np.nan_to_num(rows, copy=False, nan=np.inf)


def places(
    roots: Sequence[Expr],
    by: str,
    values: Mapping[str, float],
    low: float,
    high: float,
    limit: int = LIMIT,
) -> Array:
    """Where any of the expressions switches, smoothly or not: rows of (before, x, after)."""
    signature = Signature(roots, by, values)
    grid = np.unique(np.concatenate([np.linspace(low, high, GRID), np.array([low, high]) / 3]))
    if low < 0 < high:
        grid = np.unique(np.append(grid, 0.0))
    left, right = _bisect(signature, _ordinal(grid[:-1]), _ordinal(grid[1:]), limit)
    return np.array(list(_merged(_float(left), _float(right), 1e-13 * (high - low)))).reshape(-1, 3)


def _bisect(signature: Signature, a: Array, b: Array, limit: int) -> tuple[Array, Array]:
    """Neighbouring floats between which the signature changes. Every change is followed, so two of
    them in one cell of the grid are both found if any midpoint tells them apart."""
    for _ in range(66):
        differ = np.any(signature(_float(a)) != signature(_float(b)), axis=0)
        a, b = a[differ], b[differ]
        if len(a) > limit:
            nearest = np.sort(np.argsort(np.minimum(abs(a), abs(b)), kind="stable")[:limit])
            a, b = a[nearest], b[nearest]
        if np.all(b - a <= 1):
            break
        middle = (a >> 1) + (b >> 1) + (a & b & 1)
        a, b = np.concatenate([a, middle]), np.concatenate([middle, b])
        a, b = a[a < b], b[a < b]
    order = np.argsort(a)
    return a[order], b[order]


def _ordinal(x: Array) -> Array:
    """The floats counted in order, so that neighbours differ by 1 and both zeros are 0."""
    bits = x.astype(np.float64).view(np.int64)
    return np.where(bits < 0, -(bits & np.int64(0x7FFFFFFFFFFFFFFF)), bits)


def _float(ordinal: Array) -> Array:
    sign = np.where(ordinal < 0, -1.0, 1.0)
    return np.asarray(np.abs(ordinal).view(np.float64) * sign)


def _merged(left: Array, right: Array, near: float) -> Iterator[tuple[float, float, float]]:
    """Changes too close to lie apart are one place; its number is the simplest between them."""
    start = 0
    for i in range(len(left)):
        if i + 1 < len(left) and left[i + 1] - right[i] <= near:
            continue
        before, after = float(left[start]), float(right[i])
        yield before, simplest(before, after), after
        start = i + 1


def simplest(low: float, high: float) -> float:
    """The number with the fewest digits in [low, high]."""
    if low <= 0 <= high:
        return 0.0
    for digits in range(1, 18):
        number = float(f"{(low + high) / 2:.{digits}g}")
        if low <= number <= high:
            return number
    return low


def _classified(
    value: Expr, by: str, values: Mapping[str, float], found: Array, width: float
) -> Iterator[Breakpoint]:
    if not len(found):
        return
    before, x, after = found.T
    function, slope = (_function(root, by, values) for root in (value, derive(value, by)))
    jumps = _jumps(function, before, x, after, width)
    kinks = _jumps(slope, before, before, after, width) & ~jumps
    left, right, d_left, d_right = (f(at) for f in (function, slope) for at in (before, after))
    vertical = ~np.isfinite(d_left + d_right + slope(x)) & np.isfinite(left + right)
    kinks |= vertical & ~jumps
    for i in np.flatnonzero(jumps | kinks):
        yield Breakpoint(
            float(x[i]),
            "jump" if jumps[i] else "kink",
            float(before[i]),
            float(after[i]),
            float(left[i]),
            float(right[i]),
            (float(d_left[i]), float(d_right[i])),
        )


def _function(root: Expr, by: str, values: Mapping[str, float]) -> Callable[[Array], Array]:
    return lambda x: np.broadcast_to(evaluate(root, {**values, by: x}), x.shape)


def _measured_jumps(
    value: Expr, by: str, values: Mapping[str, float], low: float, high: float, limit: int
) -> Iterator[Breakpoint]:
    """Jumps seen from outside: of each steep cell of the grid the steeper half, again and again."""
    function, grid = _function(value, by, values), np.linspace(low, high, GRID)
    rises = np.abs(np.diff(function(grid)))
    steep = np.flatnonzero(rises > 4 * np.nanmedian(rises) + 1e-9 * np.nanmax(rises, initial=0))
    if len(steep) > limit:
        steep = np.sort(steep[np.argsort(np.abs(grid[steep]), kind="stable")[:limit]])
    a, b, rise = _ordinal(grid[steep]), _ordinal(grid[steep + 1]), rises[steep]
    for _ in range(64):
        middle = (a >> 1) + (b >> 1) + (a & b & 1)
        left, between, right = (function(_float(x)) for x in (a, middle, b))
        first = np.abs(between - left) >= np.abs(right - between)
        inside = b - a > 1
        a, b = np.where(inside & ~first, middle, a), np.where(inside & first, middle, b)
    before, after, near = _float(a), _float(b), 1e-13 * (high - low)
    left, right = function(before), function(after)
    for i in np.flatnonzero(np.abs(right - left) > 0.5 * rise):
        x = simplest(float(before[i]) - near, float(after[i]) + near)
        sides = min(float(before[i]), x), max(float(after[i]), x)
        ends = (*sides, float(left[i]), float(right[i]))
        yield Breakpoint(x, "jump", *ends, (np.nan, np.nan))


def _jumps(
    function: Callable[[Array], Array], before: Array, x: Array, after: Array, width: float
) -> Array:
    """Whether the limits on both sides differ. A difference that a steep but continuous function makes
    between two neighbouring numbers grows with their distance; that of a jump does not."""
    step = 1e-10 * np.maximum(width, np.abs(x))
    left, own, right = function(before), function(x), function(after)
    near, far = np.abs(right - left), np.abs(function(after + step) - function(before - step))
    around = [np.abs(function(x + s * 1e-3 * width)) for s in (-1, 1)]
    scale = np.fmax.reduce([np.where(np.isfinite(a), a, 0) for a in (left, right, *around)])
    alone = np.fmin(np.abs(own - left), np.abs(own - right))
    jump = (np.fmax(near, alone) > 1e-9 * scale) & ((near > 0.5 * far) | (alone > 0.5 * far))
    finite = np.isfinite(left).astype(int) + np.isfinite(right)
    poles = (finite == 0) & ~(np.isnan(left) & np.isnan(right))
    return np.where(finite == 2, jump, (finite == 1) | poles)


def _compared(x: Array, y: Array) -> Array:
    """The side of a comparison, equal being one of its own; nan where it cannot be said."""
    return np.where(x == y, 0.0, np.sign(np.subtract(x, y)))


# What each operation that is not smooth everywhere switches on. Places where it turns out to be smooth
# after all are sorted out by their limits.
_SWITCHES: dict[str, Callable[..., Array]] = {
    **dict.fromkeys(("lt", "le", "eq"), _compared),
    **dict.fromkeys(("abs", "sqrt", "cbrt", "log", "log2", "log10"), np.sign),
    **dict.fromkeys(("asin", "acos", "atanh"), lambda x: np.sign(x - 1) + 3 * np.sign(x + 1)),
    **dict.fromkeys(("copysign", "hypot", "atan2"), lambda x, y: np.sign(x) + 3 * np.sign(y)),
    **dict.fromkeys(("floordiv", "mod"), np.floor_divide),
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.rint,
    "gather": lambda vector, index: np.clip(np.trunc(index), 0, len(vector) - 1),
    "div": lambda x, y: np.sign(y),
    "pow": lambda x, y: np.sign(x),
    "log1p": lambda x: np.sign(1 + x),
    "tan": lambda x: np.floor(x / np.pi + 0.5),
    "acosh": lambda x: np.sign(x - 1),
}
