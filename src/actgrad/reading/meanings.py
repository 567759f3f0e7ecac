"""The meanings that libraries share, written once, over numbers and symbols.

Each is a composition of the vocabulary's operations; `tables` says who calls it what, and `binding`
calls it with the library's own arguments. At a tie (`maximum(a, b)` where a equals b) a plain name
takes the first argument; `_half` splits the derivative, as PyTorch and JAX do.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from actgrad.language.ops import OPS
from actgrad.reading.arrays import Positions
from actgrad.reading.refusal import HOST, mixes, refuse
from actgrad.reading.symbol import (
    Symbol,
    apply,
    detached,
    given,
    is_symbolic,
    made,
    number,
    truth,
    whole,
)

Number = Any

COMPENSATED_SUM: bool = sys.version_info >= (3, 12)


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
    return apply("add", x, _scaled(y, alpha))


def subtract(x: Number, y: Number, alpha: Number = 1) -> Number:
    return apply("sub", x, _scaled(y, alpha))


def _scaled(y: Number, alpha: Number) -> Number:
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


def round_decimals(x: Number, digits: int = 0) -> Number:
    """NumPy's and PyTorch's: a float, so a -0.0 stays; the product is rounded, not the digits."""
    if digits == 0:
        return rint(x)
    scale = 10.0 ** abs(digits)
    if digits < 0:
        return multiply(rint(divide(x, scale)), scale)
    return divide(rint(multiply(x, scale)), scale)


def python_round(x: Number, digits: int | None = None) -> Number:
    """Python's own: the decimal that is nearest to the exact value of x, and the even one of two."""
    if digits is None:
        return whole("round", x)
    if digits == 0:
        return rint(x)
    scale = 10.0 ** abs(digits)
    if digits < 0:
        quotient = divide(x, scale)
        below = floor(quotient)
        beyond = subtract(x, multiply(add(below, 0.5), scale))
        return multiply(_to_nearest(quotient, below, beyond), scale)
    product = multiply(x, scale)
    # The product is rounded, perhaps to a tie: its error, by parts of x short enough to be exact.
    part = divide(rint(multiply(x, 2048.0)), 2048.0)
    rest = multiply(subtract(x, part), scale)
    beyond = add(subtract(multiply(part, scale), product), rest)
    return divide(_to_nearest(product, floor(product), beyond), scale)


def _to_nearest(x: Number, below: Number, beyond: Number) -> Number:
    tie = equal(subtract(x, below), 0.5)
    up = where(less(0, beyond), add(below, 1), where(less(beyond, 0), below, rint(x)))
    return where(tie, up, rint(x))


def any_of(values: Any) -> Number:
    if isinstance(values, Symbol):
        mixes("any")
    return reduce(logical_or, np.ravel(np.asarray(values, dtype=object)), False)


def all_of(values: Any) -> Number:
    if isinstance(values, Symbol):
        mixes("all")
    return reduce(logical_and, np.ravel(np.asarray(values, dtype=object)), True)


def python_any(values: Iterable[Any]) -> Number:
    return any_of(values if isinstance(values, Symbol) else list(values))


def python_all(values: Iterable[Any]) -> Number:
    return all_of(values if isinstance(values, Symbol) else list(values))


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
    compensated = add(high, where(is_finite(low), low, 0.0))
    symbols = [value for value in row if isinstance(value, Symbol)]
    return given(compensated, *(part for value in symbols for part in (number(value), 1.0)))


def dot(x: Any, y: Any) -> Number:
    if isinstance(x, Symbol) or isinstance(y, Symbol):
        mixes("dot")
    return np.dot(np.asarray(x, dtype=object), np.asarray(y, dtype=object))


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


def polyval(coefficients: Sequence[Number], x: Number) -> Number:
    """Highest power first, by Horner's rule."""
    return reduce(lambda value, c: value * x + c, coefficients, 0.0)


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


def nan_to_num(
    x: Number, nan: Number = 0.0, posinf: Number = None, neginf: Number = None
) -> Number:
    """Numbers in the place of nan and of the infinities; without them the largest of the dtype, which
    are float64's here: refuse to guess another."""
    nan = 0.0 if nan is None else nan
    largest = float(np.finfo(np.float64).max)
    high, low = (largest if posinf is None else posinf), (-largest if neginf is None else neginf)
    return where(is_nan(x), nan, where(is_posinf(x), high, where(is_neginf(x), low, x)))


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


def floor_divmod(x: Number, y: Number) -> tuple[Number, Number]:
    return floor_divide(x, y), mod(x, y)


def norm(*values: Number) -> Number:
    """`math.hypot` of any number of coordinates."""
    return reduce(hypot, values) if len(values) > 1 else absolute(*values)


def distance(x: Sequence[Number], y: Sequence[Number]) -> Number:
    return norm(*(subtract(a, b) for a, b in zip(x, y, strict=True)))


def sum_product(x: Iterable[Number], y: Iterable[Number]) -> Number:
    return reduce(add, (multiply(a, b) for a, b in zip(x, y, strict=True)), 0)


def fmod(x: Number, y: Number) -> Number:
    """C's remainder, with the sign of x; its slope at zero is one, as beside it."""
    y = absolute(y)
    return where(less(absolute(x), y), x, copysign(mod(absolute(x), y), x))


def remainder_nearest(x: Number, y: Number) -> Number:
    """IEEE's remainder, by exact steps; of two nearest multiples the even one."""
    size, y = absolute(x), absolute(y)
    rest = mod(size, y)
    other = subtract(y, rest)
    even = subtract(rest, multiply(2.0, mod(multiply(0.5, subtract(size, rest)), y)))
    found = where(less(rest, other), rest, where(less(other, rest), negative(other), even))
    return where(is_inf(y), x, multiply(copysign(1.0, x), found))


