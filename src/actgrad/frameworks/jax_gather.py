"""How JAX reads a table. `f.source("jax")` prints this code where there is one."""

import jax
import jax.numpy as jnp

from actgrad.frameworks.jax_binding import widen


def _gathered(table, index):
    at = index.astype(jnp.int32)
    if table.ndim > 1:
        size = table[0].size
        at = jnp.clip(at, 0, len(table) - 1) * size + jnp.arange(size).reshape(table.shape[1:])
    return table.ravel().at[at].get(mode="clip")


@jax.custom_jvp
def _entries(table, index):
    """The entries of a table, whose further dimensions broadcast with the index."""
    if not 1 < len(table) <= 32:
        return _gathered(table, index)
    # One level of choices for each bit: on a CPU, 20 choices take XLA less than a gather of 21 entries.
    at = jnp.clip(index.astype(jnp.int32), 0, len(table) - 1)
    found, bit = list(table), 1
    while len(found) > 1:
        odd = (at & bit) != 0
        pairs = zip(found[::2], found[1::2], strict=False)
        found = [*(jnp.where(odd, b, a) for a, b in pairs), *found[len(found) // 2 * 2 :]]
        bit *= 2
    return found[0]


@_entries.defjvp
def _entries_tangent(arguments, tangents):
    return _entries(*arguments), _gathered(tangents[0], arguments[1])


def still(x):
    """Without its derivative, in a dtype that counts exactly."""
    return widen([jax.lax.stop_gradient(jnp.asarray(x))])[0]


def lookup(table, index, nan):
    found = _entries(jnp.asarray(table, index.dtype), index)
    return jnp.where(jnp.isnan(index), jnp.nan, found) if nan else found
