"""The symbolic number that stands in for `x` while a function is read.

Arithmetic on it builds an expression. Where Python needs a plain answer (`if x > 0`), it asks the
reader at work, which answers from its list of decisions.
"""

from __future__ import annotations

import linecache
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

import numpy as np

from actgrad.errors import ImpureError, TraceError
from actgrad.language.expression import Expr, const, make, show
from actgrad.language.rewrite import build

HOST = "Or run it unread, on the host CPU, with `activation(..., host=True)`."


class Reader(Protocol):
    def decide(self, condition: Expr) -> bool: ...
    def index(self, value: Expr) -> int: ...
    def settle(self, value: Expr) -> None: ...
    def count(self) -> None: ...


_active = threading.local()


@contextmanager
def reading(reader: Reader) -> Iterator[None]:
    outer, _active.reader = getattr(_active, "reader", None), reader
    try:
        yield
    finally:
        _active.reader = outer


def reader() -> Reader:
    current: Reader | None = getattr(_active, "reader", None)
    if current is None:
        raise ImpureError(
            "a symbolic number was kept after its function had been read, and used again; "
            "an activation must not store its input anywhere"
        )
    return current


class Symbol:
    """A number, or a truth value, that is not known yet."""

    __slots__ = ("expr",)
    __array_priority__ = 1000.0
    dtype = np.dtype(np.float64)
    shape: tuple[int, ...] = ()
    ndim = 0
    size = 1

    def __init__(self, expr: Expr) -> None:
        self.expr = expr

    def __repr__(self) -> str:
        return show(self.expr)

    def __format__(self, spec: str) -> str:
        return show(self.expr)

    @property
    def real(self) -> Symbol:
        return number(self)

    @property
    def imag(self) -> float:
        return 0.0

    def __bool__(self) -> bool:
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
            "Use the functions of math, numpy, scipy.special, tf, torch, jax or keras.ops that "
            "actgrad knows (see actgrad.reading.names). " + HOST,
        )

    __int__ = __complex__ = __float__

    def __iter__(self) -> Iterator[Any]:
        self._refuse_sequence()

    def __len__(self) -> int:
        self._refuse_sequence()

    def __getitem__(self, key: Any) -> Any:
        if key is Ellipsis or key == ():
            return self
        self._refuse_sequence()

    def _refuse_sequence(self) -> NoReturn:
        reader().settle(self.expr)  # a parameter may be one: then it is read as it is
        refuse(
            "the function treats its input as a sequence",
            "An activation is a function of one number.",
        )

    def __setitem__(self, key: Any, value: Any) -> None:
        refuse("the function changes its input in place", "Use `np.where(condition, value, x)`.")

    def __neg__(self) -> Any:
        return apply("neg", self)

    def __pos__(self) -> Any:
        return number(self)

    def __abs__(self) -> Any:
        return apply("abs", self)

    def __floor__(self) -> Any:
        return whole("floor", self)

    def __ceil__(self) -> Any:
        return whole("ceil", self)

    def __trunc__(self) -> Any:
        return whole("trunc", self)

    def __round__(self, digits: int | None = None) -> Any:
        if digits is None:
            return whole("round", self)
        if digits == 0:
            return apply("round", self)
        scale = 10.0**digits
        return apply("div", apply("round", apply("mul", self, scale)), scale)

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return apply("floordiv", self, other), apply("mod", self, other)

    def __rdivmod__(self, other: Any) -> tuple[Any, Any]:
        return apply("floordiv", other, self), apply("mod", other, self)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is not None:
            refuse(
                "pow(a, b, m) is for integers", "Write `a ** b % m`, which works for all numbers."
            )
        return apply("pow", self, other)

    def __lt__(self, other: Any) -> Any:
        return apply("lt", self, other)

    def __le__(self, other: Any) -> Any:
        return apply("le", self, other)

    def __gt__(self, other: Any) -> Any:
        return apply("lt", other, self)

    def __ge__(self, other: Any) -> Any:
        return apply("le", other, self)

    def __eq__(self, other: Any) -> Any:
        return apply("eq", self, other) if hasattr(other, "__float__") else NotImplemented

    def __ne__(self, other: Any) -> Any:
        return (
            apply("not", apply("eq", self, other))
            if hasattr(other, "__float__")
            else NotImplemented
        )

    def __invert__(self) -> Any:
        _need_truth("~", self)
        return apply("not", self)

    def __xor__(self, other: Any) -> Any:
        _need_truth("^", self, other)
        return apply("not", apply("eq", number(self), number(other)))

    __rxor__ = __xor__

    def __getattr__(self, name: str) -> Any:
        from actgrad.reading.names import method

        found = None if name.startswith("__") else method(name)
        if found is None:
            raise AttributeError(name) if name.startswith("__") else _no_method(name)
        return lambda *args, **kwargs: found(self, *args, **kwargs)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from actgrad.reading.names import meaning

        found = meaning(ufunc)
        if found is None or method != "__call__":
            _unknown(f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}"))
        return found(*inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from actgrad.reading.names import meaning

        found = meaning(function)
        if found is None:
            _unknown(f"numpy.{function.__name__}")
        return found(*args, **kwargs)


def _binary(op: str, swapped: bool = False) -> Callable[[Symbol, Any], Any]:
    reflected = "__rtruediv__" if op == "div" else f"__r{op}__"

    def operate(self: Symbol, other: Any) -> Any:
        # A user's own class may know what to do with a number.
        if not swapped and hasattr(other, reflected) and not hasattr(other, "__float__"):
            return NotImplemented
        return apply(op, other, self) if swapped else apply(op, self, other)

    return operate


for _op in ("add", "sub", "mul", "floordiv", "mod"):
    setattr(Symbol, f"__{_op}__", _binary(_op))
    setattr(Symbol, f"__r{_op}__", _binary(_op, swapped=True))
setattr(Symbol, "__truediv__", _binary("div"))  # noqa: B010
setattr(Symbol, "__rtruediv__", _binary("div", swapped=True))  # noqa: B010
setattr(Symbol, "__rpow__", _binary("pow", swapped=True))  # noqa: B010


def _logical(op: str, sign: str) -> Callable[[Symbol, Any], Any]:
    def operate(self: Symbol, other: Any) -> Any:
        _need_truth(sign, self, other)
        return apply(op, self, other)

    return operate


for _name, _op, _sign in (("and", "and", "&"), ("or", "or", "|")):
    setattr(Symbol, f"__{_name}__", _logical(_op, _sign))
    setattr(Symbol, f"__r{_name}__", _logical(_op, _sign))

_LOGICAL = {"and", "or", "not"}


def apply(op: str, *args: Any) -> Any:
    """The operation on numbers and symbols: a plain number if nothing in it is symbolic.

    With arrays (of coefficients, say) among the arguments, an array of the results.
    """
    if any(isinstance(arg, np.ndarray) and arg.ndim for arg in args):
        return np.frompyfunc(lambda *row: apply(op, *row), len(args), 1)(*map(_boxed, args))
    if op == "select":
        condition, yes, no = args
        nodes = [truth(condition).expr, number(yes).expr, number(no).expr]
    else:
        nodes = [(truth if op in _LOGICAL else number)(arg).expr for arg in args]
    result = build(op, *nodes)
    if result.op == "const" and not any(isinstance(arg, Symbol) for arg in args):
        return result.value
    reader().count()
    return Symbol(result)


def _boxed(value: Any) -> np.ndarray[Any, Any]:
    """An array as it is; a number as an array without dimensions, which hides a symbol from NumPy."""
    if isinstance(value, np.ndarray):
        return value
    box = np.empty((), dtype=object)
    box[()] = value
    return box


def whole(op: str, x: Any) -> Any:
    """A step whose result is a Python integer: there is no -0 among them."""
    return apply("add", apply(op, x), 0.0)


def number(value: Any) -> Symbol:
    """The value as a number: True is 1."""
    if isinstance(value, Symbol):
        if not value.expr.boolean:
            return value
        return Symbol(build("select", value.expr, const(1.0), const(0.0)))
    return Symbol(const(plain_number(value)))


def truth(value: Any) -> Symbol:
    """The value as a truth value: any number but zero is true, nan too."""
    if isinstance(value, Symbol):
        if value.expr.boolean:
            return value
        return Symbol(build("not", build("eq", value.expr, const(0.0))))
    return Symbol(const(bool(value)))


def plain_number(value: Any) -> float:
    if isinstance(value, (str, bytes, complex, np.complexfloating)) or value is None:
        refuse(f"expected a number, and got {value!r}", "An activation computes with real numbers.")
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf
    except (TypeError, ValueError):
        refuse(
            f"expected a number, and got {_brief(value)}",
            "An activation computes with real numbers. " + HOST,
        )


def is_symbolic(value: Any) -> bool:
    """Whether a symbol stands anywhere in these arguments."""
    if isinstance(value, Symbol):
        return True
    if isinstance(value, (tuple, list, set)):
        return any(map(is_symbolic, value))
    if isinstance(value, dict):
        return any(map(is_symbolic, value.values()))
    return (
        isinstance(value, np.ndarray)
        and value.dtype == object
        and any(map(is_symbolic, value.flat))
    )


def given(value: Any, *pairs: Any) -> Symbol:
    """`value`, with a declared derivative: given(value, x, d, ...)."""
    return Symbol(make("given", *(number(part).expr for part in (value, *pairs))))


def refuse(problem: str, way_out: str, kind: type[TraceError] = TraceError) -> NoReturn:
    raise kind(f"{problem}\n{user_line()}\n  {way_out}")


def _brief(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def _need_truth(sign: str, *values: Any) -> None:
    for value in values:
        if not (
            isinstance(value, (bool, np.bool_))
            or (isinstance(value, Symbol) and value.expr.boolean)
        ):
            refuse(
                f"`{sign}` works on truth values here, not on the bits of an integer",
                "Combine comparisons with it, as in `(x > 0) & (x < 1)`; compute with numbers otherwise. "
                + HOST,
            )


def _no_method(name: str) -> TraceError:
    return TraceError(
        f"a number has no method or attribute {name!r} that actgrad knows\n{user_line()}\n"
        f"  Use a function of math, numpy, tf, torch, jax or keras.ops instead. {HOST}"
    )


def _unknown(name: str) -> NoReturn:
    refuse(
        f"`{name}` is not among the operations that actgrad can read",
        "The vocabulary is in actgrad.language.ops: compose the function of those. " + HOST,
    )


_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARIES = (
    f"{os.sep}site-packages{os.sep}",
    f"{os.sep}dist-packages{os.sep}",
    os.path.dirname(os.__file__) + os.sep,
)


def is_user_file(filename: str) -> bool:
    return not filename.startswith((_OWN, "<frozen")) and not any(
        part in filename for part in _LIBRARIES
    )


def user_line() -> str:
    """Where in the user's own code we are: the innermost frame that is nobody's library."""
    frame = sys._getframe(1)
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        frame = frame.f_back  # type: ignore[assignment]
    return place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name) if frame else ""


def place(filename: str, line: int, name: str) -> str:
    text = linecache.getline(filename, line).strip()
    return f'  File "{filename}", line {line}, in {name}' + (f"\n    {text}" if text else "")
