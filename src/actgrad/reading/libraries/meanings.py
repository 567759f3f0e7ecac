"""The meanings that libraries share, written once, over numbers and symbols.

`tables` says who calls them what, and `binding` calls them with the library's own arguments. Here are those
that look at their arguments; what is a formula and no more stands in `formulas`.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from actgrad.language.ops import OPS
from actgrad.reading.libraries.arrays import Positions
from actgrad.reading.reader import mixes
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, apply, detached, given, is_symbolic, made, number, truth

Number = Any
COMPENSATED_SUM: bool = sys.version_info >= (3, 12)
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _operation(op: str) -> Callable[..., Number]:
    if OPS[op].arity == 1:
        return lambda x: apply(op, x)
    return lambda x, y: apply(op, x, y)


absolute, negative = _operation("abs"), _operation("neg")
multiply, divide = map(_operation, ("mul", "div"))
floor_divide, mod, power, hypot, atan2 = map(
    _operation, ("floordiv", "mod", "pow", "hypot", "atan2")
)
floor, ceil, trunc, rint = map(_operation, ("floor", "ceil", "trunc", "round"))
sqrt, cbrt, exp, exp2, expm1 = map(_operation, ("sqrt", "cbrt", "exp", "exp2", "expm1"))
log2, log10, log1p = map(_operation, ("log2", "log10", "log1p"))
sin, cos, tan, asin, acos, atan = map(_operation, ("sin", "cos", "tan", "asin", "acos", "atan"))
sinh, cosh, tanh, asinh, acosh, atanh = map(
    _operation, ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh")
)
sigmoid, erf, erfc = map(_operation, ("sigmoid", "erf", "erfc"))
gamma, lgamma, digamma, trigamma = map(_operation, ("gamma", "lgamma", "digamma", "trigamma"))
erfinv, ndtri, erfcx, i0e, i1e = map(_operation, ("erfinv", "ndtri", "erfcx", "i0e", "i1e"))
copysign = _operation("copysign")
less, less_equal, equal = map(_operation, ("lt", "le", "eq"))
logical_and, logical_or, logical_not = map(_operation, ("and", "or", "not"))


def add(x: Number, y: Number, alpha: Number = 1) -> Number:
    return apply("add", x, scaled(y, alpha))


def subtract(x: Number, y: Number, alpha: Number = 1) -> Number:
    return apply("sub", x, scaled(y, alpha))


def scaled(y: Number, alpha: Number) -> Number:
    return y if isinstance(alpha, (int, float)) and alpha == 1 else multiply(alpha, y)


def _bitwise(operate: Callable[[Number, Number], Number]) -> Callable[[Number, Number], Number]:
    return lambda x, y: operate(x, y) if isinstance(x, Symbol) else operate(y, x)


bitwise_and, bitwise_or, bitwise_xor = map(_bitwise, (operator.and_, operator.or_, operator.xor))


def bitwise_not(x: Number) -> Number:
    return ~x


def log(x: Number, base: Number = math.e) -> Number:
    return apply("log", x) if base is math.e else apply("log", x) / apply("log", base)


def stop_gradient(x: Number) -> Number:
    """The number, with the derivative 0."""
    if not isinstance(x, Symbol):
        return type(x)(map(stop_gradient, x)) if isinstance(x, (tuple, list)) else x
    return x if x.expr.boolean else made(detached(x.expr), x)


def where(condition: Number, yes: Number = None, no: Number = None) -> Number:
    if yes is None and no is None and isinstance(condition, Symbol):
        return (Positions(truth(condition)),)
    if yes is None or no is None:
        refuse("`where` takes a condition and both values", "Write `where(condition, yes, no)`.")
    return apply("select", condition, yes, no)


def nonzero(condition: Number, as_tuple: bool = True) -> Number:
    return (Positions(truth(condition)),) if as_tuple else Positions(truth(condition))


def select(conditions: Sequence[object], values: Sequence[object], default: Number = 0) -> Number:
    pairs = zip(reversed(conditions), reversed(values), strict=True)
    return reduce(lambda otherwise, pair: where(pair[0], pair[1], otherwise), pairs, default)


def piecewise(
    x: Number, conditions: Sequence[object], values: Sequence[object], *args: object, **kw: object
) -> Number:
    """NumPy's: the last condition that holds wins, and one value more is the default."""
    chosen = [value(x, *args, **kw) if callable(value) else value for value in values]
    if len(chosen) not in (len(conditions), len(conditions) + 1):
        refuse(
            f"`piecewise` with {len(conditions)} conditions and {len(chosen)} values",
            "Give one value for each condition, and one more as the default.",
        )
    result = chosen[-1] if len(chosen) > len(conditions) else 0
    for condition, value in zip(conditions, chosen, strict=False):
        result = where(condition, value, result)
    return result


