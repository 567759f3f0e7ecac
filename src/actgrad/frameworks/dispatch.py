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


@cache
def _framework(kind: type[Any]) -> str:
    for base in kind.__mro__:
        root = base.__module__.partition(".")[0]
        if root in _ROOTS:
            return _ROOTS[root]
    return "jax" if hasattr(kind, "__jax_array__") else "numpy"


@cache
def _room(framework: str) -> ModuleType:
    # PyTorch's table stands apart from how it is called.
    file = "torch_rule" if framework == "torch" else framework
    return importlib.import_module(f"actgrad.frameworks.{file}")


def room(arguments: tuple[Any, ...]) -> ModuleType:
    """The room of the first argument that belongs to a framework; NumPy's otherwise."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.compiler.is_dynamo_compiling():
        from actgrad.frameworks import (
            torch as compiled,
        )  # which can be followed, unlike what is below

        return compiled
    for x in arguments:
        found = _framework(type(x))  # type: ignore[arg-type]
        if found != "numpy":
            return _room(found)
    return _room("numpy")
