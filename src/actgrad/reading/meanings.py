"""The meanings that libraries share, written once, over numbers and symbols.

Each is a composition of the vocabulary's operations; `tables` says who calls it what, and `binding`
calls it with the library's own arguments. At a tie (`maximum(a, b)` where a equals b) a plain name
takes the first argument; `_half` splits the derivative, as PyTorch and JAX do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from actgrad.language.ops import OPS
from actgrad.reading.arrays import Positions
from actgrad.reading.reader import mixes
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import (
    Symbol,
    apply,
    detached,
    made,
    number,
    truth,
)

Number = Any


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
less, less_equal, equal = map(_operation, ("lt", "le", "eq"))
logical_and, logical_or, logical_not = map(_operation, ("and", "or", "not"))


def add(x: Number, y: Number, alpha: Number = 1) -> Number:
    return apply("add", x, scaled(y, alpha))


def subtract(x: Number, y: Number, alpha: Number = 1) -> Number:
    return apply("sub", x, scaled(y, alpha))


def scaled(y: Number, alpha: Number) -> Number:
    return y if isinstance(alpha, (int, float)) and alpha == 1 else multiply(alpha, y)


def reversed_subtract(x: Number, y: Number, alpha: Number = 1) -> Number:
    return subtract(y, x, alpha)


def copysign(x: Number, y: Number) -> Number:
    return apply("copysign", x, y)


def greater(x: Number, y: Number) -> Number:
    return apply("lt", y, x)


def greater_equal(x: Number, y: Number) -> Number:
    return apply("le", y, x)


def not_equal(x: Number, y: Number) -> Number:
    return apply("not", apply("eq", x, y))


def logical_xor(x: Number, y: Number) -> Number:
    return not_equal(number(truth(x)), number(truth(y)))


def bitwise_and(x: Number, y: Number) -> Number:
    return x & y if isinstance(x, Symbol) else y & x


def bitwise_or(x: Number, y: Number) -> Number:
    return x | y if isinstance(x, Symbol) else y | x


def bitwise_xor(x: Number, y: Number) -> Number:
    return x ^ y if isinstance(x, Symbol) else y ^ x


def bitwise_not(x: Number) -> Number:
    return ~x


def log(x: Number, base: Number = math.e) -> Number:
    return apply("log", x) if base is math.e else apply("log", x) / apply("log", base)


def identity(x: Number) -> Number:
    return x


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


def select(conditions: Sequence[Any], values: Sequence[Any], default: Number = 0) -> Number:
    pairs = zip(reversed(conditions), reversed(values), strict=True)
    return reduce(lambda otherwise, pair: where(pair[0], pair[1], otherwise), pairs, default)


def piecewise(
    x: Number, conditions: Sequence[Any], values: Sequence[Any], *args: Any, **kw: Any
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


def maximum(x: Number, y: Number) -> Number:
    """The larger; nan if either is."""
    return where(less(x, y), y, where(is_nan(y), y, x))


def maximum_tnp(x: Number, y: Number) -> Number:
    """TensorFlow's NumPy: `relu`, with the derivative 0 at 0, where the second is the number 0."""
    if isinstance(y, (int, float)) and y == 0:
        return where(less_equal(x, 0.0), 0.0, x)
    return maximum(x, y)


def minimum(x: Number, y: Number) -> Number:
    return where(less(y, x), y, where(is_nan(y), y, x))


def _tie_halved(x: Number, y: Number, otherwise: Number) -> Number:
    return where(equal(x, y), add(multiply(0.5, x), multiply(0.5, y)), otherwise)


def maximum_half(x: Number, y: Number) -> Number:
    """The larger; at a tie each has half of the derivative."""
    return _tie_halved(x, y, maximum(x, y))


def minimum_half(x: Number, y: Number) -> Number:
    return _tie_halved(x, y, minimum(x, y))


def fmax(x: Number, y: Number) -> Number:
    """The larger, and the other one where one is nan."""
    return where(is_nan(x), y, where(less(x, y), y, x))


