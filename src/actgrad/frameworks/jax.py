"""JAX: an activation of arrays, in every transformation, under XLA.

`jax.custom_jvp` carries both modes; a `gradient=` rule has no forward mode, so there `jax.custom_vjp` carries
reverse mode alone. The gradients are bound programs in their turn, made when they are first needed, so every
order follows the same rule.
"""

from __future__ import annotations

import warnings
from typing import TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from actgrad.codegen.emit import identifier
from actgrad.codegen.size import is_long, operations
from actgrad.common.types import Fields, Function
from actgrad.errors import CallError, DtypeError, UnfusedWarning
from actgrad.frameworks import jax_rows, rows
from actgrad.frameworks.dtypes import FLOATS, HALVES, way_out
from actgrad.frameworks.jax_binding import in_reverse, spread, with_slopes
from actgrad.frameworks.jax_gather import lookup, still
from actgrad.frameworks.jax_value import value_of
from actgrad.frameworks.lookups import call_with_tables
from actgrad.language.kept import kept, twin
from actgrad.language.program import Program

MOST_OPERATIONS = 2000
"""A longer program is not compiled: XLA takes 3 ms of CPU for each, with its gradient."""

_DTYPES = frozenset(map(jnp.dtype, FLOATS))


def call(program: Program, inputs: tuple[object, ...], parameters: Fields) -> Array:
    """The activation of arrays, in their dtype."""
    arrays = _arrays(program, inputs)
    dtype = arrays[0].dtype
    working = np.dtype(np.float32) if dtype.name in HALVES else dtype
    if program.tables:
        values = {name: _parameter(value, working) for name, value in parameters.items()}
        return _with_tables(program)(tuple(arrays), values)
    for name, default in program.parameters:
        arrays.append(_parameter(parameters.get(name, default), working))
    if program.axis is not None:
        tensors = list(map(jnp.asarray, arrays))
        return rows.along_axis(program, tensors, jnp, jax_rows.rule, parameters.get("axis"))
    try:
        return native_rule(program.structure)(*arrays)
    except TypeError as error:
        if program.gradient and "custom_vjp" in str(error):
            raise jax_rows.no_forward_mode(program.name) from error
        raise


@kept
def _with_tables(program: Program) -> Function:
    """A program that reads tables. What it read is not kept for the backward pass, but read again."""

    def run(inputs: tuple[Array, ...], parameters: Fields) -> Array:
        return call_with_tables(program, inputs, parameters, call, still, lookup)

    run.__name__ = run.__qualname__ = identifier(program.name)
    return jax.jit(jax.checkpoint(run, prevent_cse=False))


def _parameter(value: object, dtype: np.dtype) -> Array | float:
    """A number stays one, so that its value is no part of what is compiled, and its type is weak."""
    return float(value) if _is_plain(value) else jnp.asarray(value).astype(dtype)


def _arrays(program: Program, inputs: tuple[object, ...]) -> list[Array]:
    """The inputs as arrays of one floating dtype; Python's numbers take that of the others."""
    if len(inputs) == 1 and isinstance(inputs[0], Array) and inputs[0].dtype in _DTYPES:
        return [inputs[0]]

    def array(x: object) -> Array | float:  # `asarray` would copy what is being differentiated
        return x if _is_plain(x) or isinstance(x, Array) else jnp.asarray(x)

    try:
        arrays = list(map(array, inputs))
    except (TypeError, ValueError) as error:
        kinds = ", ".join(type(x).__name__ for x in inputs)
        raise CallError(f"{program.name!r} takes arrays, and got {kinds}: {error}") from error
    for given, x in zip(inputs, arrays, strict=True):
        dtype = getattr(given, "dtype", getattr(x, "dtype", None))
        name = getattr(dtype, "name", str(dtype))
        if dtype is not None and name not in FLOATS:
            join = "jax.lax.complex(re(z.real, z.imag), im(z.real, z.imag))"
            raise DtypeError(
                f"{program.name!r} got an array of dtype {name}; it takes {', '.join(FLOATS)}\n"
                f"  {way_out(name, 'x.astype(jnp.float32)', join)}"
            )
    arrays = [float(x) if _is_plain(x) else x for x in arrays]
    dtype = jnp.result_type(*arrays)
    return [x if getattr(x, "dtype", None) == dtype else jnp.asarray(x, dtype) for x in arrays]


def _is_plain(x: object) -> TypeGuard[float]:
    return type(x) in (float, int, bool)


@kept
def native_rule(program: Program) -> Function:
    """The program of arrays, inputs and parameters by position, with its derivative.

    The result has the dtype of the first.
    """
    if _stays_unfused(program):
        warnings.warn(
            f"{program.name!r} runs unfused in JAX: right, and several times slower\n"
            f"  XLA would take long to compile its {operations(program.value):,} operations; under your own "
            f"jax.jit it does.",
            UnfusedWarning,
            stacklevel=2,
        )
        return _rule(program)
    rule = _rule(twin(program))

    def run(*arrays: Array) -> Array:
        return rule(*arrays)

    # JAX keeps what it compiled, and with it the rule, as long as this function lives. So the rule must not
    # lead back to it: the program is a twin, which does not know what is kept of this one.
    run.__name__ = run.__qualname__ = identifier(program.name)
    return jax.jit(run, inline=True)


def _stays_unfused(program: Program) -> bool:
    return operations(program.value) > MOST_OPERATIONS


@kept
def _rule(program: Program) -> Function:
    """The same within other rules, where everything is traced already."""

    def value(*arrays: Array) -> Array:
        arrays = tuple(map(jnp.asarray, arrays))
        return spread(value_of(program, arrays), arrays)

    def gradient(i: int) -> Function:
        return _rule(program.vjp(program.arguments[i]))

    value.__name__ = value.__qualname__ = identifier(program.name)
    if program.gradient:
        return in_reverse(value, gradient, len(program.inputs), is_long(program))
    compiled = (lambda f: f) if _stays_unfused(program) else jax.jit
    return with_slopes(value, gradient, len(program.inputs), is_long(program), compiled)