def _extreme(better: Callable[[Number, Number], Number], name: str) -> Callable[..., Number]:
    def choose(*values: Any, key: Any = None, default: object = None) -> Number:
        if len(values) == 1 and isinstance(values[0], Symbol):
            mixes(name)
        rest = iter(values[0] if len(values) == 1 else values)
        best = next(rest, default)
        ranked = key(best) if key else best
        for value in rest:
            rank = key(value) if key else value
            condition = better(rank, ranked)
            best = where(condition, value, best)
            ranked = where(condition, rank, ranked) if key else best
        return best

    return choose


python_max = _extreme(lambda x, y: less(y, x), "max")
python_min = _extreme(less, "min")


def python_any(values: Iterable[object]) -> Number:
    if isinstance(values, Symbol):
        mixes("any")
    return reduce(logical_or, np.ravel(np.asarray(list(values), dtype=object)), False)


def python_all(values: Iterable[object]) -> Number:
    if isinstance(values, Symbol):
        mixes("all")
    return reduce(logical_and, np.ravel(np.asarray(list(values), dtype=object)), True)


def clip(x: Number, low: Number = None, high: Number = None) -> Number:
    """Between two bounds, each of which belongs to the inside: there the derivative is 1."""
    if low is not None:
        x = where(less(x, low), low, x)
    return x if high is None else where(less(high, x), high, x)


def python_sum(values: Any, start: Number = 0) -> Number:
    """Python's `sum`, which since 3.12 adds up what its roundings lose."""
    if isinstance(values, Symbol):
        mixes("sum")
    row = [start, *values]
    if not is_symbolic(row) or not COMPENSATED_SUM:
        return sum(row[1:], start)
    high: Number = 0.0
    low: Number = 0.0
    for value in row:
        together = add(high, value)
        lost = where(
            less(absolute(high), absolute(value)),
            add(subtract(value, together), high),
            add(subtract(high, together), value),
        )
        high, low = together, add(low, lost)
    compensated = add(high, where(less(absolute(low), math.inf), low, 0.0))
    symbols = [value for value in row if isinstance(value, Symbol)]
    return given(compensated, *(part for value in symbols for part in (number(value), 1.0)))


def dot(x: object, y: object) -> Number:
    if isinstance(x, Symbol) or isinstance(y, Symbol):
        mixes("dot")
    return np.dot(np.asarray(x, dtype=object), np.asarray(y, dtype=object))


def polyval(coefficients: Sequence[Number], x: Number) -> Number:
    """Highest power first, by Horner's rule."""
    return reduce(lambda value, c: value * x + c, coefficients, 0.0)


def nan_to_num(
    x: Number, nan: Number = 0.0, posinf: Number = None, neginf: Number = None
) -> Number:
    """Numbers in the place of nan and of the infinities; without them the largest of float64."""
    largest = float(np.finfo(np.float64).max)
    high, low = (largest if posinf is None else posinf), (-largest if neginf is None else neginf)
    found = where(equal(x, math.inf), high, where(equal(x, -math.inf), low, x))
    return where(equal(x, x), found, 0.0 if nan is None else nan)


def norm(*values: Number) -> Number:
    """`math.hypot` of any number of coordinates."""
    return reduce(hypot, values) if len(values) > 1 else absolute(*values)


def distance(x: Sequence[Number], y: Sequence[Number]) -> Number:
    return norm(*(subtract(a, b) for a, b in zip(x, y, strict=True)))


def sum_product(x: Iterable[Number], y: Iterable[Number]) -> Number:
    return reduce(add, (multiply(a, b) for a, b in zip(x, y, strict=True)), 0)


def logit(x: Number, eps: Number = None) -> Number:
    x = x if eps is None else clip(x, eps, subtract(1, eps))
    return subtract(log(x), log1p(negative(x)))


def each(reduction: str, name: str, loss: Number) -> Number:
    """The loss of each element, which is not reduced."""
    return loss if reduction == "none" else mixes(f"{name}(reduction={reduction!r})")
