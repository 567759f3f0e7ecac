"""Whether an expression is a variable times something that does not depend on it."""

from __future__ import annotations

import numpy as np

from actgrad.language.expression import Expr, evaluate, is_const, variables, walk
from actgrad.language.rows import ROWS


def is_linear(root: Expr, name: str) -> bool:
    """Whether the formula shows that an expression is a variable times something without it."""
    mentions: set[Expr] = set()
    linear: set[Expr] = set()
    for node in walk(root):
        if node.op == "var" and node.value == name:
            mentions.add(node)
            linear.add(node)
        elif any(arg in mentions for arg in node.args):
            mentions.add(node)
            if _keeps_linear(node, mentions, linear):
                linear.add(node)
    return root in linear


def _keeps_linear(node: Expr, mentions: set[Expr], linear: set[Expr]) -> bool:
    """Whether an operation on something linear is linear, too."""

    def scaled(*args: Expr) -> bool:
        return all(arg in linear or is_const(arg, 0.0) for arg in args)

    if node.op in {"neg", "given"}:
        return node.args[0] in linear
    if node.op in {"add", "sub"}:
        return scaled(*node.args)
    if node.op in {"mul", "div", "select"}:
        first, *rest = node.args
        if node.op == "select":
            return first not in mentions and scaled(*rest)
        if first in linear:
            return rest[0] not in mentions
        return node.op == "mul" and first not in mentions and rest[0] in linear
    return False


_SCALES = (-1e6, -37.5, -2.0, -0.75, -1e-3, 1e-6, 0.3, 1.7, 12.0, 4e3, 1e8)


def measures_linear(root: Expr, unit: Expr, name: str) -> bool:
    """Whether an expression is, at many points, a variable times `unit`."""
    if any(node.op in ROWS for node in walk(root)):
        return False
    steps = np.arange(1, 41)
    points = np.concatenate([0.137 * steps * (1 + 0.0137 * steps), -0.131 * steps, [1e-4, 31.7]])
    names = sorted(variables(root) - {name})
    values = {n: np.roll(points, 17 * i) for i, n in enumerate(names)}
    slope = np.broadcast_to(evaluate(unit, values), points.shape)
    for scale in _SCALES:
        found = evaluate(root, values | {name: np.full(points.shape, scale)})
        if not np.allclose(found, scale * slope, rtol=1e-9, atol=0.0, equal_nan=True):
            return False
    return True
