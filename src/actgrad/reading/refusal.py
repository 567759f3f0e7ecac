"""How reading says no: what was found, the user's own line, and a way out."""

from __future__ import annotations

import functools
import linecache
import os
import sys
from typing import NoReturn

from actgrad.errors import ImpureError, TraceError

HOST = "Or run it unread, on the host CPU, with `activation(..., host=True)`."
CHOOSE = (
    "Take sums of the row before the loop, and choose with `np.where(condition, a, b)` or `max(v, 0.0)`; "
    "Python's own functions take a generator with an `if`: `sum(v for v in x if v > 0)`."
)
COPY_FIRST = (
    "Write into a copy (`y = x.clone()`, `y = np.copy(x)`), or use "
    "`np.where(condition, value, x)` or `torch.where`."
)


class LengthError(TraceError, TypeError):
    """To Python a `TypeError`, so that `list(x)`, which asks for a length first, goes on without."""


def refuse(
    problem: str, way_out: str, kind: type[TraceError] = TraceError, line: str = ""
) -> NoReturn:
    raise kind(f"{problem}\n{line or user_line()}\n  {way_out}")


def draws_random(name: str) -> NoReturn:
    """Refuse what draws random numbers."""
    refuse(
        f"`{name}` draws a random number, which would be drawn once, while the function is read",
        "Pass what varies as an input or a parameter, as in `def f(x, noise): ...`, and draw it at the "
        "call.",
        ImpureError,
    )


def makes_complex(what: str) -> NoReturn:
    """Refuse a function that computes with complex numbers."""
    refuse(
        f"the function computes with complex numbers ({what}), and an activation with real ones",
        "Take the real and the imaginary part as two inputs, as in `def f(re, im): ...`, and make one "
        "activation for each part of the result.",
    )


def writes_out(path: str) -> NoReturn:
    """Refuse a call with `out=`, an array that is no part of the function."""
    refuse(f"`{path}` writes into an array given as out=", "Take what it returns instead.")


def changes_attribute(module: object, name: str) -> NoReturn:
    """Refuse a module that keeps a state."""
    refuse(
        f"{type(module).__name__!r} changes its attribute {name!r} when it is called, so it is not a "
        f"function of its arguments alone",
        f"Compute with local variables. {HOST}",
        ImpureError,
    )


WRITE_ONE_FOR_EACH = (
    "Write one activation for each case, and choose outside of it; or take what follows from the {} as a "
    "parameter."
)


def depends_on(what: str) -> NoReturn:
    """Refuse a function that asks for its input's shape, dtype or device."""
    if what in ("size", "number of elements"):
        refuse(
            f"the function computes with the {what} of its input",
            "Give that number yourself: as a parameter, `def f(x, count=1024): ...`, or in a module as an "
            "attribute, `self.count = 1024`. A sum or a mean over them is a function of the row: "
            "`activation(..., axis=-1)`.",
        )
    refuse(f"the function depends on the {what} of its input", WRITE_ONE_FOR_EACH.format(what))


def asks_for_limits(what: str) -> NoReturn:
    """Refuse a function that computes with the limits of its input's dtype."""
    refuse(
        f"the function computes with what differs between dtypes (`{what}`), and it is read for all of them",
        "Name the dtype, as in `torch.finfo(torch.float32).eps`, `np.finfo(np.float32).tiny` or "
        "`tf.float32.max`; or make the number a parameter, `def f(x, eps=1e-7): ...`.",
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


def calls_from_user() -> bool:
    """Whether the code that called us is the user's own, and no library's."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    return is_user_file(frame.f_code.co_filename)


def user_line() -> str:
    """Where in the user's own code we are: the innermost frame that is nobody's library."""
    frame = sys._getframe(1)
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        frame = frame.f_back  # type: ignore[assignment]
    return place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name) if frame else ""


def place(filename: str, line: int, name: str) -> str:
    text = linecache.getline(filename, line).strip()
    return f'  File "{filename}", line {line}, in {name}' + (f"\n    {text}" if text else "")


def brief(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def name_of(function: object) -> str:
    return getattr(function, "__name__", None) or name_of(getattr(function, "func", type(function)))


def definition(function: object) -> str:
    function = getattr(function, "defined_by", function)
    while isinstance(function, functools.partial):
        function = function.func
    call = getattr(type(function), "__call__", None)  # noqa: B004
    methods = function, getattr(function, "__func__", None), call
    code = next(filter(None, (getattr(method, "__code__", None) for method in methods)), None)
    return place(code.co_filename, code.co_firstlineno, code.co_name) if code else ""
