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

from actgrad.language import special

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


def _gather(vector: Array, index: Array) -> Array:
    """The element at the index, truncated and clamped to the ends; nan where the index is nan."""
    vector, missing = np.asarray(vector), np.isnan(index)
    at = np.where(missing, 0.0, np.clip(np.trunc(index), 0.0, len(vector) - 1.0))
    return np.where(missing, np.nan, vector[at.astype(np.intp)])[()]


def _series(variable: str, coefficients: list[float]) -> str:
    """Horner's rule, lowest power first."""
    rest = repr(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        rest = f"{coefficient!r} + {variable} * ({rest})"
    return f"({rest})"


# Where the exact formula takes a difference of two numbers that are nearly equal, a series.


def _erfcx_slope() -> str:
    far = [(-1) ** k * math.prod(range(1, 2 * k + 2, 2)) / 2**k for k in range(12)]
    square = "(1 / (x * x))"
    series = f"-{1 / math.sqrt(math.pi)!r} * {square} * {_series(square, far)}"
    return f"select(x < 10, 2 * x * erfcx(x) - {2 / math.sqrt(math.pi)!r}, {series})"


def _bessel_slope(order: int, exact: str) -> str:
    terms, term = [], 1.0
    for k in range(14):
        terms.append(term * (k + 0.5))
        term *= ((2 * k + 1) ** 2 - 4 * order**2) / (8 * (k + 1))
    v = "(1 / abs(x))"
    far = f"-{1 / math.sqrt(2 * math.pi)!r} * {v} * sqrt({v}) * {_series(v, terms)}"
    return f"select(abs(x) < 30, {exact}, {far if order else f'{_SIGN} * ({far})'})"


_SIGN = "select(0 < x, 1, select(x < 0, -1, 0))"
_NEAR = [0.5 / (4**k * math.factorial(k) * math.factorial(k + 1)) for k in range(9)]
_RATIO = f"select(abs(x) < 0.5, exp(-abs(x)) * {_series('(x * x)', _NEAR)}, i1e(x) / x)"
_I0E_SLOPE = _bessel_slope(0, f"i1e(x) - {_SIGN} * i0e(x)")
_I1E_SLOPE = _bessel_slope(1, f"i0e(x) - {_SIGN} * i1e(x) - {_RATIO}")
_ERFCX_SLOPE = _erfcx_slope()


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
    # special functions: `special` has them over the rows above
    Op("gamma", "x", special.of_arrays(special.gamma), ("gamma(x) * digamma(x)",)),
    Op("lgamma", "x", special.of_arrays(special.lgamma), ("digamma(x)",)),
    Op("digamma", "x", special.of_arrays(special.digamma), ("trigamma(x)",)),
    Op("trigamma", "x", special.of_arrays(special.trigamma), ("polygamma(2, x)",)),
    Op(
        "erfinv",
        "x",
        special.of_arrays(special.erfinv),
        (f"{math.sqrt(math.pi) / 2!r} * exp(erfinv(x) * erfinv(x))",),
    ),
    Op(
        "ndtri",
        "x",
        special.of_arrays(special.ndtri),
        (f"{math.sqrt(2 * math.pi)!r} * exp(0.5 * (ndtri(x) * ndtri(x)))",),
    ),
    Op("erfcx", "x", special.of_arrays(special.erfcx), (_ERFCX_SLOPE,)),
    Op("i0e", "x", special.of_arrays(special.i0e), (_I0E_SLOPE,)),
    Op("i1e", "x", special.of_arrays(special.i1e), (_I1E_SLOPE,)),
    # conditions
    Op("lt", "x y", np.less, boolean=True),
    Op("le", "x y", np.less_equal, boolean=True),
    Op("eq", "x y", np.equal, boolean=True),
    Op("and", "x y", np.logical_and, boolean=True),
    Op("or", "x y", np.logical_or, boolean=True),
    Op("not", "x", np.logical_not, boolean=True),
    # structure: its derivatives are rules of `derive`
    Op("select", "condition yes no", np.where),
    Op("gather", "vector index", _gather),
    Op("given", "value", lambda value, *_: value),
    Op("host", "", _host),
)

OPS: dict[str, Op] = {row.name: row for row in _ROWS}
"""`given(value, x, d, ...)` is `value` with d declared its derivative by x; `host(...)` is a call of
a Python function that could not be read. These two take any number of arguments. `gather(vector, i)`
is the only operation on a vector: a `vector` node, which is a constant tuple of numbers, or the variable
of a parameter that is a table. Its derivative by i is zero."""
