"""What acts on the world, or draws random numbers, and is refused when a function that is read calls it."""

from __future__ import annotations

from typing import Any

from actgrad.common.types import Function
from actgrad.errors import ImpureError
from actgrad.reading.libraries import names
from actgrad.reading.refusal import HOST, refuse

IMPURE_BUILTINS = (
    "print", "input", "open", "exec", "eval", "breakpoint", "globals", "setattr", "delattr",
)  # fmt: skip
IMPURE_MODULES = frozenset(
    {
        *("random", "time", "secrets", "uuid", "os", "io", "sys", "socket", "subprocess"),
        *("threading", "logging", "pathlib", "tempfile"),
    }
)
_IMPURE_NAMES = frozenset({"save", "load", "print"})
IMPURE_OBJECTS = (
    "random.", "_random.", "io.", "_io.", "os.", "posix.", "logging.", "socket.", "subprocess.",
    "pathlib.", "tempfile.", "numpy.random.",
)  # fmt: skip


def acts(path: str) -> bool:
    """Whether a library's function does more than compute, by its module or its name."""
    root, _, name = path.partition(".")
    known = root in names.ROOTS and name.rpartition(".")[2] in _IMPURE_NAMES
    return root in IMPURE_MODULES or known or _draws(path)


def _draws(path: str) -> bool:
    """Whether a function draws random numbers, by its module."""
    root, *folders = path.split(".")[:-1] or [path]
    if root not in names.ROOTS:
        return root in ("random", "secrets")
    return any(part == "random" or part.endswith("random_ops") for part in folders)


class Refusing:
    """Stands for an object that acts on the world."""

    def __init__(self, path: str) -> None:
        self.__dict__["_path"] = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in {"__enter__", "__getitem__", "__call__"}:
            raise AttributeError(name)
        return impure(f"{self._path}.{name}")

    def __call__(self, *args: object, **kwargs: object) -> Any:
        impure(self._path)()

    __enter__ = __iter__ = __getitem__ = __call__


class Clock:
    """Stands for `datetime` and `date`, which tell the time."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._kind, name)
        return (
            impure(f"{self._kind.__name__}.{name}") if name in {"now", "today", "utcnow"} else found
        )

    def __call__(self, *args: object, **kwargs: object) -> Any:
        return self._kind(*args, **kwargs)


def impure(name: str) -> Function:
    """Refuses a call of what acts on the world, or draws random numbers."""
    if _draws(name):
        return names.drawing(name)

    def call(*args: object, **kwargs: object) -> Any:
        refuse(
            f"`{name}` does more than compute a number, and would act once, while the function is read, "
            f"and never again",
            "Leave it out, or pass what varies as an input or a parameter. " + HOST,
            ImpureError,
        )

    return call
