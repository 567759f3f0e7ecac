"""What acts on the world, or draws random numbers, and is refused when a function that is read calls it."""

from __future__ import annotations

from typing import Any

from actgrad.common.types import Function
from actgrad.errors import ImpureError
from actgrad.reading.libraries import names
from actgrad.reading.refusal import HOST, refuse

IMPURE_BUILTINS = (
    "print",
    "input",
    "open",
    "exec",
    "eval",
    "breakpoint",
    "globals",
    "setattr",
    "delattr",
)
IMPURE_MODULES = frozenset(
    {
        *("random", "time", "secrets", "uuid", "os", "io", "sys", "socket", "subprocess"),
        *("threading", "logging", "pathlib", "tempfile"),
    }
)
IMPURE_NAMES = frozenset(
    [
        "rand",
        "randn",
        "randint",
        "rand_like",
        "randn_like",
        "normal",
        "bernoulli",
        "save",
        "load",
        "print",
    ]
)


IMPURE_OBJECTS = (
    "random.", "_random.", "io.", "_io.", "os.", "posix.", "logging.", "socket.", "subprocess.",
    "pathlib.", "tempfile.", "numpy.random.",
)  # fmt: skip


def draws(path: str) -> bool:
    """Whether a library's function draws random numbers, by its module or its name."""
    root, *folders = path.split(".")
    if root not in names.ROOTS or not folders:
        return False
    name = folders.pop()
    random = any(part == "random" or part.endswith("random_ops") for part in folders)
    return random or name in IMPURE_NAMES


class Refusing:
    """Stands for an object that acts on the world."""

    __actgrad_reads__ = True

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

    __actgrad_reads__ = True

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._kind, name)
        return (
            impure(f"{self._kind.__name__}.{name}") if name in {"now", "today", "utcnow"} else found
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._kind(*args, **kwargs)


def impure(name: str) -> Function:
    """Refuses a call of what acts on the world, or draws random numbers."""
    if name.rpartition(".")[2] not in {"save", "load", "print"} and (
        draws(name) or name.startswith(("random.", "secrets."))
    ):
        return names.drawing(name)

    def call(*args: object, **kwargs: object) -> Any:
        refuse(
            f"`{name}` does more than compute a number, and would act once, while the function is read, "
            f"and never again",
            "Leave it out, or pass what varies as an input or a parameter. " + HOST,
            ImpureError,
        )

    return call
