"""The Python function inside what libraries wrap around one: `tf.function`, `jax.jit`, `numba.njit` and
their relatives, which compute the same.

A library's wrappers are known by their code: it is that of the wrapper around a function of ours.
"""

from __future__ import annotations

import functools
import gc
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from actgrad.reading.libraries import lookups, names
from actgrad.reading.surroundings.origins import public, root_of

_INNER = (
    "pyfunc",  # numpy.vectorize
    "py_func",  # numba.njit
    "python_function",  # tf.function
    "_torchdynamo_inline",  # torch.jit.script; listed in common/private.py
)
"""The attribute under which a wrapper keeps the function."""

_TRANSPARENT = {
    "jax": ("jax.checkpoint", "jax.vmap", "jax.numpy.vectorize", "jax.named_call"),
    "torch": ("torch.compile", "torch.vmap"),
}
"""Functions that wrap another one, and compute the same."""

_MAKERS_OF_OBJECTS = {
    "equinox": ("equinox.filter_jit", "equinox.filter_checkpoint", "equinox.filter_vmap"),
    "flax": ("flax.nnx.jit",),
}
"""Functions that make an object around another one, which computes the same."""


def unwrap(function: Any) -> Any:
    """The Python function inside what libraries wrap around one; what we know stays as it is."""
    interpolant = lookups.stand_in(function)
    if interpolant is not None:
        return interpolant
    if names.meaning(function) is not None:
        return function
    kind = type(function)
    if kind.__name__ == "OptimizedModule" and kind.__module__.startswith("torch."):
        return unwrap(next(function.children()))  # what `torch.compile` makes of a module
    if kind is np.ufunc and set("".join(function.types)) <= set("O->"):
        return unwrap(next(filter(callable, gc.get_referents(function))))  # `np.frompyfunc` made it
    for attribute in _INNER:
        inner = vars(function).get(attribute) if hasattr(function, "__dict__") else None
        if inner is None and not attribute.startswith("_") and attribute != "pyfunc":
            inner = getattr(function, attribute, None)
        if callable(inner):
            return unwrap(inner)
    return unwrap(function.__wrapped__) if _is_transparent(function) else function


def _is_transparent(function: object) -> bool:
    """Whether it computes what the function under `__wrapped__` computes."""
    kind = type(function)
    if isinstance(function, functools._lru_cache_wrapper) or kind.__name__ == "PjitFunction":
        return True
    if (kind.__module__, kind.__name__) == ("numba.np.ufunc.dufunc", "DUFunc"):
        return True
    if is_wrapping_object(function):
        return True
    if not isinstance(function, types.FunctionType) or not hasattr(function, "__wrapped__"):
        return False
    return any(is_made_by(path, function) for path in _TRANSPARENT.get(root_of(function), ()))


def is_mapped(function: object) -> bool:
    """Whether it is what `vmap` made, which takes arrays where the function in it may take single numbers."""
    wraps = isinstance(function, types.FunctionType) and hasattr(function, "__wrapped__")
    return wraps and any(is_made_by(path, function) for path in ("jax.vmap", "torch.vmap"))


def is_wrapping_object(value: object) -> bool:
    """Whether it is an object such as `equinox.filter_jit(f)`, whose `__wrapped__` is the function."""
    root = type(value).__module__.partition(".")[0]
    return root in _MAKERS_OF_OBJECTS and type(value) in _kinds_of(root)


@functools.cache
def _kinds_of(root: str) -> frozenset[type]:
    makers = filter(None, map(public, _MAKERS_OF_OBJECTS[root]))
    return frozenset(type(maker(lambda x: x)) for maker in makers)


def is_made_by(path: str, wrapper: object) -> bool:
    """Whether a library's function of this name has made the wrapper."""
    if path == "torch.compile" and "torch._dynamo" not in sys.modules:
        return False  # it has made nothing yet, and asking would load the compiler
    maker = public(path)
    return maker is not None and _codes(wrapper) == _codes_of(maker)


@functools.cache
def _codes_of(maker: Callable[..., object]) -> frozenset[types.CodeType]:
    return _codes(maker(lambda x: x))


def _codes(wrapper: Any) -> frozenset[types.CodeType]:
    """The code of a wrapper, and of the functions that it holds besides the one it is made of."""
    if isinstance(wrapper, types.FunctionType):
        held = [wrapper, *(cell.cell_contents for cell in wrapper.__closure__ or ())]
    else:
        held = list(vars(wrapper).values())
    functions = [part for part in held if isinstance(part, types.FunctionType)]
    return frozenset(part.__code__ for part in functions if part is not wrapper.__wrapped__)
