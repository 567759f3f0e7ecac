"""What an array or a tensor tells of itself, what a tensor can be told of its gradient, and what no real
number does."""

from __future__ import annotations

from typing import Any, NoReturn

from actgrad.language.length import Length
from actgrad.reading.reader import mixes, reader, table_method
from actgrad.reading.refusal import HOST, makes_complex, refuse
from actgrad.reading.tokens import Count, Shape, Token


class Told:
    """The attributes of a symbol that are none of its numbers, and what real numbers cannot do."""

    __slots__ = ()
    expr: Any
    form: Any
    writable: bool

    def _shift(self, other: object) -> NoReturn:
        for value in (self, other):
            if isinstance(value, Told):
                reader().settle(value.expr)  # a parameter may be a plain integer: `1 << bits`
        refuse(
            "a shift works on the bits of an integer, and an activation with real numbers",
            f"Write `x * 2**n` for `x << n`, and `x // 2**n` for `x >> n`. {HOST}",
        )

    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _shift

    def __complex__(self) -> NoReturn:
        makes_complex("`complex(x)`")

    @property
    def shape(self) -> Any:
        return (self.size,) if isinstance(self.form, Length) else Shape(self.form)

    @property
    def size(self) -> Any:
        if isinstance(self.form, Length):
            return table_method("length_of")(self)
        return Count(self.form)

    @property
    def ndim(self) -> Any:
        return 1 if isinstance(self.form, Length) else Token("number of dimensions", self.form)

    rank = ndim

    @property
    def imag(self) -> float:
        return 0.0

    @property
    def at(self) -> Any:
        return table_method("at")(self)

    @property
    def T(self) -> NoReturn:
        mixes(".T")

    @property
    def requires_grad(self) -> Token:
        return Token("requires_grad")

    @requires_grad.setter
    def requires_grad(self, asked: bool) -> None:
        self.requires_grad_(asked)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        if not requires_grad and not self.writable:
            refuse(
                "the function switches the gradient of its input off, in the caller's tensor",
                "Use `x.detach()`, whose derivative is 0.",
            )
        return self

    def retain_grad(self) -> None:
        """Keeps a gradient for those who ask after the backward pass."""

    @property
    def grad(self) -> NoReturn:
        self.backward()

    def backward(self, *_: object, **__: object) -> NoReturn:
        refuse(
            "a tensor's `.grad`, which `backward()` fills, is no function of its numbers",
            "Take the derivative itself: `torch.autograd.grad(y.sum(), x, create_graph=True)[0]`.",
        )


def refuse_data() -> NoReturn:
    refuse(
        "the function writes into `.data`, which changes the numbers behind the back of autograd",
        "With the derivative as it was before, write `y = y + (value - y).detach()`; with that of the new "
        "numbers, `y = value`.",
    )
