"""The symbolic number that stands in for `x` while a function is read.

Arithmetic on it builds an expression. Where Python needs a plain answer (`if x > 0`), it asks the
reader at work, which answers from its list of decisions. It also stands in for an array or a tensor:
`y[x < 0] = 0` and `y.clamp_(min=0)` replace the expression of a copy.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from actgrad.common.text import did_you_mean
from actgrad.language.expression import Expr, const, make, show
from actgrad.language.length import ONE, Length, Turn
from actgrad.language.rewrite import build
from actgrad.reading.forms import one_row, refuse_forms, refuse_one_after_another
from actgrad.reading.libraries.tables import METHOD_NAMES
from actgrad.reading.plain import plain_number
from actgrad.reading.reader import (
    active,
    detached,
    is_detached,
    known,
    mixes,
    reader,
    table_method,
    unknown,
)
from actgrad.reading.refusal import COPY_FIRST, HOST, calls_from_user, makes_complex, refuse
from actgrad.reading.tokens import TOKENS, Token
from actgrad.reading.told import Told, refuse_data

Form = tuple[object, ...]


class Symbol(Told):
    """A number, or a truth value, that is not known yet; or an array of them."""

    __slots__ = ("expr", "form", "mask", "writable")
    __array_priority__ = 1000.0

    def __init__(
        self,
        expr: Expr,
        form: object = (),
        mask: Expr | None = None,
        writable: bool = True,
    ) -> None:
        self.expr = expr
        self.form: Any = form
        """The views between it and the input's shape; None for a single number, such as a parameter. In a
        function of a row, the length of the row that it is."""
        self.mask = mask
        """The condition that chose its elements, as in `x[x < 0]`."""
        self.writable = writable
        """Whether the function may write into it: it is no input, and no other view of one."""

    def __repr__(self) -> str:
        return show(self.expr)

    def __format__(self, spec: str) -> str:
        return show(self.expr)

    @property
    def real(self) -> Symbol:
        return number(self)

    @property
    def data(self) -> Symbol:
        """A tensor's `x.data`: the same numbers, outside of autograd."""
        return _Data(detached(self.expr), self.form, self.mask, writable=False)

    @data.setter
    def data(self, value: object) -> None:
        refuse_data()

    # What Python asks of a number.

    def __bool__(self) -> bool:
        if self.mask is not None:
            mixes("if x[mask]")
        if isinstance(self.form, Turn):
            return reader().decide_each(truth(self).expr, self.form)
        if of_row(self) and self.form != ONE:
            refuse(
                "an `if` on a whole row, each number of which has an answer of its own",
                "Choose with `np.where(condition, a, b)`, or ask for one number: `np.any(x > 0)`.",
            )
        return reader().decide(truth(self).expr)

    def __hash__(self) -> int:
        refuse(
            "the function looks its input up in a dict or a set",
            "Compare instead, as in `x in (0, 1)`, `if`, or `np.select`. " + HOST,
        )

    def __index__(self) -> int:
        return reader().index(self.expr)

    def __float__(self) -> float:
        refuse(
            "this call needs a plain number, so it cannot be followed with a symbolic one",
            "Use functions of math, numpy, scipy.special, tf, torch, jax or keras.ops that actgrad "
            "reads: docs/language.md lists them.",
        )

    __int__ = __float__

    def __iter__(self) -> Iterator[object]:
        """Of a row one turn, with the row as each of its numbers; in a generator one for each way through its
        conditions. The second witness refuses a loop that carries something on."""
        if not of_row(self):
            self.refuse_sequence()
        return self._turns()

    def _turns(self) -> Iterator[object]:
        length, current = Turn.of(self.form), reader()
        each = Symbol(self.expr, length, self.mask, writable=False)
        if current.turns:
            yield from current.turns[-1].taken(each, length)
        else:
            current.loop = length
            yield each

    def __len__(self) -> int:
        self.refuse_sequence()

    __reversed__ = __len__

    def refuse_sequence(self) -> NoReturn:
        reader().settle(self.expr)  # a parameter may be one: then it is read as it is
        if of_row(self):
            refuse_one_after_another()
        refuse(
            "the function treats its input as a sequence",
            "Make it one of the row: `activation(..., axis=-1)`; or take the others as further inputs.",
        )

    def __getitem__(self, key: object) -> object:
        return table_method("part_of" if of_row(self) else "__getitem__")(self, key)

    def __setitem__(self, key: object, value: object) -> None:
        table_method("__setitem__")(self, key, value)

    def viewed(self, step: object) -> Symbol:
        """Another view of the same numbers."""
        if reader().rows:
            refuse(
                "a row in another shape", "An activation with `axis=` gets one row: leave it one."
            )
        return Symbol(self.expr, (*(self.form or ()), step), self.mask, writable=False)

    def assign(self, value: object, allowed: bool = False) -> Symbol:
        """Replace the numbers, as `y.mul_(2)` and `y[...] = value` do."""
        if not (self.writable or allowed or not calls_from_user()):
            refuse(
                "the function writes into its input, which would change the caller's tensor",
                COPY_FIRST,
            )
        value = truth(value) if self.expr.boolean else number(value)
        if (value.form is not None and value.form != self.form) or value.mask is not self.mask:
            refuse_forms()
        self.expr = value.expr
        return self

    # Arithmetic.

    def __pos__(self) -> object:
        return number(self)

    def __round__(self, digits: int | None = None) -> object:
        return table_method("__round__")(self, digits)

    def __divmod__(self, other: object) -> tuple[object, object]:
        return apply("floordiv", self, other), apply("mod", self, other)

    def __rdivmod__(self, other: object) -> tuple[object, object]:
        return apply("floordiv", other, self), apply("mod", other, self)

    def __pow__(self, other: object, modulus: object = None) -> object:
        if modulus is not None:
            refuse(
                "pow(a, b, m) is for integers", "Write `a ** b % m`, which works for all numbers."
            )
        return apply("pow", self, other)

    def __matmul__(self, other: object) -> object:
        return table_method("dot")(self, other)

    __rmatmul__ = __matmul__

    def __eq__(self, other: object) -> Any:
        return apply("eq", self, other) if hasattr(other, "__float__") else NotImplemented

    def __ne__(self, other: object) -> Any:
        if not hasattr(other, "__float__"):
            return NotImplemented
        return apply("not", apply("eq", self, other))

    def __invert__(self) -> object:
        _need_truth("~", self)
        return apply("not", self)

    def __xor__(self, other: object) -> object:
        _need_truth("^", self, other)
        return apply("not", apply("eq", number(self), number(other)))

    __rxor__ = __xor__

    # What libraries ask of their arrays.

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in TOKENS:
            return Token(TOKENS[name])
        if name == "value" and self.form is None:  # a weight's, as Flax and Keras have it
            return self
        found = reader().method(name)
        if found is None:
            near = did_you_mean(name, METHOD_NAMES)
            refuse(
                f"a number has no method or attribute {name!r} that actgrad knows{near and '; ' + near}",
                f"Use a function of math, numpy, tf, torch, jax or keras.ops instead. {HOST}",
            )
        return lambda *args, **kwargs: found(self, *args, **kwargs)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: object, **kwargs: object) -> object:
        name = f"numpy.{ufunc.__name__}"
        if method != "__call__":
            mixes(f"{name}.{method}")
        return known(ufunc, name)(*inputs, **kwargs)

    def __array_function__(self, function: Any, types: object, args: Any, kwargs: Any) -> object:
        return known(function, f"numpy.{function.__name__}")(*args, **kwargs)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: object, args: Sequence[object] = (), kwargs: Any = None
    ) -> object:
        """PyTorch's functions and methods, also those of a constant tensor: `weight.type_as(x)`."""
        name = function.__name__
        if name.startswith("__"):
            args = [
                a if isinstance(a, Symbol) else np.asarray(a) if hasattr(a, "shape") else a
                for a in args
            ]
            plain = getattr(operator, name, None)
            if plain is not None:
                return plain(*args)
            if name.startswith("__r") and hasattr(operator, f"__{name[3:]}"):
                return getattr(operator, f"__{name[3:]}")(args[1], args[0])
            unknown(f"torch.Tensor.{name}")
        found = reader().meaning(function) or reader().method(name)
        return (found or unknown(f"torch.{name}"))(*args, **(kwargs or {}))


