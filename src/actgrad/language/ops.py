"""The closed vocabulary: every operation an activation can be made of, one row each.

A row gives the operation's name, its arguments, its meaning in NumPy and, as text, the partial
derivative by each argument. The text is mathematics over the same vocabulary: `derive` evaluates
it on expressions. Each framework's table has exactly these names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True)
class Op:
    name: str
    arguments: str
    numpy: Callable[..., Array]
    partials: tuple[str, ...] = ()
    boolean: bool = False

    @property
    def arity(self) -> int:
        return len(self.arguments.split())


def _elementwise(function: Callable[[float], float]) -> Callable[[Array], Array]:
    over_arrays = np.frompyfunc(function, 1, 1)
    return lambda x: np.asarray(over_arrays(x), dtype=np.result_type(x))[()]


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1.0) / (1.0 + small)


def _select(condition: Array, yes: Array, no: Array) -> Array:
    return np.where(condition, yes, no)


def _gather(vector: Array, index: Array) -> Array:
    """The element at the index, truncated and clamped to the ends; nan where the index is nan."""
    vector, missing = np.asarray(vector), np.isnan(index)
    at = np.where(missing, 0.0, np.clip(np.trunc(index), 0.0, len(vector) - 1.0))
    return np.where(missing, np.nan, vector[at.astype(np.intp)])[()]


def _host(*_: Array) -> Array:
    raise AssertionError("a host node is evaluated through its own function")


_ROWS = (
    # arithmetic
    Op("neg", "x", np.negative, ("-1",)),
    Op("abs", "x", np.abs, ("select(0 < x, 1, select(x < 0, -1, 0))",)),
    Op("add", "x y", np.add, ("1", "1")),
    Op("sub", "x y", np.subtract, ("1", "-1")),
    Op("mul", "x y", np.multiply, ("y", "x")),
    Op("div", "x y", np.divide, ("1 / y", "-(x / y / y)")),
    Op("floordiv", "x y", np.floor_divide, ("0", "0")),
    Op("mod", "x y", np.mod, ("1", "-floordiv(x, y)")),
    Op(
        "pow",
        "x y",
        np.power,
        (
            "select(eq(y, 0), 0, y * pow(x, y - 1))",
            "select(le(x, 0), 0, pow(x, y) * log(x))",
        ),
    ),
    Op(
        "hypot",
        "x y",
        np.hypot,
        tuple(f"select(eq(hypot(x, y), 0), 0, {v} / hypot(x, y))" for v in "xy"),
    ),
    Op("copysign", "x y", np.copysign, ("copysign(1, x) * copysign(1, y)", "0")),
    # steps
    Op("floor", "x", np.floor, ("0",)),
    Op("ceil", "x", np.ceil, ("0",)),
    Op("trunc", "x", np.trunc, ("0",)),
    Op("round", "x", np.rint, ("0",)),
    # roots, exponentials, logarithms
    Op("sqrt", "x", np.sqrt, ("0.5 / abs(sqrt(x))",)),  # +inf at -0.0, as beside it
    Op("cbrt", "x", np.cbrt, ("1 / (3 * cbrt(x) * cbrt(x))",)),
    Op("exp", "x", np.exp, ("exp(x)",)),
    Op("exp2", "x", np.exp2, (f"{math.log(2)!r} * exp2(x)",)),
    Op("expm1", "x", np.expm1, ("exp(x)",)),
    Op("log", "x", np.log, ("1 / x",)),
    Op("log2", "x", np.log2, (f"{1 / math.log(2)!r} / x",)),
    Op("log10", "x", np.log10, (f"{1 / math.log(10)!r} / x",)),
    Op("log1p", "x", np.log1p, ("1 / (1 + x)",)),
    # circular and hyperbolic
    Op("sin", "x", np.sin, ("cos(x)",)),
    Op("cos", "x", np.cos, ("-sin(x)",)),
    Op("tan", "x", np.tan, ("1 / (cos(x) * cos(x))",)),
    Op("asin", "x", np.arcsin, ("1 / sqrt((1 - x) * (1 + x))",)),
    Op("acos", "x", np.arccos, ("-(1 / sqrt((1 - x) * (1 + x)))",)),
    Op("atan", "x", np.arctan, ("1 / (1 + x * x)",)),
    Op(
        "atan2",
        "x y",
        np.arctan2,
        tuple(
            f"select(eq(hypot(x, y), 0), 0, {v} / hypot(x, y) / hypot(x, y))" for v in ("y", "-x")
        ),
    ),
    Op("sinh", "x", np.sinh, ("cosh(x)",)),
    Op("cosh", "x", np.cosh, ("sinh(x)",)),
    Op("tanh", "x", np.tanh, ("4 * sigmoid(2 * x) * sigmoid(-2 * x)",)),
    Op("asinh", "x", np.arcsinh, ("1 / hypot(x, 1)",)),
    Op("acosh", "x", np.arccosh, ("1 / (sqrt(x - 1) * sqrt(x + 1))",)),
    Op("atanh", "x", np.arctanh, ("1 / ((1 - x) * (1 + x))",)),
    # stable over the whole range
    Op("sigmoid", "x", _sigmoid, ("sigmoid(x) * sigmoid(-x)",)),
    Op("softplus", "x", lambda x: np.logaddexp(x, 0.0), ("sigmoid(x)",)),
    Op("erf", "x", _elementwise(math.erf), (f"{2 / math.sqrt(math.pi)!r} * exp(-(x * x))",)),
    Op("erfc", "x", _elementwise(math.erfc), (f"{-2 / math.sqrt(math.pi)!r} * exp(-(x * x))",)),
    # conditions
    Op("lt", "x y", np.less, boolean=True),
    Op("le", "x y", np.less_equal, boolean=True),
    Op("eq", "x y", np.equal, boolean=True),
    Op("and", "x y", np.logical_and, boolean=True),
    Op("or", "x y", np.logical_or, boolean=True),
    Op("not", "x", np.logical_not, boolean=True),
    # structure: its derivatives are rules of `derive`
    Op("select", "condition yes no", _select),
    Op("gather", "vector index", _gather),
    Op("given", "value", lambda value, *_: value),
    Op("host", "", _host),
)

OPS: dict[str, Op] = {row.name: row for row in _ROWS}
"""`given(value, x, d, ...)` is `value` with d declared its derivative by x; `host(...)` is a call of
a Python function that could not be read. These two take any number of arguments. `gather(vector, i)`
is the only operation on a `vector` node, a constant tuple of numbers; its derivative by i is zero."""
