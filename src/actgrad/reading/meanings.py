"""The meanings that libraries share, written once, over numbers and symbols.

Each is a composition of the vocabulary's operations; `aliases` says who calls it what. At a tie
(`maximum(a, b)` where a equals b) the first argument is the branch that is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from actgrad.language.expression import const, make, var, variables
from actgrad.language.ops import OPS
from actgrad.reading.symbol import HOST, Symbol, apply, number, refuse, truth, whole

Number = Any


def _operation(op: str) -> Callable[..., Number]:
    if OPS[op].arity == 1:
        return lambda x: apply(op, x)
    return lambda x, y: apply(op, x, y)


absolute, negative = _operation("abs"), _operation("neg")
add, subtract, multiply, divide = map(_operation, ("add", "sub", "mul", "div"))
floor_divide, mod, power, hypot, copysign, atan2 = map(
    _operation, ("floordiv", "mod", "pow", "hypot", "copysign", "atan2")
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


def greater(x: Number, y: Number) -> Number:
    return apply("lt", y, x)


def greater_equal(x: Number, y: Number) -> Number:
    return apply("le", y, x)


def not_equal(x: Number, y: Number) -> Number:
    return apply("not", apply("eq", x, y))


def logical_xor(x: Number, y: Number) -> Number:
    return not_equal(number(truth(x)), number(truth(y)))


def log(x: Number, base: Number = math.e) -> Number:
    return apply("log", x) if base == math.e else apply("log", x) / apply("log", base)


def identity(x: Number) -> Number:
    return x


def stop_gradient(x: Number) -> Number:
    """The number, with the derivative 0."""
    value = number(x).expr
    pairs = [part for name in sorted(variables(value)) for part in (var(name), const(0.0))]
    return Symbol(make("given", value, *pairs)) if pairs else x


def as_float(x: Number = 0.0) -> Number:
    return number(x)


def as_int(x: Number = 0) -> Number:
    return whole("trunc", x)


def whole_floor(x: Number) -> Number:
    return whole("floor", x)


def whole_ceil(x: Number) -> Number:
    return whole("ceil", x)


def whole_round(x: Number, digits: int | None = None) -> Number:
    return round(number(x), digits)


def as_bool(x: Number = False) -> Number:
    return truth(x)


def type_as(x: Number, other: Any) -> Number:
    return number(x)


def constant(value: Any) -> Any:
    """A constant tensor of another library: a number, or an array of them."""
    return np.asarray(value)[()] if isinstance(value, (list, tuple)) else value


def cast(x: Number, dtype: Any = None) -> Number:
    kind = str(dtype)
    if "bool" in kind:
        return truth(x)
    return as_int(x) if "int" in kind else number(x)


def where(condition: Number, yes: Number = None, no: Number = None) -> Number:
    if yes is None or no is None:
        refuse("`where` with a condition alone asks for indices", "Give it both values.")
    return apply("select", condition, yes, no)


def select(conditions: Sequence[Any], values: Sequence[Any], default: Number = 0) -> Number:
    pairs = zip(reversed(conditions), reversed(values), strict=True)
    return reduce(lambda otherwise, pair: where(pair[0], pair[1], otherwise), pairs, default)


def piecewise(x: Number, conditions: Sequence[Any], values: Sequence[Any]) -> Number:
    """NumPy's: the last condition that holds wins, and one value more is the default."""
    chosen = [value(x) if callable(value) else value for value in values]
    result = chosen[-1] if len(chosen) > len(conditions) else 0
    for condition, value in zip(conditions, chosen, strict=False):
        result = where(condition, value, result)
    return result


def maximum(x: Number, y: Number) -> Number:
    """The larger; nan if either is."""
    return where(less(x, y), y, where(is_nan(y), y, x))


def minimum(x: Number, y: Number) -> Number:
    return where(less(y, x), y, where(is_nan(y), y, x))


def _extreme(better: Callable[[Number, Number], Number]) -> Callable[..., Number]:
    def choose(*values: Any, key: Any = None, default: Any = None) -> Number:
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


python_max, python_min = _extreme(greater), _extreme(less)


def python_round(x: Number, digits: int = 0) -> Number:
    """NumPy's: a float, so a -0.0 stays."""
    return round(number(x), digits)


def python_any(values: Iterable[Any]) -> Number:
    return reduce(logical_or, values, False)


def python_all(values: Iterable[Any]) -> Number:
    return reduce(logical_and, values, True)


def numpy_any(values: Any) -> Number:
    return truth(values) if isinstance(values, Symbol) else python_any(np.ravel(values))


def numpy_all(values: Any) -> Number:
    return truth(values) if isinstance(values, Symbol) else python_all(np.ravel(values))


def total(values: Any, start: Number = 0) -> Number:
    if isinstance(values, Symbol):
        return number(values)
    return reduce(add, np.ravel(np.asarray(values, dtype=object)), start)


def product(values: Any, start: Number = 1) -> Number:
    if isinstance(values, Symbol):
        return number(values)
    return reduce(multiply, np.ravel(np.asarray(values, dtype=object)), start)