class _Data(Symbol):
    """A tensor's `x.data`."""

    __slots__ = ()

    def assign(self, value: object, allowed: bool = False) -> Symbol:
        refuse_data()


def _binary(op: str, swapped: bool = False) -> Callable[[Symbol, object], object]:
    reflected = "__rtruediv__" if op == "div" else f"__r{op}__"

    def operate(self: Symbol, other: object) -> object:
        if isinstance(other, (complex, np.complexfloating)):
            makes_complex(repr(other))
        # A user's own class may know what to do with a number.
        if not swapped and hasattr(other, reflected) and not hasattr(other, "__float__"):
            return NotImplemented
        return apply(op, other, self) if swapped else apply(op, self, other)

    return operate


def _applied(op: str) -> Callable[..., object]:
    return lambda *args: apply(op, *args)


def _stepped(op: str) -> Callable[[Symbol], object]:
    return lambda self: whole(op, self)


for _op in ("neg", "abs", "lt", "le"):
    setattr(Symbol, f"__{_op}__", _applied(_op))
for _name, _op in (("gt", "lt"), ("ge", "le")):
    setattr(Symbol, f"__{_name}__", lambda self, other, op=_op: apply(op, other, self))
for _op in ("floor", "ceil", "trunc"):
    setattr(Symbol, f"__{_op}__", _stepped(_op))
for _op in ("add", "sub", "mul", "floordiv", "mod"):
    setattr(Symbol, f"__{_op}__", _binary(_op))
    setattr(Symbol, f"__r{_op}__", _binary(_op, swapped=True))
setattr(Symbol, "__truediv__", _binary("div"))  # noqa: B010
setattr(Symbol, "__rtruediv__", _binary("div", swapped=True))  # noqa: B010
setattr(Symbol, "__rpow__", _binary("pow", swapped=True))  # noqa: B010


