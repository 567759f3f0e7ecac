"""Which room answers for a tensor: told by its type, never by importing a framework."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType
from typing import Any

_ROOTS = {
    "tensorflow": "tensorflow",
    "torch": "torch",
    "jax": "jax",
    "jaxlib": "jax",
    "keras": "keras",
}

_SYMBOL = "actgrad.language.symbol"


@cache
def _room_of(kind: type[Any]) -> ModuleType | None:
    """The room of a framework's tensors, or of symbols; None for what is NumPy's, or nobody's."""
    for base in kind.__mro__:
        if base.__module__ == _SYMBOL:
            return importlib.import_module("actgrad.language.inline")
        root = base.__module__.partition(".")[0]
        if root in _ROOTS:
            return _room(_ROOTS[root])
    return _room("jax") if hasattr(kind, "__jax_array__") else None


@cache
def _room(framework: str) -> ModuleType:
    # PyTorch's table stands apart from how it is called.
    file = "torch_rule" if framework == "torch" else framework
    return importlib.import_module(f"actgrad.frameworks.{file}")


def room(arguments: tuple[Any, ...]) -> ModuleType:
    """The room of the first argument that belongs to one; NumPy's otherwise."""
    compiler = sys.modules.get("torch.compiler")
    if compiler is not None and compiler.is_dynamo_compiling():
        from actgrad.frameworks import (
            torch as compiled,
        )  # which can be followed, unlike what is below

        return compiled
    for x in arguments:
        if found := _room_of(type(x)):  # type: ignore[arg-type]
            return found
    return _room("numpy")
