"""How JAX is given a value and its gradients, in reverse mode and, where it can be, in forward mode too.

`f.source("jax")` prints this code from the first import on. A gradient is a function of the arguments, with
the upstream gradient after the inputs, of which there are `size`; `gradient(i)` is that by one argument.
"""

import functools
import operator

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

HALVES = (jnp.float16, jnp.bfloat16)


def as_tensors(arguments, size):
    """The inputs in the dtype of the first, the parameters in the one that is computed in."""
    dtype = jnp.result_type(arguments[0], 1.0)
    working = jnp.promote_types(dtype, jnp.float32)
    inputs = [jnp.asarray(x, dtype) for x in arguments[:size]]
    return inputs + [jnp.asarray(p, working) for p in arguments[size:]]


def widen(arrays):
    """Half types compute in float32 inside."""
    return [x.astype(jnp.float32) if x.dtype in HALVES else x for x in arrays]


def spread(value, arrays):
    """In the shape of all arguments, and the dtype of the first."""
    shape = jnp.broadcast_shapes(*(x.shape for x in arrays))
    value = value if value.shape == shape else jnp.broadcast_to(value, shape)
    dtype = arrays[0].dtype  # (`astype` would make it of no weak type)
    return value if value.dtype == dtype else value.astype(dtype)


def spread_rows(value, arrays):
    """The same but for the last axis, along which the rows lie."""
    value = jnp.atleast_1d(value)
    batch = jnp.broadcast_shapes(*(x.shape[:-1] for x in arrays))
    return jnp.broadcast_to(value, (*batch, value.shape[-1])).astype(arrays[0].dtype)


def with_slopes(value, gradient, size, long=False, compiled=jax.jit):
    """In both modes. Of one array the slope is kept for the backward pass. With several, and in half types,
    whose slope is wider, the arrays are kept, and the slopes computed again."""
    rule = jax.custom_jvp(value)

    def slope(i, arrays):
        one = jnp.ones((), arrays[0].dtype)
        arrays = list(map(apart, arrays)) if long else arrays
        return gradient(i)(*arrays[:size], one, *arrays[size:])

    def push(moving, arrays, tangents):
        wide = widen(arrays)
        parts = [slope(i, wide) * t for i, t in zip(moving, widen(tangents), strict=True)]
        return spread(functools.reduce(operator.add, parts), arrays)

    def jvp(arrays, tangents):
        arrays = tuple(map(jnp.asarray, arrays))  # a plain number comes as one, outside of jit
        moving = tuple(i for i, t in enumerate(tangents) if type(t) is not SymbolicZero)
        tangents = [tangents[i] for i in moving]
        whole = tuple(i for i, x in enumerate(arrays) if x.ndim or len(arrays) == 1)
        if len(moving) == 1 and whole == moving and arrays[0].dtype not in HALVES:
            return rule(*arrays), slope(moving[0], arrays) * tangents[0]
        again = jax.checkpoint(compiled(functools.partial(push, moving)), prevent_cse=False)
        return rule(*arrays), again(arrays, tangents)

    rule.defjvp(jvp, symbolic_zeros=True)
    return rule


def apart(x):
    """The same numbers. XLA does not know that they are, and computes what is made of them apart: of a long
    value and its gradient in one it would write out what they share many times."""
    return jnp.where(x == x, x, jnp.nan)


def in_reverse(value, gradient, size, long=False, spread=spread):
    """In reverse mode alone."""
    rule = jax.custom_vjp(value)

    def backward(arrays, upstream):
        arrays = tuple(map(jnp.asarray, arrays))
        known = list(map(apart, arrays)) if long else arrays
        wide = widen([*known[:size], upstream, *known[size:]])
        by_each = [spread(gradient(i)(*wide), wide) for i in range(len(arrays))]
        return tuple(sum_to(by, x) for by, x in zip(by_each, arrays, strict=True))

    rule.defvjp(lambda *arrays: (rule(*arrays), arrays), backward)
    return rule


def sum_to(gradient, like):
    """Add up the gradient over the dimensions in which the array was broadcast."""
    new = gradient.ndim - len(like.shape)
    wide = [new + i for i, n in enumerate(like.shape) if n == 1 < gradient.shape[new + i]]
    return gradient.sum((*range(new), *wide)).reshape(like.shape).astype(like.dtype)
