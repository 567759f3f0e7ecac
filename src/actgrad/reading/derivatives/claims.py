"""Whether a declared derivative is what it claims to be, measured on a fixed set of points.

Cheap, since every definition pays for it; `study.check` looks closely.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from actgrad.common.types import Array, Fields
from actgrad.language.derive import derive
from actgrad.language.expression import Expr, const, evaluate_all, is_const, plain, walk
from actgrad.language.program import Program
from actgrad.reading.witnesses.original import each

# Irregular, so that no point falls on a kink that a person would write.
_steps = np.arange(1, 49)
_POSITIVE = np.concatenate([0.137 * _steps * (1 + 0.0137 * _steps), [1.7e-4, 2.3e-2, 31.7, 113.3]])
POINTS = np.sort(np.concatenate([-_POSITIVE * 0.9713, _POSITIVE]))


@cache
def grid(inputs: int) -> list[Array]:
    """Points for each input; the same points in another order for each further one."""
    return [np.roll(POINTS, 17 * i) for i in range(inputs)]


def _values(program: Program, roots: Sequence[Expr], points: Sequence[Any]) -> list[Array]:
    arguments: Fields = dict(zip(program.inputs, points, strict=True))
    for name, value in program.parameters:
        array = np.asarray(value, dtype=np.float64)
        whole = array.ndim == 0 or name in program.tables
        arguments[name] = array if whole else array.flat[0]
    return [each(value, points) for value in evaluate_all(roots, arguments)]


def mismatches(
    program: Program, derivatives: list[Expr], exact: list[Expr]
) -> list[tuple[float, float, float]]:
    """Points at which a claimed derivative is not the exact one: (x, claimed, exact)."""
    points = grid(len(program.inputs))
    found = []
    for claimed, true in zip(derivatives, exact, strict=True):
        a, b = _values(program, [plain(claimed), true], points)
        with np.errstate(all="ignore"):
            wrong = np.abs(a - b) > 1e-4 * (np.abs(a) + np.abs(b)) + 1e-7
        wrong |= np.isfinite(b) & ~np.isfinite(a)
        found += [(float(points[0][i]), float(a[i]), float(b[i])) for i in np.flatnonzero(wrong)]
    return found if len(found) > 1 else []


_NEAR = np.concatenate([sign * np.geomspace(1e-4, 3.1, 20) for sign in (-1, 1)])
_MAX_CENTRES = 40


def is_zero(program: Program, derivatives: list[Expr]) -> bool:
    """Whether all derivatives vanish, also near the function's own numbers and near another input."""
    derivatives = [plain(d) for d in derivatives if d is not const(0.0)]
    for points in (_anywhere, _where_it_may_not_vanish):
        if any(np.any(_values(program, [d], points(program))[0]) for d in derivatives):
            return False
    return True


def is_zero_by(program: Program, name: str) -> bool:
    """Whether the gradient by one argument vanishes, or by every entry of a vector."""
    if name in program.tables:
        read = [lookup.node for lookup in program.lookups if lookup.table == name]
        return is_zero(program, [derive(program.value, node) for node in read])
    rules = [program.vjp(entry) for entry in dict(program.vectors).get(name, (name,))]
    return is_zero(rules[0], [rule.value for rule in rules])


def _anywhere(program: Program) -> list[Array]:
    return grid(len(program.inputs))


def _where_it_may_not_vanish(program: Program) -> list[Array]:
    """Points for each input: a narrow peak lies near a number in the function, or where inputs meet."""
    numbers = {node.value for node in walk(program.value) if is_const(node)}
    centres = [float(c) for c in numbers if isinstance(c, float) and np.isfinite(c)][:_MAX_CENTRES]
    centres += [float(c) for _, value in program.parameters for c in np.ravel(value)[:_MAX_CENTRES]]
    at = np.array(centres)[:, None]
    with np.errstate(over="ignore"):
        points = np.concatenate([POINTS, (at + _NEAR).ravel(), (at * (1 + _NEAR)).ravel()])
    if len(program.inputs) == 1:
        return [points]
    apart = np.resize(np.append(_NEAR, [0.731, -0.731]), len(points))
    others = [
        np.concatenate([np.roll(points, 17 * i), points + np.roll(apart, i)])
        for i in range(1, len(program.inputs))
    ]
    return [np.concatenate([points, points]), *others]


def not_finite(program: Program, derivatives: list[Expr]) -> float | None:
    """A point at which a derivative is not finite."""
    points = grid(len(program.inputs))
    for derivative in derivatives:
        bad = ~np.isfinite(_values(program, [plain(derivative)], points)[0])
        if bad.any():
            return float(points[0][np.flatnonzero(bad)[0]])
    return None