def _logical(op: str, sign: str) -> Callable[[Symbol, object], object]:
    def operate(self: Symbol, other: object) -> object:
        _need_truth(sign, self, other)
        return apply(op, self, other)

    return operate


for _name, _op, _sign in (("and", "and", "&"), ("or", "or", "|")):
    setattr(Symbol, f"__{_name}__", _logical(_op, _sign))
    setattr(Symbol, f"__r{_name}__", _logical(_op, _sign))

_LOGICAL = {"and", "or", "not"}


def apply(op: str, *args: object) -> Any:
    """The operation on numbers and symbols: a plain number if nothing in it is symbolic.

    With arrays (of coefficients, say) among the arguments, an array of the results.
    """
    if False in [isinstance(arg, (Symbol, float, int)) for arg in args]:
        args = tuple(arg if isinstance(arg, Symbol) else _alone(arg) for arg in args)
        if any(getattr(arg, "ndim", 0) for arg in args if not isinstance(arg, Symbol)):
            return table_method("over_arrays")(op, args)
    if op == "select":
        symbols = [truth(args[0]), *map(number, args[1:])]
    else:
        symbols = [(truth if op in _LOGICAL else number)(arg) for arg in args]
    result = build(op, *(symbol.expr for symbol in symbols))
    if result.op == "const" and not any(isinstance(arg, Symbol) for arg in args):
        return result.value
    return made(result, *symbols)


def _alone(value: Any) -> object:
    """The number in a constant array of one number, such as a weight of the shape (1,)."""
    if getattr(value, "ndim", 0) and math.prod(value.shape) == 1 and hasattr(value, "reshape"):
        return value.reshape(-1)[0]
    return value


def made(expr: Expr, *parts: Symbol) -> Symbol:
    """The symbol of an expression that was computed of these symbols."""
    reader().count()
    shapes = {(part.form, part.mask) for part in parts if part.form is not None}
    if len(shapes) > 1:
        shapes = {one_row(shapes)}
    form, mask = shapes.pop() if shapes else (None, None)
    if is_detached() and not expr.boolean:
        expr = detached(expr)
    return Symbol(expr, form, mask)


def of_row(value: object) -> bool:
    return isinstance(value, Symbol) and isinstance(value.form, Length)


def row_of(value: object) -> Any:
    """The row whose numbers are in a list, as `[v * v for v in x]` makes it; anything else as it is."""
    only = value[0] if type(value) is list and len(value) == 1 else None
    if isinstance(only, Symbol) and isinstance(only.form, Turn):
        return Symbol(only.expr, only.form.whole, only.mask)
    length = getattr(active(), "loop", None)
    if length is not None and hasattr(only, "__float__") and not of_row(only):
        return Symbol(
            number(only).expr, length.whole
        )  # `[1.0 if v > 0 else np.mean(x) for v in x]`
    return value


def whole(op: str, x: object) -> object:
    """A step whose result is a Python integer: there is no -0 among them."""
    return apply("add", apply(op, x), 0.0)


def number(value: object) -> Symbol:
    """The value as a number: True is 1."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    value = row_of(value)
    if isinstance(value, Symbol):
        if not value.expr.boolean:
            return value
        expr = build("select", value.expr, const(1.0), const(0.0))
        return Symbol(expr, value.form, value.mask)
    return Symbol(const(plain_number(value)), None)


def truth(value: object) -> Symbol:
    """The value as a truth value: any number but zero is true, nan too."""
    value = row_of(value)
    if isinstance(value, Symbol):
        if value.expr.boolean:
            return value
        expr = build("not", build("eq", value.expr, const(0.0)))
        return Symbol(expr, value.form, value.mask)
    return Symbol(const(bool(value)), None)


def is_symbolic(value: object) -> bool:
    """Whether a symbol stands anywhere in these arguments."""
    if isinstance(value, Symbol):
        return True
    if isinstance(value, (tuple, list, set)):
        return any(map(is_symbolic, value))
    if isinstance(value, dict):
        return any(map(is_symbolic, value.values()))
    if isinstance(value, np.ndarray) and value.dtype == object:
        return any(map(is_symbolic, value.flat))
    return False


def given(value: object, *pairs: object) -> Symbol:
    """`value`, with a declared derivative: given(value, x, d, ...)."""
    parts = [number(part) for part in (value, *pairs)]
    return made(make("given", *(part.expr for part in parts)), *parts)


def _need_truth(sign: str, *values: object) -> None:
    for value in values:
        if isinstance(value, Symbol) and not value.expr.boolean:
            reader().settle(value.expr)  # a parameter may be a plain integer
        boolean = isinstance(value, Symbol) and value.expr.boolean
        if not (boolean or isinstance(value, (bool, np.bool_))):
            refuse(
                f"`{sign}` works on truth values here, not on the bits of an integer",
                "Combine comparisons with it, as in `(x > 0) & (x < 1)`; compute with numbers otherwise. "
                + HOST,
            )
