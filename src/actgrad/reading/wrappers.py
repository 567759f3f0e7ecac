"""The Python function inside what libraries wrap around one: `tf.function`, `jax.jit`, `numba.njit` and
their relatives, which compute the same.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

from actgrad.reading import lookups, names

_INNER = (
    "pyfunc",  # numpy.vectorize
    "py_func",  # numba.njit
    "python_function",  # tf.function
    "_torchdynamo_orig_callable",  # torch.compile
    "_torchdynamo_inline",  # torch.jit.script
)
"""The attribute under which a wrapper keeps the function."""

_SAME = frozenset(
    {
        ("jax._src.ad_checkpoint", "fun_remat"),
        ("jax._src.api", "vmap_f"),
        ("jax._src.numpy.vectorize", "wrapped"),
        ("jax._src.source_info_util", "wrapper"),
    }
)
"""Functions that JAX puts in the place of one that computes the same: under `jax.checkpoint`, `jax.vmap`,
`jnp.vectorize` and `jax.named_scope`. `jax.grad` and others keep their function under the same name."""


def unwrap(function: Any) -> Any:
    """The Python function inside what libraries wrap around one; what we know stays as it is."""
    interpolant = lookups.stand_in(function)
    if interpolant is not None:
        return interpolant
    if names.meaning(function) is not None:
        return function
    for attribute in _INNER:
        inner = vars(function).get(attribute) if hasattr(function, "__dict__") else None
        if inner is None and not attribute.startswith("_") and attribute != "pyfunc":
            inner = getattr(function, attribute, None)
        if callable(inner):
            return unwrap(inner)
    return unwrap(function.__wrapped__) if _is_transparent(function) else function


def _is_transparent(function: Any) -> bool:
    """Whether it computes what the function under `__wrapped__` computes."""
    kind = type(function)
    if isinstance(function, functools._lru_cache_wrapper) or kind.__name__ == "PjitFunction":
        return True
    if (kind.__module__, kind.__name__) == ("numba.np.ufunc.dufunc", "DUFunc"):
        return True
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    if code.co_name == "reraise_with_filtered_traceback":
        function = inspect.getclosurevars(function).nonlocals.get("fun")
        code = getattr(function, "__code__", code)
    return (getattr(function, "__globals__", {}).get("__name__"), code.co_name) in _SAME
