"""What a symbolic number answers when it is asked for its shape, dtype or device.

A token may be passed on (`torch.zeros(x.shape)`, `y.to(x.dtype)`), and compared: `if x.dim() == 4:` is
read both ways, which must give the same, as an activation computes the same whatever the shape, the dtype
and the device. A comparison that holds for every input, such as `x.numel() > 0`, has its answer at once.
Anything else is refused.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from actgrad.reading.reader import reader
from actgrad.reading.refusal import asks_for_limits, depends_on, refuse

TOKENS = {
    "dtype": "dtype",
    "device": "device",
    "is_cuda": "device",
    "is_leaf": "requires_grad",
}
"""Attributes that tell nothing of the numbers."""

_LEAST = {"number of dimensions": 0, "size": 1, "number of elements": 1}
"""The least that each can be, of an input with any numbers to compute."""
_ONE_FOR_A_FORM = {"number of dimensions", "number of elements", "shape"}
"""What is the same for two arrays that lie alike."""
_LIMITS = {"max", "min", "limits", "eps", "tiny", "itemsize", "as_numpy_dtype"}
"""What a dtype is asked for, to compute with."""


class Token:
    """The shape, dtype or device of a symbolic number."""

    __slots__ = ("form", "what")

    def __init__(self, what: str, form: tuple[object, ...] | None = ()) -> None:
        self.what = what
        self.form = form

    def __repr__(self) -> str:
        return f"the input's {self.what}"

    def _ask(self, *_: object) -> NoReturn:
        depends_on(self.what)

    def _compare(self, sign: str, other: object) -> bool:
        at = f" after {self.form}" if self.form else ""
        return reader().ask(self.what, f"{sign} {other!r}{at}")

    def _is_above(self, other: object, or_equal: bool = False) -> bool:
        """Whether it is greater than a number for every input."""
        least = _LEAST.get(self.what)
        if least is None or not isinstance(other, (int, float)):
            return False
        return least > other or (or_equal and least == other)

    def __eq__(self, other: object) -> bool:
        if self._is_above(other):
            return False
        if self.what == "requires_grad" and isinstance(other, bool):
            return bool(self) is other
        return self is other or self._is_alike(other) or self._compare("==", other)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: object, args: Any = (), kwargs: object = None
    ) -> object:
        """PyTorch's `constant.to(x.dtype)` and `constant.to(x.device)`, which takes it for a tensor."""
        constant, token, *rest = args
        if function.__name__ != "to" or rest or kwargs or not isinstance(token, Token):
            depends_on(token.what if isinstance(token, Token) else "dtype")
        return constant.double() if token.what == "dtype" else constant

    def _is_alike(self, other: object) -> bool:
        if not isinstance(other, Token) or self.what not in _ONE_FOR_A_FORM or self.form is None:
            return False
        return (self.what, self.form) == (other.what, other.form)

    def __lt__(self, other: object) -> bool:
        return not self._is_above(other, or_equal=True) and self._compare("<", other)

    def __le__(self, other: object) -> bool:
        return not self._is_above(other) and self._compare("<=", other)

    def __gt__(self, other: object) -> bool:
        return not self <= other

    def __ge__(self, other: object) -> bool:
        return not self < other

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __mod__ = __rmod__ = _ask
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __pow__ = __rpow__ = _ask

    def __bool__(self) -> bool:
        counts = self.what in ("size", "number of elements")
        return counts or self._compare("is", True)

    __len__ = __iter__ = __hash__ = __int__ = __float__ = __contains__ = _ask  # type: ignore[assignment]

    def __index__(self) -> int:
        depends_on(self.what)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        if self.what == "dtype" and name in {"is_floating", "is_floating_point"}:
            return True
        if self.what == "dtype" and name == "dtype":  # NumPy asks for it, of a constant's new dtype
            return np.dtype(np.float64)
        if self.what == "device" and name in {"type", "index"}:
            return Token(f"device's {name}")
        if self.what == "dtype" and name in _LIMITS:
            asks_for_limits(f"dtype.{name}")
        depends_on(self.what)


class Shape(Token):
    """`x.shape`, and `x.size()`."""

    def __init__(self, form: tuple[object, ...] | None = (), what: str = "shape") -> None:
        super().__init__(what, form)

    def __call__(self, dim: int | None = None) -> Token:
        return self if dim is None else self[dim]

    def __getitem__(self, key: object) -> Token:
        if isinstance(key, slice):
            return Shape(self.form, "part of the shape")
        return Token("size", self.form)

    def as_list(self) -> Token:
        return self

    def __iter__(self, *_: object) -> NoReturn:
        refuse(
            "the function takes the shape of its input apart",
            "Pass it on as it is: `y.view(x.shape)`, `np.zeros(x.shape)`.",
        )


class Count(Token):
    """`x.size`: NumPy's number of elements, and PyTorch's method that returns the shape."""

    def __init__(self, form: tuple[object, ...] | None = ()) -> None:
        super().__init__("number of elements", form)

    def __call__(self, dim: int | None = None) -> Token:
        return Shape(self.form)(dim)


def is_token(value: object) -> bool:
    """Whether a token stands in it, as in `(x.shape[0], 1)`."""
    if isinstance(value, (tuple, list)):
        return any(map(is_token, value))
    return isinstance(value, Token)
