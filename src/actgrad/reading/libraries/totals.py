"""Sums over all elements: `(upstream * (x > alpha)).sum()` in a custom gradient by a number `alpha`, and
`torch.autograd.grad(y.sum(), x)`."""

from __future__ import annotations

from typing import Any, NoReturn

from actgrad.reading.libraries.casts import dtype_name
from actgrad.reading.libraries.meanings import add, divide, multiply, negative, where
from actgrad.reading.reader import mixes
from actgrad.reading.refusal import user_line
from actgrad.reading.symbol import Symbol
from actgrad.reading.tokens import Token

_SAME = frozenset(
    {"view", "reshape", "unsqueeze", "squeeze", "flatten", "view_as", "reshape_as", "sum", "item"}
) | {"to", "type_as", "type", "float", "double", "contiguous", "clone", "astype"}
"""Methods that leave a sum what it is; a cast to an integer does not."""

_WHOLE = ("int", "uint", "bool")


class Total:
    """The sum of a symbol's elements. The derivative by a number that all elements share is one, and of one
    a derivative can be taken; it may be scaled, and no more."""

    __slots__ = ("line", "terms")

    def __init__(self, terms: Symbol) -> None:
        self.terms = terms
        self.line = user_line()

    @classmethod
    def of(cls, value: Symbol) -> Total:
        if value.mask is None:
            return cls(value)
        chosen = where(Symbol(value.mask, value.form), Symbol(value.expr, value.form), 0.0)
        return cls(chosen)

    def __neg__(self) -> Total:
        return Total(negative(self.terms))

    def __mul__(self, other: object) -> Total:
        return Total(multiply(self.terms, _number(other)))

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Total:
        return Total(divide(self.terms, _number(other)))

    def __add__(self, other: object) -> Total:
        return Total(add(self.terms, other.terms)) if isinstance(other, Total) else self._refuse()

    def __sub__(self, other: object) -> Total:
        return self + -other if isinstance(other, Total) else self._refuse()

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._same if name in _SAME else self._refuse()

    def _same(self, *args: object, **kwargs: object) -> Total:
        given = [
            each for each in (*args, *kwargs.values()) if not isinstance(each, (Symbol, Token))
        ]
        whole = any(dtype_name(each).startswith(_WHOLE) for each in given)
        return self._refuse() if whole else self

    def backward(self, *_: object, **__: object) -> NoReturn:
        self.terms.backward()

    def _refuse(self, *_: object) -> NoReturn:
        mixes("sum", self.line)

    def __getitem__(self, key: object) -> Total:
        return self

    @classmethod
    def __torch_function__(
        cls, function: Any, types: object, args: Any = (), kwargs: Any = None
    ) -> object:
        total = next((each for each in args if isinstance(each, Total)), None)
        if total is None:
            mixes("sum")
        if function.__name__ not in _SAME:
            total._refuse()
        return total._same(*args[1:], **(kwargs or {}))


for _name in ("radd", "rsub", "rtruediv", "pow", "rpow", "bool", "lt", "le", "gt", "ge", "float"):
    setattr(Total, f"__{_name}__", Total._refuse)


def _number(value: object) -> object:
    """What a sum may be scaled by: a number, or a parameter."""
    if isinstance(value, Total):
        value._refuse()
    if isinstance(value, Symbol) and value.form is not None:
        mixes("sum")
    return value
