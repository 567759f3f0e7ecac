"""Where a value is at home: the library, the standard library or the user's own code."""

from __future__ import annotations

import sys
import types
from typing import Any

from actgrad.reading.libraries import names

_TENSORS = frozenset({"torch", "tensorflow", "jax", "jaxlib"})


def is_tensor(value: object) -> bool:
    """Whether it is a constant array of a tensor library."""
    return root_of(type(value)) in _TENSORS and hasattr(value, "shape") and hasattr(value, "dtype")


def is_library(kind: type) -> bool:
    root = root_of(kind)
    return root != "__main__" and (root in sys.stdlib_module_names or root in names.ROOTS)


def root_of(value: object) -> str:
    """The top module in which a value is at home; a function where it was written, whatever it
    says that it wraps."""
    if isinstance(value, types.ModuleType):
        return value.__name__.partition(".")[0]
    if isinstance(value, types.FunctionType):
        return str(value.__globals__.get("__name__") or "").partition(".")[0]
    module = getattr(value, "__module__", None)
    if not isinstance(module, str):
        module = type(value).__module__
    return module.partition(".")[0]


def path_of(value: object) -> str:
    module = getattr(value, "__module__", None)
    name = getattr(value, "__name__", None) or type(value).__name__
    return f"{module}.{name}" if module else name


def public(path: str) -> Any:
    """What a library offers under a path, if the library was imported."""
    root, *names = path.split(".")
    value = sys.modules.get(root)
    for name in names:
        value = getattr(value, name, None)
    return value
