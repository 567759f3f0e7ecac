"""Special functions as libraries spell them, over those of the vocabulary."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

from actgrad.language import decomposed
from actgrad.reading.libraries.formulas import i0_value, square, times_exp
from actgrad.reading.libraries.meanings import (
    Number,
    absolute,
    add,
    digamma,
    divide,
    equal,
    exp,
    expm1,
    gamma,
    i0e,
    i1e,
    less,
    lgamma,
    multiply,
    stop_gradient,
    subtract,
    trigamma,
    where,
)
from actgrad.reading.refusal import HOST, refuse
from actgrad.reading.symbol import Symbol, given, made, number

MAX_ORDER = 20
"""Of `polygamma`. float32 holds the factorials of a few more."""


# The gamma function.


def factorial(x: Number) -> Number:
    if isinstance(x, Symbol):
        refuse("`math.factorial` of an input cannot be read", "Compute it of constants. " + HOST)
    return math.factorial(x)


def factorial_of(x: Number, exact: bool = False) -> Number:
    """gamma(x + 1), and 0 of negative numbers."""
    if exact:
        refuse("`factorial` with exact=True works on integers", "Leave `exact` out.")
    return where(less(x, 0), 0, gamma(add(x, 1)))


def polygamma(order: object, x: Number) -> Number:
    """The derivative of digamma of this order."""
    n = _plain(order, "the order of `polygamma`")
    if n == 0:
        return digamma(x)
    if n == 1:
        return trigamma(x)
    return made(decomposed.polygamma(n, number(x).expr), number(x))


def method_polygamma(x: Number, order: object) -> Number:
    return polygamma(order, x)


def _plain(value: Number, what: str) -> int:
    if isinstance(value, Symbol) and value.expr.op == "const":
        value = value.expr.value
    if isinstance(value, Symbol) or not 0 <= (plain := float(value)) <= MAX_ORDER or plain % 1:
        refuse(f"{what} must be a plain integer from 0 to {MAX_ORDER}", "Write it out. " + HOST)
    return int(plain)


def zeta(s: object, q: Number) -> Number:
    """Hurwitz's, of a plain integer s and an input q."""
    n = _plain(s, "the first argument of `zeta`") - 1
    if n < 1:
        refuse("the first argument of `zeta` must be at least 2", "Write a larger one. " + HOST)
    return divide(polygamma(n, q), (-1) ** (n + 1) * math.factorial(n))


def multigammaln(x: Number, p: int) -> Number:
    dimensions = _plain(p, "the dimension of `multigammaln`")
    start = 0.25 * dimensions * (dimensions - 1) * math.log(math.pi)
    return reduce(add, (lgamma(subtract(x, 0.5 * k)) for k in range(dimensions)), start)


# Bessel functions. The slopes are given, as that of the product would lose digits.


def i0(x: Number) -> Number:
    return given(i0_value(x), x, i1(x))


def i1(x: Number) -> Number:
    value = times_exp(x, i1e(x), x)
    quarter = multiply(0.25, square(x))
    terms = [0.5 / (math.factorial(k) * math.factorial(k + 1)) for k in range(9)]
    near = reduce(lambda rest, term: add(multiply(rest, quarter), term), reversed(terms))
    ratio = where(less(absolute(x), 0.5), near, divide(value, x))
    return given(value, x, subtract(given(i0_value(x), x, value), ratio))


def iv(order: object, x: Number) -> Number:
    """The modified Bessel function of an order that is 0 or 1."""
    return (i0, i1)[_first_order(order)](x)


def ive(order: object, x: Number) -> Number:
    return (i0e, i1e)[_first_order(order)](x)


def _first_order(order: object) -> int:
    n = _plain(order, "the order of `iv`")
    if n > 1:
        refuse("`iv` of an order above 1", "Use 0 or 1. " + HOST)
    return n


# Orthogonal polynomials, of a plain degree.


def _polynomial(
    one: Callable[[Number], Number], following: Callable[[int, Number, Number, Number], Number]
) -> Callable[[object, Number], Number]:
    """By the recurrence from 1 and the polynomial of degree 1."""

    def evaluate(degree: Number, x: Number) -> Number:
        n = _plain(degree, "the degree of a polynomial")
        before, current = multiply(0.0, x) + 1.0, one(x)
        for k in range(1, n):
            before, current = current, following(k, x, current, before)
        return current if n else before

    return evaluate


def _chebyshev(one: Callable[[Number], Number]) -> Callable[[Number, Number], Number]:
    return _polynomial(one, lambda k, x, p, q: 2.0 * x * p - q)


eval_chebyt, eval_chebyu = _chebyshev(lambda x: 1.0 * x), _chebyshev(lambda x: 2.0 * x)
eval_hermite = _polynomial(lambda x: 2.0 * x, lambda k, x, p, q: 2.0 * x * p - 2.0 * k * q)
eval_hermitenorm = _polynomial(lambda x: 1.0 * x, lambda k, x, p, q: x * p - k * q)
eval_legendre = _polynomial(
    lambda x: 1.0 * x, lambda k, x, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1)
)
eval_laguerre = _polynomial(
    lambda x: 1.0 - x, lambda k, x, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1)
)


def constant_i1(x: Number) -> Number:
    """PyTorch's `modified_bessel_i1`, which has no derivative."""
    return stop_gradient(i1(x))


# What is smooth where its formula divides zero by zero.


def exprel(x: Number) -> Number:
    """(exp(x) - 1) / x, 1 at 0."""
    value = where(equal(x, math.inf), x, divide(expm1(x), x))
    value = where(equal(x, 0), 1, value)
    terms = [k / math.factorial(k + 1) for k in range(1, 18)]
    near = reduce(lambda rest, term: add(multiply(rest, x), term), reversed(terms))
    return given(value, x, where(less(absolute(x), 1), near, divide(subtract(exp(x), value), x)))
