"""Tables and pieces: a constant vector read at a computed index, knots, polynomials, SciPy's splines.

The interval of a number among sorted knots is found by halving, so a thousand knots take ten steps.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, reduce
from typing import Any, NoReturn

import numpy as np

from actgrad.common.types import Array, Function
from actgrad.language.expression import Expr, const, is_const, vector
from actgrad.language.program import is_lookup
from actgrad.language.rewrite import build
from actgrad.reading.libraries.formulas import is_nan
from actgrad.reading.libraries.meanings import (
    Number,
    add,
    divide,
    equal,
    less,
    less_equal,
    logical_or,
    multiply,
    polyval,
    subtract,
    where,
)
from actgrad.reading.reader import mixes, reader
from actgrad.reading.refusal import refuse, writes_out
from actgrad.reading.symbol import Symbol, apply, is_symbolic, made, number
from actgrad.reading.tokens import Token

Compare = Callable[[Number, Number], Number]


class Table(np.ndarray):  # type: ignore[type-arg]
    """An array of constants, or of a parameter's entries, that answers for a symbolic index."""

    def __getitem__(self, key: Any) -> Any:
        return take(self, key) if isinstance(key, Symbol) else super().__getitem__(key)

    @property
    def at(self) -> NoReturn:
        refuse(
            "`.at` of an array of constants",
            "Read it with `table[i]`; of numbers that are computed, make an array with `jnp.stack([a, b])`.",
        )

    def take(self, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise") -> Any:
        if isinstance(indices, Symbol):
            return (
                take(self, indices, axis, mode) if out is None else writes_out("numpy.ndarray.take")
            )
        return super().take(indices, axis, out, mode)

    def __repr__(self) -> str:
        return repr(np.asarray(self))


class _Indexed:
    """A sequence of constants, or of a parameter's entries, that answers for a symbolic index."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Symbol):
            return take(self, key)
        found = super().__getitem__(key)  # type: ignore[misc]
        return type(self)(found) if isinstance(key, slice) else found  # type: ignore[call-arg]


class ListTable(_Indexed, list[Any]):
    pass


class TupleTable(_Indexed, tuple[Any, ...]):
    __slots__ = ()


def table(values: Any) -> Any:
    """A list or tuple of numbers, so that it can be indexed by a symbol."""
    if isinstance(values, dict):
        return values
    if values and all(type(value) in (int, float, Symbol) for value in values):
        return ListTable(values) if isinstance(values, list) else TupleTable(values)
    return values


def wide(root: str) -> AbstractContextManager[object]:
    """In which JAX computes constants in float64, as it does for a user who has switched that on."""
    if root != "jax":
        return nullcontext()
    jax = sys.modules["jax"]
    found: AbstractContextManager[object] = (
        jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    )(True)
    return found


def constant_tensor(value: object) -> object:
    """A constant tensor, so that it can be indexed by a symbol and take its dtype and device."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return value.as_subclass(_constant_tensor())
    if type(value).__module__.partition(".")[0] in {"jax", "jaxlib"} and hasattr(value, "ndim"):
        return np.asarray(value).view(Table)
    return value


@cache
def _constant_tensor() -> object:
    torch: Any = sys.modules["torch"]

    class ConstantTensor(torch.Tensor):  # type: ignore[misc]
        def __getitem__(self, key: object) -> object:
            if isinstance(key, Symbol):
                return take(self.detach().cpu().numpy(), key)
            return super().__getitem__(key)

        def to(self, *args: object, **kwargs: object) -> object:
            args = tuple(arg for arg in args if not isinstance(arg, Token))
            kwargs = {n: arg for n, arg in kwargs.items() if not isinstance(arg, Token)}
            if any(isinstance(arg, Symbol) for arg in args) or not (args or kwargs):
                return self
            return super().to(*args, **kwargs)

        def cuda(self, *_: object, **__: object) -> object:
            return self

        type_as = to

    return ConstantTensor


def take(values: Any, index: Number, axis: int | None = None, mode: str | None = None) -> object:
    """`values[index]`; a negative index counts from the end, as in Python. With the mode "clip" an index
    outside is the nearest inside, with "wrap" they go round."""
    if isinstance(values, Symbol):
        mixes("take")
    if not isinstance(index, Symbol):
        outside: Any = mode if mode in ("clip", "wrap") else "raise"
        return np.take(values, index, axis, mode=outside)
    numbers = np.asarray(values, dtype=None if not is_symbolic(values) else object)
    if numbers.ndim != 1 or axis not in (None, 0, -1):
        refuse(
            "a table of several dimensions is indexed by the input",
            "Index a table of one dimension, or write the choice with `np.where`.",
        )
    if mode == "clip":
        return entry_at(list(numbers), index)
    if mode == "wrap":
        index = apply("mod", index, len(numbers))
    reader().settle(index.expr)  # one that parameters choose is an option
    low, high = reader().range_of(index.expr)
    at = index if low >= 0 else where(less(index, 0), add(index, len(numbers)), index)
    found = _entry(list(numbers), at) if numbers.dtype == object else gather(numbers, at)
    if low >= 0 and high < len(numbers):
        return found
    outside = logical_or(less(at, 0), less_equal(len(numbers), at))  # there Python raises
    return where(outside, np.nan, found)


def index_select(values: object, axis: int, index: Number) -> object:
    """PyTorch's, and its `gather`, of a table."""
    return take(values, index, axis)


def entry_at(numbers: Sequence[object], index: Symbol) -> Number:
    """The entry at an index that is truncated and clamped to the ends."""
    last = len(numbers) - 1.0
    whole = apply("trunc", index)
    at = where(less(whole, 0.0), 0.0, where(less(last, whole), last, whole))
    return _entry(list(numbers), at)


def _entry(numbers: list[object], at: Symbol) -> Number:
    """One of several numbers that are computed of parameters: a lookup, where all are computed alike."""
    exprs = [number(each).expr for each in numbers]
    reader().whole_tables(exprs)
    common = _unified(exprs, at.expr)
    return choose(at, numbers) if common is None else made(common, at)


def _unified(exprs: Sequence[Expr], at: Expr) -> Expr | None:
    """The i-th of some expressions as one expression of i, if they have one form and differ in constants
    only, such as the index of a table."""
    first = exprs[0]
    if all(each is first for each in exprs):
        return first
    if all(is_const(each) for each in exprs):
        return build("gather", vector(float(each.value) for each in exprs), at)  # type: ignore[arg-type]
    if any((e.op, e.value, len(e.args)) != (first.op, first.value, len(first.args)) for e in exprs):
        return None
    if is_lookup(first) and all(each.args[0] is first.args[0] for each in exprs):
        start = first.args[1]
        if all(each.args[1] is const(float(start.value) + i) for i, each in enumerate(exprs)):  # type: ignore[arg-type]
            return build("gather", first.args[0], build("add", at, start) if start.value else at)
    args = [_unified(column, at) for column in zip(*(each.args for each in exprs), strict=True)]
    if not args or None in args:
        return None
    return build(first.op, *args, like=first)  # type: ignore[arg-type]


def gather(numbers: Iterable[float], index: Number) -> Symbol:
    """The number at an index from 0 on, which is an integer and inside."""
    at = number(index)
    return made(build("gather", vector(map(float, numbers)), at.expr), at)


def _at(numbers: Sequence[float], index: Number) -> Number:
    """The number at an index that may be plain."""
    return gather(numbers, index) if isinstance(index, Symbol) else float(numbers[int(index)])


def take_from(index: Number, choices: Sequence[Number]) -> object:
    """NumPy's `choose`."""
    return choose(index, list(choices)) if isinstance(index, Symbol) else np.choose(index, choices)


def choose(index: Number, choices: Sequence[Number]) -> Number:
    return reduce(
        lambda other, pair: where(equal(index, pair[0]), pair[1], other),
        enumerate(choices[:-1]),
        choices[-1],
    )


def position(x: Number, knots: object, right: bool = True) -> Number:
    """How many sorted knots lie at or below x; with `right=False`, below it."""
    if is_symbolic(knots):
        for knot in np.ravel(np.asarray(knots, dtype=object)):
            reader().settle(number(knot).expr)
        refuse("the knots of a table are computed", "Give them as numbers, or as a parameter.")
    knots = np.asarray(knots, dtype=np.float64)
    if knots.ndim != 1 or not (np.diff(knots) >= 0).all():
        refuse("the knots of a table must be sorted, along one axis", "Sort them first: `np.sort`.")
    if not isinstance(x, Symbol):
        return int(np.searchsorted(knots, x, "right" if right else "left"))
    steps = [2**k for k in range(len(knots).bit_length() - 1, -1, -1)]
    padded = np.concatenate([knots, np.full(2 * steps[0] - len(knots), np.inf)])
    found: Number = 0.0
    for step in steps:
        knot = (
            gather(padded, add(found, step - 1)) if isinstance(found, Symbol) else padded[step - 1]
        )
        passed = less_equal(knot, x) if right else less(knot, x)
        found = where(passed, add(found, step), found)
    return where(less(len(knots), found), len(knots), found)


def digitize(x: Number, bins: object, right: bool = False) -> Number:
    """NumPy's, for bins that ascend."""
    return position(x, bins, not right)


def searchsorted(knots: object, x: Number, side: str | None = None, right: bool = False) -> Number:
    return position(x, knots, right or side == "right")


def bisect_right(knots: object, x: Number) -> Number:
    return position(x, knots)


def _interpolation(beyond: Compare) -> Callable[..., Number]:
    """Straight lines through the points (xp, fp), constant outside. `beyond(last, x)`: whether x is behind
    the last one, where the slope is 0."""

    def interp(
        x: Number,
        xp: Sequence[Number],
        fp: Sequence[Number],
        left: Number = None,
        right: Number = None,
        period: object = None,
    ) -> Number:
        if period is not None:
            refuse(
                "`interp` with a period", "Take the remainder first: `np.interp(x % period, ...)`."
            )
        of_table = is_symbolic(list(fp)) and not is_symbolic(list(xp)) and len(xp) > 1
        if is_symbolic(list(xp)) or len(xp) < 2:
            result = _lines(x, xp, fp, beyond)
        elif of_table:
            result = _line_of_table(x, np.asarray(xp, np.float64), fp)
        else:
            at, values = np.asarray(xp, np.float64), np.asarray(fp, np.float64)
            slopes = np.diff(values) / np.diff(at)
            slopes = np.append(slopes, slopes[-1])
            i = subtract(position(x, at), 1)
            line = add(multiply(gather(slopes, i), subtract(x, gather(at, i))), gather(values, i))
            result = where(less(x, at[0]), values[0], where(beyond(at[-1], x), values[-1], line))
        if left is not None:
            result = where(less(x, xp[0]), left, result)
        if right is not None:
            result = where(less(xp[-1], x), right, result)
        return result if of_table else where(is_nan(x), x, result)

    return interp


interp, interp_jax = _interpolation(less_equal), _interpolation(less)


def _line_of_table(x: Number, knots: Array, values: Sequence[Number]) -> Number:
    """Through points whose heights are parameters, two of which are read. Knots at even steps need no
    search."""
    clipped = where(less(x, knots[0]), knots[0], where(less(knots[-1], x), knots[-1], x))
    steps, last = np.diff(knots), len(knots) - 2.0
    if np.allclose(steps, steps[0], rtol=1e-12, atol=0):
        along = multiply(subtract(clipped, knots[0]), (len(knots) - 1) / (knots[-1] - knots[0]))
        i = apply("floor", along)
        i = where(less(last, i), last, i)
        part = subtract(along, i)
    else:
        i = subtract(position(clipped, knots), 1)
        i = where(less(last, i), last, i)
        part = multiply(subtract(clipped, gather(knots[:-1], i)), gather(1 / steps, i))
    left, right = (_entry(list(each), i) for each in (values[:-1], values[1:]))
    return add(multiply(left, subtract(1.0, part)), multiply(right, part))


def _lines(x: Number, xp: Sequence[Number], fp: Sequence[Number], beyond: Compare) -> Number:
    """Through points some of which are parameters: one select for each."""
    result = fp[0]
    for i in range(len(xp) - 1):
        slope = divide(subtract(fp[i + 1], fp[i]), subtract(xp[i + 1], xp[i]))
        line = add(multiply(slope, subtract(x, xp[i])), fp[i])
        result = where(less_equal(xp[i], x), line, result)
    return where(beyond(xp[-1], x), fp[-1], result)


# Objects that are functions of one number.


def stand_in(value: Function) -> Callable[[Number], Number] | None:
    """What an interpolant or a polynomial of NumPy and SciPy computes, as a function of one number."""
    evaluate = _evaluator(value)
    if evaluate is None:
        return None

    def call(x: Number) -> Number:
        return evaluate(x) if isinstance(x, Symbol) else value(x)

    call.__name__ = type(value).__name__
    return call


def _evaluator(value: Any) -> Callable[[Number], Number] | None:
    if isinstance(value, np.poly1d):
        coefficients = list(value.coeffs)
        return lambda x: polyval(coefficients, x)
    series = _SERIES.get(type(value))
    if series is not None:
        offset, scale = value.mapparms()
        return lambda x: series(add(offset, multiply(scale, x)), value.coef)
    interpolate = sys.modules.get("scipy.interpolate")
    if interpolate is None or not isinstance(value, (interpolate.BSpline, interpolate.PPoly)):
        return None
    extrapolate = value.extrapolate
    if extrapolate == "periodic" or np.ndim(value.c) != 1 + isinstance(value, interpolate.PPoly):
        return None
    if isinstance(value, interpolate.BSpline):
        value = interpolate.PPoly.from_spline(value)
    return _pieces(value.c, value.x, bool(extrapolate))


def poly1d(c_or_r: Any, r: bool = False, variable: str | None = None) -> np.poly1d:
    """NumPy's, which leaves out leading zeros, but none where a parameter is among the coefficients."""
    if r or not any(isinstance(c, Symbol) for c in np.atleast_1d(c_or_r)):
        return np.poly1d(c_or_r, r, variable)
    polynomial = np.poly1d(np.ones(len(c_or_r), dtype=object), variable=variable)
    for power, c in enumerate(reversed(c_or_r)):
        polynomial[power] = c
    return polynomial


powers = np.polynomial.polynomial.polyval
chebval, legval = np.polynomial.chebyshev.chebval, np.polynomial.legendre.legval
hermval, hermeval = np.polynomial.hermite.hermval, np.polynomial.hermite_e.hermeval
lagval = np.polynomial.laguerre.lagval
_SERIES: dict[type, Callable[..., Number]] = {
    np.polynomial.Polynomial: powers,
    np.polynomial.Chebyshev: chebval,
    np.polynomial.Legendre: legval,
    np.polynomial.Hermite: hermval,
    np.polynomial.HermiteE: hermeval,
    np.polynomial.Laguerre: lagval,
}
"""How a series is evaluated, by NumPy's own recurrences."""


def _pieces(
    coefficients: Sequence[Sequence[float]], knots: Sequence[float], extrapolate: bool
) -> Callable[[Number], Number]:
    """A polynomial for each interval, in powers of the distance from its left end."""

    def evaluate(x: Number) -> Number:
        i = position(x, knots[1:-1]) if len(knots) > 2 else 0
        distance = subtract(x, _at(knots[:-1], i))
        parts = [_at(row, i) for row in coefficients]
        result = reduce(lambda value, part: add(multiply(value, distance), part), parts)
        if extrapolate:
            return result
        outside = logical_or(less(x, knots[0]), less(knots[-1], x))
        return where(outside, np.nan, result)

    return evaluate