def modf(x: Number) -> tuple[Number, Number]:
    """The part behind the point, with the sign of x, and the whole part."""
    whole = trunc(x)
    rest = where(less(x, 0), negative(subtract(whole, x)), subtract(x, whole))
    return where(less(absolute(x), 1.0), x, where(is_inf(x), copysign(0.0, x), rest)), whole


def absolute_jax(x: Number) -> Number:
    """JAX's, with the derivative of the right side at 0."""
    return where(less(x, 0), negative(x), add(x, 0.0))


def angle(x: Number) -> Number:
    """Of a real number: 0, or pi where it is negative."""
    return where(less(x, 0), math.pi, where(is_nan(x), x, 0.0))


def fraction(x: Number) -> Number:
    return subtract(x, trunc(x))


def degrees(x: Number) -> Number:
    return multiply(x, 180 / math.pi)


def radians(x: Number) -> Number:
    return multiply(x, math.pi / 180)


def fma(x: Number, y: Number, z: Number) -> Number:
    return add(multiply(x, y), z)


def addcmul(x: Number, a: Number, b: Number, value: Number = 1) -> Number:
    return add(x, _scaled(multiply(a, b), value))


def addcdiv(x: Number, a: Number, b: Number, value: Number = 1) -> Number:
    return add(x, _scaled(divide(a, b), value))


def ldexp(x: Number, exponent: Number) -> Number:
    return multiply(x, exp2(exponent))


def square(x: Number) -> Number:
    return multiply(x, x)


def cube(x: Number) -> Number:
    return multiply(multiply(x, x), x)


def reciprocal(x: Number) -> Number:
    return divide(1.0, x)


def rsqrt(x: Number) -> Number:
    return divide(1.0, sqrt(x))


def lerp(start: Number, end: Number, weight: Number) -> Number:
    return add(start, multiply(weight, subtract(end, start)))


def logaddexp(x: Number, y: Number) -> Number:
    return add(y, apply("softplus", subtract(x, y)))


def logaddexp2(x: Number, y: Number) -> Number:
    scale = math.log(2.0)
    return add(y, divide(apply("softplus", multiply(scale, subtract(x, y))), scale))


def xlogy(x: Number, y: Number) -> Number:
    return where(logical_and(equal(x, 0), logical_not(is_nan(y))), 0, multiply(x, log(y)))


def xlog1py(x: Number, y: Number) -> Number:
    return where(logical_and(equal(x, 0), logical_not(is_nan(y))), 0, multiply(x, log1p(y)))


def entropy_term(x: Number) -> Number:
    """-x log x, 0 at 0."""
    inside = where(equal(x, 0), 0.0, -math.inf)
    return where(is_nan(x), x, where(less(0, x), negative(multiply(x, log(x))), inside))


def sinc(x: Number) -> Number:
    """NumPy's sin(pi x) / (pi x), 1 at 0."""
    angle = multiply(math.pi, x)
    return where(equal(x, 0), 1, divide(sin(angle), angle))


def normal_cdf(x: Number) -> Number:
    return multiply(0.5, erfc(multiply(x, -math.sqrt(0.5))))


def logit(x: Number, eps: Number = None) -> Number:
    x = x if eps is None else clip(x, eps, subtract(1, eps))
    return subtract(log(x), log1p(negative(x)))


def exp10(x: Number) -> Number:
    return power(10.0, x)


def round_away(x: Number, rounding_method: Any = 0) -> Number:
    """JAX's `lax.round`: ties away from zero by default."""
    if int(rounding_method):
        return rint(x)
    # Not floor(|x| + 0.5), whose sum is rounded: 0.49999999999999994 is nearer to 0.
    size = absolute(x)
    below = floor(size)
    return copysign(where(less(subtract(size, below), 0.5), below, add(below, 1)), x)


def python_divide(x: Number, y: Number, rounding_mode: str | None = None) -> Number:
    """PyTorch's `div`: its "floor" is Python's `//`."""
    if rounding_mode is None:
        return divide(x, y)
    if rounding_mode == "floor":
        return floor_divide(x, y)
    if rounding_mode == "trunc":
        return trunc(divide(x, y))
    refuse(f"`rounding_mode={rounding_mode!r}`", 'Give None, "floor" or "trunc".')


def quotient_floor(x: Number, y: Number) -> Number:
    """TensorFlow's `floordiv`: the floor of the rounded quotient."""
    return floor(divide(x, y))


def truncate_divide(x: Number, y: Number) -> Number:
    return trunc(divide(x, y))


def divide_no_nan(x: Number, y: Number) -> Number:
    return where(equal(y, 0), 0, divide(x, y))


def multiply_no_nan(x: Number, y: Number) -> Number:
    return where(equal(y, 0), 0, multiply(x, y))


def is_integer(x: Number) -> Number:
    return equal(floor(x), x)


def factorial(x: Number) -> Number:
    if isinstance(x, Symbol):
        refuse("`math.factorial` of an input cannot be read", "Compute it of constants. " + HOST)
    return math.factorial(x)


def clip_below(x: Number, low: Number) -> Number:
    return clip(x, low)


def clip_above(x: Number, high: Number) -> Number:
    return clip(x, None, high)


def reciprocal_no_nan(x: Number) -> Number:
    return divide_no_nan(1.0, x)


def divide_zero(x: Number, y: Number) -> Number:
    """TensorFlow's `xdivy`: 0 where x is 0."""
    return where(equal(x, 0), 0, divide(x, y))


def squared_difference(x: Number, y: Number) -> Number:
    return square(subtract(x, y))
