"""JAX: a function of rows, as one primitive with its own derivatives.

`jax.custom_jvp` would leave the backward pass to JAX, which transposes the tangent's operations one by one:
what a branch not taken makes infinite would come back as nan. This primitive's tangent is the same primitive,
of the tangent's program, and that transposes to the gradient's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

from actgrad.errors import NoDerivativeError
from actgrad.language.kept import kept, twin
from actgrad.language.program import Program

Compute = Callable[[Program, Sequence[Any]], Any]
"""A program's value, of arrays whose rows lie last."""


def rule(program: Program, arrays: Sequence[Any], compute: Compute) -> Any:
    """The program of arrays whose rows lie last, in the dtype of the first."""
    import jax.numpy as jnp

    arrays = tuple(map(jnp.asarray, arrays))
    return _primitive().bind(*arrays, program=program.structure, moving=(), compute=compute)


@kept
def _function(program: Program, moving: tuple[str, ...], compute: Compute) -> Callable[..., Any]:
    """Of the arguments and, where some move, of their directions."""
    import jax.numpy as jnp

    def run(*arrays: Any) -> Any:
        pushed = program.push(moving) if moving else program
        result = jnp.atleast_1d(compute(pushed, arrays))
        batch = jnp.broadcast_shapes(*(x.shape[:-1] for x in arrays))
        result = jnp.broadcast_to(result, (*batch, result.shape[-1]))
        return result.astype(arrays[0].dtype)

    def refuse(*arrays: Any) -> Any:
        raise NoDerivativeError(
            f"{program.name!r} has a `gradient=` rule, which defines reverse mode only, and forward "
            f"mode was asked for (jax.jvp, jacfwd, linearize, hessian)\n"
            f"  Use jax.grad, vjp or jacrev, or give `surrogate=`."
        )

    return refuse if set(moving) & set(program.reverse_only) else run


@lru_cache(maxsize=128)
def _compiled(program: Program, moving: tuple[str, ...], compute: Compute) -> Callable[..., Any]:
    """For eager calls. JAX's caches hold the program, so what is compiled is not kept with it."""
    import jax

    return jax.jit(_function(twin(program), moving, compute))  # type: ignore[no-any-return]


@cache
def _primitive() -> Any:
    import jax
    import jax.numpy as jnp
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir

    rows = Primitive("actgrad_rows")

    def run(*arrays: Any, program: Program, moving: tuple[str, ...], compute: Compute) -> Any:
        return _function(program, moving, compute)(*arrays)

    @rows.def_impl
    def run_eagerly(
        *arrays: Any, program: Program, moving: tuple[str, ...], compute: Compute
    ) -> Any:
        return _compiled(program, moving, compute)(*arrays)

    def shape(*arrays: Any, program: Program, moving: tuple[str, ...], compute: Compute) -> Any:
        size = len(program.arguments)
        like = jax.eval_shape(_function(program, (), compute), *arrays[:size])
        batch = jnp.broadcast_shapes(*(x.shape[:-1] for x in arrays))
        return jax.core.ShapedArray((*batch, like.shape[-1]), like.dtype)

    rows.def_abstract_eval(shape)
    mlir.register_lowering(rows, mlir.lower_fun(run, multiple_results=False))

    def jvp(
        primals: Any, tangents: Any, *, program: Program, moving: tuple[str, ...], compute: Compute
    ) -> Any:
        value = rows.bind(*primals, program=program, moving=moving, compute=compute)
        whole = program.push(moving).structure if moving else program
        along = [
            (name, ad.instantiate_zeros(t))
            for name, t in zip(whole.arguments, tangents, strict=True)
            if type(t) is not ad.Zero
        ]
        names = tuple(name for name, _ in along)
        if not names:
            return value, ad.Zero.from_primal_value(value)
        directions = [t for _, t in along]
        tangent = rows.bind(*primals, *directions, program=whole, moving=names, compute=compute)
        return value, tangent

    ad.primitive_jvps[rows] = jvp

    def transpose(
        above: Any, *arrays: Any, program: Program, moving: tuple[str, ...], compute: Compute
    ) -> list[Any]:
        size = len(program.arguments)
        primals, along = arrays[:size], arrays[size:]
        result: list[Any] = [None] * len(arrays)
        inputs = len(program.inputs)
        for i, (name, direction) in enumerate(zip(moving, along, strict=True)):
            if type(above) is ad.Zero:
                result[size + i] = ad.Zero(direction.aval)
                continue
            pulled = program.vjp(name)
            found = rule(pulled, (*primals[:inputs], above, *primals[inputs:]), compute)
            result[size + i] = _sum_to(found, direction.aval)
        return result

    ad.primitive_transposes[rows] = transpose

    def batch(arrays: Any, dims: Any, **how: Any) -> tuple[Any, int]:
        rank = max(x.ndim - (d is not None) for x, d in zip(arrays, dims, strict=True))
        moved = []
        for x, d in zip(arrays, dims, strict=True):
            if d is not None:
                x = jnp.moveaxis(x, d, 0)
                x = jnp.reshape(x, (x.shape[0], *(1,) * (rank + 1 - x.ndim), *x.shape[1:]))
            moved.append(x)
        return rows.bind(*moved, **how), 0

    batching.primitive_batchers[rows] = batch
    return rows


def _sum_to(gradient: Any, like: Any) -> Any:
    """Add up the gradient over the dimensions in which the array was broadcast."""
    import jax.numpy as jnp

    shape = like.shape
    new = gradient.ndim - len(shape)
    wide = [new + i for i, size in enumerate(shape) if size == 1 and gradient.shape[new + i] != 1]
    return jnp.sum(gradient, (*range(new), *wide)).reshape(shape).astype(like.dtype)
