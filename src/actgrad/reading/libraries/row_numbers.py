"""What libraries compute of a row: sums, extremes, orders, and what is made of them.

A symbol's form is the length of its row, or None for one number; a row of length 1, as `keepdims=True` leaves
it, goes with every other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from actgrad.common.types import Function
from actgrad.language.expression import as_row, make
from actgrad.language.length import ONE, Length
from actgrad.reading.libraries.formulas import absolute_jax
from actgrad.reading.libraries.meanings import (
    Number,
    absolute,
    add,
    divide,
    equal,
    exp,
    less,
    log,
    logical_and,
    mod,
    multiply,
    negative,
    power,
    sqrt,
    stop_gradient,
    subtract,
    where,
)
from actgrad.reading.libraries.meanings import where as select
from actgrad.reading.libraries.sizes import Size, kept
from actgrad.reading.reader import reader
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, number, of_row, row_of, truth


def row(op: str, x: Symbol, *others: Symbol, form: object, value: Any = None) -> Symbol:
    """The operation on rows, and how long its result is."""
    parts = [as_row(part.expr, part.form) for part in (x, *others)]
    return kept(make(op, *parts, value=value), form)


def whole(x: Any, name: str) -> Symbol:
    """The row as numbers."""
    if not of_row(x):
        refuse(f"`{name}` of what is no row", "Apply it to the row, or to a part of it.")
    if x.mask is not None:
        refuse(
            f"`{name}` of the places where a condition holds, of which there may be any number",
            "Choose with `np.where(condition, x, 0.0)` (for a maximum, with `-np.inf`).",
        )
    return number(x)


def along(axis: object, name: str) -> None:
    axis = axis[0] if isinstance(axis, (tuple, list)) and len(axis) == 1 else axis
    if isinstance(axis, Symbol):  # a module's own number
        reader().settle(axis.expr)
    if axis is not None and (isinstance(axis, bool) or axis not in (0, -1)):
        refuse(
            f"`{name}` along axis {axis!r}, and the function gets one row, whose only axis is -1",
            "Write it for one row, with `axis=-1` or without an axis; `activation(..., axis=...)` says where "
            "the rows lie in a tensor.",
        )


def _reduced(op: str, x: object, axis: object, keepdims: bool, name: str) -> Symbol:
    along(axis, name)
    x = whole(x, name)
    if x.form == ONE:
        return kept(x.expr, ONE if keepdims else None)
    return row(op, x, form=ONE if keepdims else None)


def total(x: object, axis: object = None, keepdims: bool = False, start: object = 0) -> Number:
    found = _reduced("sum", x, axis, keepdims, "sum")
    return found if isinstance(start, int) and start == 0 else add(found, start)


def largest(x: object, axis: object = None, keepdims: bool = False) -> Number:
    return _reduced("max", x, axis, keepdims, "max")


def smallest(x: object, axis: object = None, keepdims: bool = False) -> Number:
    return negative(_reduced("max", negative(number(x)), axis, keepdims, "min"))


def cumprod(x: object, axis: object = None) -> Number:
    """By running sums of logarithms and of signs. Past one zero it is 0, with a derivative by that one."""
    along(axis, "cumprod")
    zero = equal(x, 0.0)
    zeros = cumsum(number(zero))
    size = exp(cumsum(log(where(zero, 1.0, absolute(x)))))
    odd = mod(cumsum(number(less(x, 0.0))), 2.0)
    first = cumsum(where(logical_and(zero, equal(zeros, 1.0)), x, 0.0))
    past = where(equal(zeros, 0.0), 1.0, where(equal(zeros, 1.0), first, 0.0))
    return multiply(multiply(size, subtract(1.0, multiply(2.0, odd))), past)


def product(x: object, axis: object = None, keepdims: bool = False, start: object = 1) -> Number:
    found = _reduced("prod", x, axis, keepdims, "prod")
    return found if isinstance(start, int) and start == 1 else multiply(found, start)


def mean(x: object, axis: object = None, keepdims: bool = False, *, where: object = None) -> Number:
    if where is None:
        return divide(total(x, axis, keepdims), length_of(x))
    chosen = select(where, x, 0.0)
    return divide(total(chosen, axis, keepdims), count_nonzero(where, axis, keepdims))


def average(
    x: object, axis: object = None, weights: object = None, keepdims: bool = False
) -> Number:
    if weights is None:
        return mean(x, axis, keepdims)
    return divide(total(multiply(x, weights), axis, keepdims), total(weights, axis, keepdims))


def variance(
    x: object,
    axis: object = None,
    keepdims: bool = False,
    *,
    ddof: int = 0,
    correction: int | None = None,
    unbiased: bool | None = None,
) -> Number:
    """NumPy's, of which nothing is taken off; PyTorch's `correction`, where it is given."""
    less_one = correction if correction is not None else int(unbiased or 0) or ddof
    apart = subtract(x, mean(x))
    return divide(total(multiply(apart, apart), axis, keepdims), subtract(length_of(x), less_one))


@wraps(variance)
def deviation(x: object, *args: Any, **how: Any) -> Number:
    return sqrt(variance(x, *args, **how))


def mean_last(of: Callable[..., Number]) -> Callable[..., tuple[Number, Number]]:
    """PyTorch's `var_mean` and `std_mean`."""

    @wraps(of)
    def both(x: object, axis: object = None, *args: object, **how: Any) -> tuple[Number, Number]:
        spread = of(x, axis, *args, **how)
        return spread, mean(x, axis, keepdims=number(spread).form == ONE)

    return both


