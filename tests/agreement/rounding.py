"""How far a number may be from the exact one, if each operation may be off by a few units.

A composed program amplifies the rounding of its parts: `tan(x)` near a pole by as much as you like. So
the program is run many times, each operation disturbed at random by as many units in the last place
as it may be off (Monte Carlo arithmetic); by how much the results then differ is the tolerance. The
first run is not disturbed: `tanh(20) == 1.0` holds there, and in no exact arithmetic. Others are by
one unit, so that they meet a pole beside a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from actgrad.language.expression import Expr, plain, walk
from actgrad.language.ops import OPS
from actgrad.language.program import Program
from actgrad.language.rows import ROWS, carried_at

ARITHMETIC, TRANSCENDENTAL = 4, 16
"""Units in the last place."""
RUNS = 64
CANCELLED = 8
"""What is left where parts cancel is rounding alone, and of a derivative that is written another way it is
another: there the runs tell its size, not its bound."""

_EXACT = {"neg", "abs", "copysign", "floor", "ceil", "trunc", "round", "select", "host"}
_EXACT |= {"gather", *ROWS} - {"sum", "prod", "cumsum"}
_ARITHMETIC = {"add", "sub", "mul", "div", "floordiv", "mod", "sqrt"}


@dataclass(frozen=True)
class Format:
    name: str
    eps: float
    tiny: float


FORMATS = {
    kind.__name__: Format(kind.__name__, float(i.eps), float(i.tiny))
    for kind in (np.float32, np.float64)
    for i in [np.finfo(kind)]
}
BFLOAT16 = 2.0**-7
"""Its eps; it computes in float32 and is rounded once."""


def units(op: str) -> float:
    if op in _EXACT or (op in OPS and OPS[op].boolean):
        return 0.0
    return ARITHMETIC if op in _ARITHMETIC else TRANSCENDENTAL


def runs(program: Program, columns: list[Any], kind: Format) -> Any:
    """The value at each point, disturbed in each of `RUNS` runs, within the range of the dtype.

    A column has one axis; of a function of rows, it has two.
    """
    rng = np.random.default_rng(0)
    size = np.shape(columns[0])[-1]
    batch = (RUNS, *(np.shape(columns[0]) if program.axis is None else (len(columns[0]), 1)))
    one_unit = np.arange(RUNS).reshape(RUNS, *[1] * (len(batch) - 1)) < RUNS // 4
    results: dict[Expr, Any] = {}
    values: dict[str, Any] = dict(zip(program.inputs, columns, strict=True))
    values |= {name: np.asarray(value) for name, value in program.parameters}

    def disturbed(number: Any, off: float) -> Any:
        shape = np.broadcast_shapes(np.shape(number), batch)
        noise = rng.choice([-1.0, 0.0, 1.0], shape, p=[0.4, 0.2, 0.4]) * rng.uniform(
            0.5, 1.0, shape
        )
        noise[0] = 0.0
        moved = number * (1.0 + noise * np.where(one_unit, 1.0, off) * kind.eps)
        # Near subnormal numbers, which TensorFlow and XLA take for zero, inside of a function too.
        least = (np.abs(moved) < 64 * kind.tiny) & (moved != 0)
        moved = np.where(least, rng.choice([0, 1, 2], shape) * moved, moved)
        if kind.name == "float32":  # (elsewhere this is the range in which it is computed)
            moved = moved.astype(np.float32).astype(np.float64)
        return moved

    def quotient(node: Expr, found: Any) -> Any:
        """As XLA computes it: a / b / c is a / (b c), and a / (b / c) is a c / b."""
        above, below = node.args
        if above.op == "div":
            a, b = (results[arg] for arg in above.args)
            return a / disturbed(b * results[below], ARITHMETIC)
        if below.op == "div":
            b, c = (results[arg] for arg in below.args)
            return disturbed(results[above] * c, ARITHMETIC) / b
        return found

    with np.errstate(all="ignore"):
        for node in walk(plain(program.value)):
            if node.op == "const":
                value = node.value
                whole = node.boolean or float(np.float32(value)) == value or value != value
                results[node] = value if whole else disturbed(np.float64(value), 0.5)
            elif node.op == "var":
                results[node] = values[str(node.value)]
            elif node.op == "vector":
                results[node] = np.array(node.value)
            else:
                args = [results[arg] for arg in node.args]
                if node.op in ROWS:
                    found = ROWS[node.op].numpy(*args, *carried_at(node.value, size))
                else:
                    found = OPS[node.op].numpy(*args)
                if node.op == "div":
                    shape = np.broadcast_shapes(np.shape(found), batch)
                    found = np.where(rng.random(shape) < 0.5, found, quotient(node, found))
                if node.op == "copysign":  # the sign of a nan is anybody's
                    shape = np.broadcast_shapes(np.shape(found), batch)
                    found = np.where(
                        np.isnan(args[1]), rng.choice([-1.0, 1.0], shape) * found, found
                    )
                off = units(node.op)
                results[node] = disturbed(found, off) if off else found
    return np.broadcast_to(results[node], np.broadcast_shapes(np.shape(results[node]), batch))


@dataclass(frozen=True)
class Expected:
    """What a program should give at each point, how far off it may be, and where that can be told."""

    value: Any
    tolerance: Any
    finite: Any
    """Where every run is finite, and near the others: no jump, no pole, no overflow."""
    special: Any
    """Where every run gives the same inf or nan."""


def expected(program: Program, columns: list[Any], kind: Format, oracle: Any) -> Expected:
    tried = runs(program, columns, kind)
    with np.errstate(all="ignore"):
        off = 2 * np.max(np.abs(tried - oracle), axis=0) + kind.eps * np.abs(oracle) + 4 * kind.tiny
        cancelled = off > 1e-3 * np.abs(oracle)
        sharp = ~cancelled | (off <= 1e-3 * np.abs(oracle) + 1e4 * kind.eps)
        off = np.where(cancelled, CANCELLED * off, off)
        finite = np.isfinite(oracle) & np.isfinite(tried).all(axis=0) & sharp
        same = ((tried == oracle) | (np.isnan(tried) & np.isnan(oracle))).all(axis=0)
    return Expected(oracle, off, finite, ~np.isfinite(oracle) & same)
