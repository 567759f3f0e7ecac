"""Which room answers for a tensor: told by its type, never by importing a framework."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from sys import modules
from typing import Any

_ROOTS = {
    "tensorflow": "tensorflow",
    "torch": "torch",
    "jax": "jax",
    "jaxlib": "jax",
    "keras": "keras",
}

_ROOMS = {"torch": "actgrad.frameworks.torch.rule", "symbols": "actgrad.reading.inline"}
_SYMBOL = "actgrad.reading.symbol"


@cache
def _caller_of(kind: type[Any]) -> Callable[..., Any] | None:
    """For a framework's tensors, and for symbols; None for what is NumPy's, or nobody's."""
    for base in kind.__mro__:
        if base.__module__ == _SYMBOL:
            return _caller("symbols")
        root = base.__module__.partition(".")[0]
        if root in _ROOTS:
            return _caller(_ROOTS[root])
    return _caller("jax") if hasattr(kind, "__jax_array__") else None


@cache
def _caller(name: str) -> Callable[..., Any]:
    room = importlib.import_module(_ROOMS.get(name, f"actgrad.frameworks.{name}"))
    call: Callable[..., Any] = room.call
    return call


def under_dynamo() -> bool:
    """Whether `torch.compile` is following this code."""
    compiler = modules.get("torch.compiler")
    return compiler is not None and compiler.is_dynamo_compiling()


def apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose frames `torch.compile` leaves alone."""
    compiler = modules.get("torch.compiler")
    return function if compiler is None else compiler.disable(function)  # type: ignore[no-any-return]


def caller(arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """What calls a program in the room of the first argument that belongs to one; NumPy's otherwise."""
    if under_dynamo():
        from actgrad.frameworks.torch.rule import call  # it follows this, unlike what is below

        return call
    for x in arguments:
        if found := _caller_of(type(x)):  # type: ignore[arg-type]
            return found
    return _caller("numpy")
