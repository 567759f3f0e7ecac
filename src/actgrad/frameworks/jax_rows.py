"""JAX: a function of rows, as one primitive with its own derivatives.

`jax.custom_jvp` would leave the backward pass to JAX, which transposes the tangent's operations one by one:
what a branch not taken makes infinite would come back as nan. This primitive's tangent is the same primitive,
of the tangent's program, and that transposes to the gradient's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import jax
import jax.numpy as jnp
from jax import Array
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from actgrad.common.types import Function
from actgrad.errors import NoDerivativeError
from actgrad.frameworks.jax_binding import spread_rows, sum_to
from actgrad.frameworks.jax_value import value_of
from actgrad.language.kept import kept, twin
from actgrad.language.program import Program

_rows = Primitive("actgrad_rows")
"""Of the arguments of a program and, where some of them move, of their directions."""


def rule(program: Program, arrays: Sequence[Array]) -> Array:
    """The program of arrays whose rows lie last, in the dtype of the first."""
    return _rows.bind(*map(jnp.asarray, arrays), program=program.structure, moving=())


def no_forward_mode(name: str) -> NoDerivativeError:
    return NoDerivativeError(
        f"{name!r} has a `gradient=` rule, which defines reverse mode only, and forward mode was asked for "
        f"(jax.jvp, jacfwd, linearize, hessian)\n"
        f"  Use jax.grad, vjp or jacrev, or give `derivative=` or `surrogate=`."
    )


@kept
def _function(program: Program, moving: tuple[str, ...]) -> Function:
    def run(*arrays: Array) -> Array:
        if set(moving) & set(program.reverse_only):
            raise no_forward_mode(program.name)
        pushed = program.push(moving) if moving else program
        return spread_rows(value_of(pushed, arrays), arrays)

    return run


def _run(*arrays: Array, program: Program, moving: tuple[str, ...]) -> Array:
    return _function(program, moving)(*arrays)


@lru_cache(maxsize=128)
def _compiled(program: Program, moving: tuple[str, ...]) -> Function:
    """For eager calls. JAX's caches hold the program, so what is compiled is not kept with it."""
    return jax.jit(_function(twin(program), moving))


def _run_eagerly(*arrays: Array, program: Program, moving: tuple[str, ...]) -> Array:
    return _compiled(program, moving)(*arrays)


def _shape(*arrays: Array, program: Program, moving: tuple[str, ...]) -> ShapedArray:
    like = jax.eval_shape(_function(program, ()), *arrays[: len(program.arguments)])
    batch = jnp.broadcast_shapes(*(x.shape[:-1] for x in arrays))
    return ShapedArray((*batch, like.shape[-1]), like.dtype)


def _tangent(
    primals: Sequence[Array],
    tangents: Sequence[Array | ad.Zero],
    *,
    program: Program,
    moving: tuple[str, ...],
) -> tuple[Array, Array | ad.Zero]:
    value = _rows.bind(*primals, program=program, moving=moving)
    whole = program.push(moving).structure if moving else program
    along = {
        name: ad.instantiate_zeros(t)
        for name, t in zip(whole.arguments, tangents, strict=True)
        if type(t) is not ad.Zero
    }
    if not along:
        return value, ad.Zero.from_primal_value(value)
    return value, _rows.bind(*primals, *along.values(), program=whole, moving=tuple(along))


def _transposed(
    above: Array | ad.Zero, *arrays: Array, program: Program, moving: tuple[str, ...]
) -> list[Array | ad.Zero | None]:
    size, inputs = len(program.arguments), len(program.inputs)
    primals, along = arrays[:size], arrays[size:]
    if type(above) is ad.Zero:
        return [*(None for _ in primals), *(ad.Zero(direction.aval) for direction in along)]
    arguments = (*primals[:inputs], above, *primals[inputs:])
    pulled = [rule(program.vjp(name), arguments) for name in moving]
    by_each = [sum_to(found, d.aval) for found, d in zip(pulled, along, strict=True)]
    return [*(None for _ in primals), *by_each]


def _batched(
    arrays: Sequence[Array],
    dims: Sequence[int | None],
    *,
    program: Program,
    moving: tuple[str, ...],
) -> tuple[Array, int]:
    rank = max(x.ndim - (d is not None) for x, d in zip(arrays, dims, strict=True))
    moved = []
    for x, d in zip(arrays, dims, strict=True):
        if d is not None:
            x = jnp.moveaxis(x, d, 0)
            x = jnp.reshape(x, (x.shape[0], *(1,) * (rank + 1 - x.ndim), *x.shape[1:]))
        moved.append(x)
    return _rows.bind(*moved, program=program, moving=moving), 0


_rows.def_impl(_run_eagerly)
_rows.def_abstract_eval(_shape)
mlir.register_lowering(_rows, mlir.lower_fun(_run, multiple_results=False))
ad.primitive_jvps[_rows] = _tangent
ad.primitive_transposes[_rows] = _transposed
batching.primitive_batchers[_rows] = _batched