def mean(values: Any) -> Number:
    return divide(total(values), 1 if isinstance(values, Symbol) else np.size(values))


def dot(x: Any, y: Any) -> Number:
    if isinstance(x, Symbol) or isinstance(y, Symbol):
        return multiply(x, y)
    return np.dot(np.asarray(x, dtype=object), np.asarray(y, dtype=object))


def interp(x: Number, xp: Any, fp: Any, left: Number = None, right: Number = None) -> Number:
    """Straight lines through the points (xp, fp), constant outside."""
    result = fp[0] if left is None else left
    for i in range(len(xp) - 1):
        slope = (fp[i + 1] - fp[i]) / (xp[i + 1] - xp[i])
        line = add(multiply(slope, subtract(x, xp[i])), fp[i])
        result = where(less_equal(xp[i], x), line, result)
    result = where(less_equal(xp[-1], x), fp[-1], result)
    if right is not None:
        result = where(less(xp[-1], x), right, result)
    return where(is_nan(x), x, result)


def clip(x: Number, low: Number = None, high: Number = None) -> Number:
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)


def polyval(coefficients: Sequence[Number], x: Number) -> Number:
    """Highest power first, by Horner's rule."""
    return reduce(lambda value, c: value * x + c, coefficients, 0.0)


def ascending_polyval(x: Number, coefficients: Sequence[Number]) -> Number:
    return polyval(list(coefficients)[::-1], x)


def sign(x: Number) -> Number:
    return where(less(0, x), 1, where(less(x, 0), -1, x))


def heaviside(x: Number, at_zero: Number) -> Number:
    return where(less(x, 0), 0, where(equal(x, 0), at_zero, where(is_nan(x), x, 1)))


def is_nan(x: Number) -> Number:
    return not_equal(x, x)


def is_inf(x: Number) -> Number:
    return equal(absolute(x), math.inf)


def is_finite(x: Number) -> Number:
    return less(absolute(x), math.inf)


def is_close(a: Number, b: Number, *, rel_tol: float = 1e-9, abs_tol: float = 0.0) -> Number:
    difference = absolute(subtract(a, b))
    relative = multiply(rel_tol, python_max(absolute(a), absolute(b)))
    return logical_or(equal(a, b), less_equal(difference, python_max(relative, abs_tol)))


def numpy_is_close(x: Number, y: Number, rtol: float = 1e-5, atol: float = 1e-8) -> Number:
    difference = absolute(subtract(x, y))
    return logical_or(
        equal(x, y),
        logical_and(is_finite(y), less_equal(difference, add(atol, multiply(rtol, absolute(y))))),
    )


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
    return subtract(x, multiply(y, rint(divide(x, y))))


def modf(x: Number) -> tuple[Number, Number]:
    whole = trunc(x)
    return where(less(absolute(x), 1.0), x, copysign(subtract(x, whole), x)), whole


def degrees(x: Number) -> Number:
    return multiply(x, 180 / math.pi)


def radians(x: Number) -> Number:
    return multiply(x, math.pi / 180)


def fma(x: Number, y: Number, z: Number) -> Number:
    return add(multiply(x, y), z)


def ldexp(x: Number, exponent: Number) -> Number:
    return multiply(x, exp2(exponent))


def square(x: Number) -> Number:
    return multiply(x, x)


def reciprocal(x: Number) -> Number:
    return divide(1.0, x)


def rsqrt(x: Number) -> Number:
    return divide(1.0, sqrt(x))


def zero_like(x: Number) -> Number:
    return 0.0


def one_like(x: Number) -> Number:
    return 1.0


def full_like(x: Number, value: Number) -> Number:
    return value


def lerp(start: Number, end: Number, weight: Number) -> Number:
    return add(start, multiply(weight, subtract(end, start)))


def logaddexp(x: Number, y: Number) -> Number:
    return add(y, apply("softplus", subtract(x, y)))


def xlogy(x: Number, y: Number) -> Number:
    return where(equal(x, 0), 0, multiply(x, log(y)))


def sinc(x: Number) -> Number:
    """NumPy's sin(pi x) / (pi x), 1 at 0."""
    angle = multiply(math.pi, x)
    return where(equal(x, 0), 1, divide(sin(angle), angle))


def normal_cdf(x: Number) -> Number:
    return multiply(0.5, erfc(multiply(x, -math.sqrt(0.5))))


def logit(x: Number) -> Number:
    return subtract(log(x), log1p(negative(x)))


# The activations that the frameworks ship.


def relu(
    x: Number, negative_slope: Number = 0.0, max_value: Number = None, threshold: Number = 0.0
) -> Number:
    if negative_slope == 0.0 and max_value is None and threshold == 0.0:
        return maximum(x, 0.0)
    below = multiply(negative_slope, subtract(x, threshold))
    above = x if max_value is None else minimum(x, max_value)
    return where(less_equal(x, threshold), below, above)


def relu6(x: Number) -> Number:
    return clip(x, 0.0, 6.0)


def leaky_relu(x: Number, slope: Number = 0.01) -> Number:
    return where(less(x, 0), multiply(slope, x), x)