def fmax_jax(x: Number, y: Number) -> Number:
    """JAX's, which takes the second of two that are equal."""
    return fmax(y, x)


def fmin_jax(x: Number, y: Number) -> Number:
    return fmin(y, x)


def copysign_torch(x: Number, y: Number) -> Number:
    """PyTorch's, with the derivative 0 at 0."""
    return where(equal(x, 0), copysign(0.0, y), copysign(x, y))


def fmin(x: Number, y: Number) -> Number:
    return where(is_nan(x), y, where(less(y, x), y, x))


def _extreme(better: Callable[[Number, Number], Number], name: str) -> Callable[..., Number]:
    def choose(*values: Any, key: Any = None, default: Any = None) -> Number:
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


python_max, python_min = _extreme(greater, "max"), _extreme(less, "min")


def python_any(values: Iterable[Any]) -> Number:
    if isinstance(values, Symbol):
        mixes("any")
    return reduce(logical_or, np.ravel(np.asarray(list(values), dtype=object)), False)


def python_all(values: Iterable[Any]) -> Number:
    if isinstance(values, Symbol):
        mixes("all")
    return reduce(logical_and, np.ravel(np.asarray(list(values), dtype=object)), True)


def clip(x: Number, low: Number = None, high: Number = None) -> Number:
    """Between two bounds, each of which belongs to the inside: there the derivative is 1."""
    if low is not None:
        x = where(less(x, low), low, x)
    return x if high is None else where(less(high, x), high, x)


def clip_open(x: Number, low: Number, high: Number) -> Number:
    """Between two bounds, with the derivative 0 at each of them."""
    return where(less_equal(x, low), low, where(less_equal(high, x), high, x))


def clip_half(x: Number, low: Number = None, high: Number = None) -> Number:
    """Between two bounds, with half of the derivative at each of them."""
    if low is not None:
        x = maximum_half(x, low)
    return x if high is None else minimum_half(x, high)


def lax_clamp(low: Number, x: Number, high: Number) -> Number:
    return clip_open(x, low, high)


def sign(x: Number) -> Number:
    return where(less(0, x), 1, where(less(x, 0), -1, where(is_nan(x), x, 0)))


def heaviside(x: Number, at_zero: Number) -> Number:
    return where(less(x, 0), 0, where(equal(x, 0), at_zero, where(is_nan(x), x, 1)))


def is_nan(x: Number) -> Number:
    return not_equal(x, x)


def is_inf(x: Number) -> Number:
    return equal(absolute(x), math.inf)


def is_posinf(x: Number) -> Number:
    return equal(x, math.inf)


def is_neginf(x: Number) -> Number:
    return equal(x, -math.inf)


def is_finite(x: Number) -> Number:
    return less(absolute(x), math.inf)


def is_close(a: Number, b: Number, *, rel_tol: float = 1e-9, abs_tol: float = 0.0) -> Number:
    difference = absolute(subtract(a, b))
    relative = multiply(rel_tol, python_max(absolute(a), absolute(b)))
    return logical_or(equal(a, b), less_equal(difference, python_max(relative, abs_tol)))


def array_is_close(
    x: Number, y: Number, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Number:
    difference = absolute(subtract(x, y))
    close = logical_or(
        equal(x, y),
        logical_and(is_finite(y), less_equal(difference, add(atol, multiply(rtol, absolute(y))))),
    )
    return logical_or(close, logical_and(is_nan(x), is_nan(y))) if equal_nan else close


def signbit(x: Number) -> Number:
    return less(copysign(1, x), 0)


def absolute_jax(x: Number) -> Number:
    """JAX's, with the derivative of the right side at 0."""
    return where(less(x, 0), negative(x), add(x, 0.0))


def clip_below(x: Number, low: Number) -> Number:
    return clip(x, low)


def clip_above(x: Number, high: Number) -> Number:
    return clip(x, None, high)
