"""JAX: the value of a program, by its text."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from actgrad.codegen.emit import kernel
from actgrad.common.types import Function
from actgrad.frameworks.jax_binding import widen
from actgrad.frameworks.jax_dialect import DIALECT
from actgrad.language.program import Program


def value_of(program: Program, arrays: Sequence[Array]) -> Array:
    return kernel(program, DIALECT, host)(*widen(arrays))


def host(function: Function) -> Function:
    """A Python function of numbers, called on the host CPU."""

    def call(*args: Array) -> Array:
        # Of one shape, so that vmap's new axis is the first of each.
        same = jnp.broadcast_arrays(*args)
        dtype = same[0].dtype

        def on_host(*arrays: Array) -> np.ndarray:
            over_arrays = np.vectorize(function, otypes=[np.float64])
            return np.asarray(over_arrays(*map(np.asarray, arrays)), dtype)

        shape = jax.ShapeDtypeStruct(same[0].shape, dtype)
        return jax.pure_callback(on_host, shape, *same, vmap_method="broadcast_all")

    return call