def tf_leaky_relu(x: Number, slope: Number = 0.2) -> Number:
    return leaky_relu(x, slope)


def threshold(x: Number, at: Number, value: Number) -> Number:
    return where(greater(x, at), x, value)


def elu(x: Number, alpha: Number = 1.0) -> Number:
    return where(less(0, x), x, multiply(alpha, expm1(x)))


def celu(x: Number, alpha: Number = 1.0) -> Number:
    return where(less(0, x), x, multiply(alpha, expm1(divide(x, alpha))))


def selu(x: Number) -> Number:
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return where(less(0, x), multiply(scale, x), multiply(scale * alpha, expm1(x)))


def gelu(x: Number, approximate: bool | str = False) -> Number:
    if approximate in (False, "none"):
        return multiply(x, normal_cdf(x))
    inner = multiply(
        2 * math.sqrt(2 / math.pi), add(x, multiply(0.044715, multiply(x, multiply(x, x))))
    )
    return multiply(x, sigmoid(inner))


def gelu_approximate(x: Number, approximate: bool | str = True) -> Number:
    """JAX's and Keras': the tanh form unless told otherwise."""
    return gelu(x, approximate)


def silu(x: Number, beta: Number = 1.0) -> Number:
    return multiply(x, sigmoid(x if beta == 1.0 else multiply(beta, x)))


def softplus(x: Number, beta: Number = 1.0, threshold: Number = None) -> Number:
    """log(1 + exp(beta x)) / beta. The threshold that torch switches at only guards an overflow."""
    return (
        apply("softplus", x) if beta == 1.0 else divide(apply("softplus", multiply(beta, x)), beta)
    )


def mish(x: Number) -> Number:
    return multiply(x, tanh(softplus(x)))


def log_sigmoid(x: Number) -> Number:
    return negative(softplus(negative(x)))


def softsign(x: Number) -> Number:
    return divide(x, add(1, absolute(x)))


def tanh_shrink(x: Number) -> Number:
    return subtract(x, tanh(x))


def soft_shrink(x: Number, threshold: Number = 0.5) -> Number:
    return where(
        greater(x, threshold),
        subtract(x, threshold),
        where(less(x, negative(threshold)), add(x, threshold), 0.0),
    )


def hard_shrink(x: Number, threshold: Number = 0.5) -> Number:
    return where(logical_or(greater(x, threshold), less(x, negative(threshold))), x, 0.0)


def hard_tanh(x: Number, min_val: Number = -1.0, max_val: Number = 1.0) -> Number:
    return clip(x, min_val, max_val)


def hard_sigmoid(x: Number) -> Number:
    return divide(clip(add(x, 3), 0.0, 6.0), 6)


def hard_silu(x: Number) -> Number:
    return multiply(x, hard_sigmoid(x))


def squareplus(x: Number, b: Number = 4.0) -> Number:
    return multiply(0.5, add(x, sqrt(add(square(x), b))))


def sparse_plus(x: Number) -> Number:
    return where(
        less_equal(x, -1), 0.0, where(greater_equal(x, 1), x, multiply(0.25, square(add(x, 1))))
    )


def exp10(x: Number) -> Number:
    return power(10.0, x)


def clamp(x: Number, low: Number = None, high: Number = None) -> Number:
    return clip(x, low, high)


def lax_clamp(low: Number, x: Number, high: Number) -> Number:
    return clip(x, low, high)


def select_n(condition: Number, no: Number, yes: Number) -> Number:
    return where(condition, yes, no)


def lax_round(x: Number, rounding_method: Any = 0) -> Number:
    """JAX's `lax.round`: ties away from zero by default."""
    if int(rounding_method):
        return rint(x)
    return copysign(floor(add(absolute(x), 0.5)), x)


def torch_round(x: Number, decimals: int = 0) -> Number:
    return python_round(x, decimals)


def torch_div(x: Number, y: Number, rounding_mode: str | None = None) -> Number:
    quotient = divide(x, y)
    return {None: identity, "trunc": trunc, "floor": floor}[rounding_mode](quotient)


def truncate_divide(x: Number, y: Number) -> Number:
    return trunc(divide(x, y))


def divide_no_nan(x: Number, y: Number) -> Number:
    return where(equal(y, 0), 0, divide(x, y))


def multiply_no_nan(x: Number, y: Number) -> Number:
    return where(equal(y, 0), 0, multiply(x, y))


def masked_fill(x: Number, mask: Number, value: Number) -> Number:
    return where(mask, value, x)


def method_where(x: Number, condition: Number, other: Number) -> Number:
    """`x.where(condition, other)`, a tensor's method."""
    return where(condition, x, other)


def is_integer(x: Number) -> Number:
    return equal(floor(x), x)


def keras_leaky_relu(x: Number, negative_slope: Number = 0.2) -> Number:
    return leaky_relu(x, negative_slope)


def gelu_keras(x: Number, approximate: bool = False) -> Number:
    return gelu(x, approximate)


def factorial(x: Number) -> Number:
    if isinstance(x, Symbol):
        refuse("`math.factorial` of an input cannot be read", "Compute it of constants. " + HOST)
    return math.factorial(x)