def variance_of_torch(
    x: object,
    axis: object = None,
    unbiased: bool = True,
    keepdims: bool = False,
    *,
    correction: int | None = None,
) -> Number:
    less_one = int(unbiased) if correction is None else correction
    return variance(x, axis, keepdims, correction=less_one)


@wraps(variance_of_torch)
def deviation_of_torch(x: object, *args: Any, **how: Any) -> Number:
    return _root(variance_of_torch(x, *args, **how))


def moments(x: object, axes: object = -1, shift: object = None, keepdims: bool = False) -> Any:
    """The mean and the variance."""
    if shift is not None:
        refuse("moments with a shift", "Leave `shift` out.")
    return mean(x, axes, keepdims), variance(x, axes, keepdims)


def count_nonzero(x: object, axis: object = None, keepdims: bool = False) -> Number:
    return total(number(truth(x)), axis, keepdims)


def norm(
    x: object, ord: object = None, axis: object = None, keepdims: bool = False, p: object = None
) -> Number:
    """Of a positive order; at a row of zeros its derivative is 0."""
    order = 2 if ord is None and p is None else ord if p is None else p
    return _norm(absolute(whole(x, "norm")), order, axis, keepdims)


def norm_of_jax(
    x: object, ord: object = None, axis: object = None, keepdims: bool = False
) -> Number:
    return _norm(absolute_jax(whole(x, "norm")), 2 if ord is None else ord, axis, keepdims)


def _norm(size: object, order: object, axis: object, keepdims: bool) -> Number:
    if order == 1:
        return total(size, axis, keepdims)
    if order == float("inf"):
        return largest(size, axis, keepdims)
    if order in (2, "fro", "euclidean"):
        return _root(total(multiply(size, size), axis, keepdims))
    if isinstance(order, (int, float)) and order > 0:
        return _root(total(power(size, order), axis, keepdims), order)
    refuse(f"a norm of order {order!r}", "Write it out: `np.sum(np.abs(x) ** p) ** (1 / p)`.")


def _root(x: object, order: float = 2) -> Number:
    """At 0 its derivative is 0."""
    return where(equal(x, 0.0), 0.0, sqrt(x) if order == 2 else power(x, 1 / order))


def dot(x: object, y: object) -> Number:
    if of_row(x) and of_row(y):
        return total(multiply(x, y))
    refuse("a product with something that is no row", "Multiply two rows, or use a sum.")


def logsumexp(x: object, axis: object = None, keepdims: bool = False) -> Number:
    top = stop_gradient(largest(x))  # it cancels
    top = where(less(absolute(top), float("inf")), top, 0.0)
    found = add(top, log(total(exp(subtract(x, top)), axis, keepdims)))
    return kept(number(found).expr, ONE) if keepdims else found


def cumsum(x: object, axis: object = None) -> Number:
    along(axis, "cumsum")
    x = whole(x, "cumsum")
    return row("cumsum", x, form=x.form)


def flip(x: object, axis: object = None) -> Number:
    along(axis, "flip")
    x = whole(x, "flip")
    if x.expr.op == "flip":
        return kept(x.expr.args[0], x.form)
    return row("flip", x, form=x.form)


def argmax(x: object, axis: object = None, keepdims: bool = False) -> Number:
    """The first place of the largest."""
    x = whole(x, "argmax")
    is_largest = equal(x, largest(x))
    return smallest(where(is_largest, position(x.form), length_of(x)), axis, keepdims)


def largest_by(x: object, *, key: Function | None = None) -> Number:
    """Python's `max`: the first of those whose key is the largest."""
    x = whole(x, "max")
    if key is None:
        return largest(x)
    place = argmax(row_of([key(next(iter(x)))]))
    return total(select(equal(position(x.form), place), x, 0.0))


def smallest_by(x: object, *, key: Function | None = None) -> Number:
    if key is None:
        return smallest(x)
    return largest_by(x, key=lambda each: negative(key(each)))


def unit_and_norm(x: object, ord: object = 2, axis: object = None) -> tuple[Number, Number]:
    """TensorFlow's `linalg.normalize`."""
    length = kept(number(norm(x, ord, axis)).expr, ONE)
    return divide(x, length), length


def position(length: Length) -> Symbol:
    return kept(make("position", value=length), length)


def length_of(x: Any, axis: object = None) -> Any:
    """`len(x)`, `x.shape[-1]`, `np.size(x)`."""
    x = row_of(x)
    if not of_row(x):
        return len(x)
    along(axis, "size")
    if x.mask is not None:
        return count_nonzero(Symbol(x.mask, x.form))
    return Size.of(x.form)
