"""What a symbolic number answers when it is asked for its shape, dtype or device.

A token may be passed on (`torch.zeros(x.shape)`, `y.to(x.dtype)`). Any question about it is refused:
an activation computes the same whatever the shape, the dtype and the device.
"""

from __future__ import annotations

from typing import Any, NoReturn

from actgrad.reading.refusal import depends_on


class Token:
    """The shape, dtype or device of a symbolic number."""

    __slots__ = ("form", "what")
    __actgrad_reads__ = True

    def __init__(self, what: str, form: tuple[Any, ...] | None = ()) -> None:
        self.what = what
        self.form = form

    def __repr__(self) -> str:
        return f"the input's {self.what}"

    def _ask(self, *_: Any) -> NoReturn:
        depends_on(self.what)

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _ask  # type: ignore[assignment]
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __mod__ = __rmod__ = _ask
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __pow__ = __rpow__ = _ask
    __bool__ = __len__ = __iter__ = __hash__ = __int__ = __float__ = __contains__ = _ask  # type: ignore[assignment]

    def __index__(self) -> int:
        depends_on(self.what)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self.what == "dtype" and name in {"is_floating", "is_floating_point"}:
            return True
        depends_on(self.what)


class Shape(Token):
    """`x.shape`, and `x.size()`, which is called."""

    def __init__(self, form: tuple[Any, ...] | None = (), what: str = "shape") -> None:
        super().__init__(what, form)

    def __call__(self, dim: int | None = None) -> Token:
        return self if dim is None else self[dim]

    def __getitem__(self, key: Any) -> Token:
        if isinstance(key, slice):
            return Shape(self.form, "part of the shape")
        return Token("size", self.form)

    def as_list(self) -> Token:
        return self


def is_token(value: Any) -> bool:
    """Whether a token stands in it, as in `(x.shape[0], 1)`."""
    if isinstance(value, (tuple, list)):
        return any(map(is_token, value))
    return isinstance(value, Token)
