"""JAX: native operations with the derivative in force, in every transformation, under XLA.

`jax.custom_jvp` carries both modes. Its rule calls the bound programs of the partial derivatives, made
when they are first needed, so every order follows the same rule. Of one argument the slope is kept for
the backward pass, which is as large. With several, and in half types, whose slope is computed wider, the
rule is checkpointed: the arguments are kept, and the slopes computed again. A `gradient=` rule has no
forward mode, so there `jax.custom_vjp` carries reverse mode alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from operator import add
from typing import Any

import numpy as np

from actgrad.codegen.emit import identifier, kernel
from actgrad.codegen.size import operations
from actgrad.codegen.standalone import standalone
from actgrad.errors import CallError, DtypeError, NoDerivativeError, UnfusedWarning
from actgrad.frameworks import jax_rows, rows
from actgrad.frameworks.dtypes import way_out
from actgrad.frameworks.jax_dialect import DIALECT, WHOLE_GRADIENT
from actgrad.frameworks.lookups import call_with_tables
from actgrad.frameworks.parameters import native_values
from actgrad.language.kept import kept, twin
from actgrad.language.program import Program

MOST_OPERATIONS = 2000
"""A longer program is not compiled: XLA takes 3 ms of CPU for each, with its gradient."""

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_HALVES = ("float16", "bfloat16")


def host(function: Callable[..., float]) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    def call(*args: Any) -> Any:
        # Of one shape, so that vmap's new axis is the first of each.
        same = jnp.broadcast_arrays(*args)
        dtype = same[0].dtype

        def on_host(*arrays: Any) -> Any:
            over_arrays = np.vectorize(function, otypes=[np.float64])
            return np.asarray(over_arrays(*map(np.asarray, arrays)), dtype)

        shape = jax.ShapeDtypeStruct(same[0].shape, dtype)
        return jax.pure_callback(on_host, shape, *same, vmap_method="broadcast_all")

    return call


def call(program: Program, inputs: tuple[Any, ...], parameters: Mapping[str, Any]) -> Any:
    """The activation of arrays, in their dtype."""

    arrays = _arrays(program, inputs)
    working = _working(arrays[0].dtype)
    if program.tables:
        values = {name: _parameter(value, working) for name, value in parameters.items()}
        return _with_tables(program)(tuple(arrays), values)
    for name, default in program.parameters:
        arrays.append(_parameter(parameters.get(name, default), working))
    if program.axis is not None:
        import jax.numpy as jnp

        arrays = [*arrays[: len(inputs)], *map(jnp.asarray, arrays[len(inputs) :])]
        return rows.along_axis(program, arrays, jnp, _of_rows, parameters.get("axis"))
    try:
        return native_rule(program.structure)(*arrays)
    except TypeError as error:
        if program.gradient and "custom_vjp" in str(error):
            raise NoDerivativeError(
                f"{program.name!r} has a `gradient=` rule, which defines reverse mode only, and forward "
                f"mode was asked for (jax.jvp, jacfwd, linearize, hessian)\n"
                f"  Use jax.grad, vjp or jacrev, or give `derivative=` or `surrogate=`."
            ) from error
        raise


@kept
def _with_tables(program: Program) -> Callable[..., Any]:
    """A program that reads tables. What it read is not kept for the backward pass, but read again."""
    import jax

    from actgrad.frameworks.jax_gather import lookup

    def run(inputs: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        return call_with_tables(program, inputs, parameters, call, _still, lookup)

    run.__name__ = run.__qualname__ = identifier(program.name)
    return jax.jit(jax.checkpoint(run, prevent_cse=False))  # type: ignore[no-any-return]


def _still(x: Any) -> Any:
    import jax
    import jax.numpy as jnp

    x = jax.lax.stop_gradient(jnp.asarray(x))
    return widen([x])[0]


def _of_rows(program: Program, arrays: Sequence[Any]) -> Any:
    return jax_rows.rule(program, arrays, _row_value)


def _row_value(program: Program, arrays: Sequence[Any]) -> Any:
    return kernel(program, DIALECT, host)(*widen(arrays))


def _parameter(value: Any, dtype: Any) -> Any:
    """A number stays one, so that its value is no part of what is compiled, and its type is weak."""
    import jax.numpy as jnp

    return float(value) if _is_plain(value) else jnp.asarray(value).astype(dtype)


@cache
def _dtypes() -> frozenset[Any]:
    import jax.numpy as jnp

    return frozenset(map(jnp.dtype, _FLOATS))


def _arrays(program: Program, inputs: tuple[Any, ...]) -> list[Any]:
    """The inputs as arrays of one floating dtype; Python's numbers take that of the others."""
    import jax
    import jax.numpy as jnp

    if len(inputs) == 1 and isinstance(inputs[0], jax.Array) and inputs[0].dtype in _dtypes():
        return [inputs[0]]

    def array(x: Any) -> Any:  # `asarray` would copy what is being differentiated
        return x if _is_plain(x) or isinstance(x, jax.Array) else jnp.asarray(x)

    try:
        arrays = list(map(array, inputs))
    except (TypeError, ValueError) as error:
        kinds = ", ".join(type(x).__name__ for x in inputs)
        raise CallError(f"{program.name!r} takes arrays, and got {kinds}: {error}") from error
    for given, x in zip(inputs, arrays, strict=True):
        dtype = getattr(given, "dtype", getattr(x, "dtype", None))
        name = getattr(dtype, "name", str(dtype))
        if dtype is not None and name not in _FLOATS:
            join = "jax.lax.complex(re(z.real, z.imag), im(z.real, z.imag))"
            raise DtypeError(
                f"{program.name!r} got an array of dtype {name}; it takes {', '.join(_FLOATS)}\n"
                f"  {way_out(name, 'x.astype(jnp.float32)', join)}"
            )
    arrays = [float(x) if _is_plain(x) else x for x in arrays]
    dtype = jnp.result_type(*arrays)
    return [x if getattr(x, "dtype", None) == dtype else jnp.asarray(x, dtype) for x in arrays]


def _is_plain(x: Any) -> bool:
    return type(x) in (float, int, bool)


def _working(dtype: Any) -> Any:
    """Half types compute in float32 inside."""
    return np.dtype(np.float32) if dtype.name in _HALVES else dtype


@kept
def native_rule(program: Program) -> Callable[..., Any]:
    """The program of arrays, inputs and parameters by position, with its derivative.

    The result has the dtype of the first.
    """
    import jax

    if _is_long(program):
        warnings.warn(
            f"{program.name!r} runs unfused in JAX: right, and several times slower\n"
            f"  XLA would take long to compile its {operations(program.value):,} operations; under your own "
            f"jax.jit it does.",
            UnfusedWarning,
            stacklevel=2,
        )
        return _rule(program)
    rule = _rule(twin(program))

    def run(*arrays: Any) -> Any:
        return rule(*arrays)

    # JAX keeps what it compiled, and with it the rule, as long as this function lives. So the rule must not
    # lead back to it: the program is a twin, which does not know what is kept of this one.
    run.__name__ = run.__qualname__ = identifier(program.name)
    return jax.jit(run, inline=True)  # type: ignore[no-any-return]


def _is_long(program: Program) -> bool:
    return operations(program.value) > MOST_OPERATIONS


@kept
def _rule(program: Program) -> Callable[..., Any]:
    """The same within other rules, where everything is traced already."""

    def value(*arrays: Any) -> Any:
        return _value(program, arrays)

    value.__name__ = value.__qualname__ = identifier(program.name)
    return _with_vjp(program, value) if program.gradient else _with_jvp(program, value)


def _with_jvp(program: Program, value: Callable[..., Any]) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp
    from jax.custom_derivatives import SymbolicZero

    rule = jax.custom_jvp(value)

    def jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        primals = tuple(map(jnp.asarray, primals))  # a plain number comes as one, outside of jit
        moving = tuple(i for i, t in enumerate(tangents) if type(t) is not SymbolicZero)
        whole = [i for i, x in enumerate(primals) if x.ndim or len(primals) == 1]
        if len(moving) == 1 and whole == list(moving) and primals[0].dtype.name not in _HALVES:
            slope = _rule(program.partial(program.arguments[moving[0]]))(*primals)
            return rule(*primals), slope * tangents[moving[0]]
        return rule(*primals), _push(program, moving)(primals, [tangents[i] for i in moving])

    rule.defjvp(jvp, symbolic_zeros=True)
    return rule  # type: ignore[no-any-return]


@kept
def _push(program: Program, moving: tuple[int, ...]) -> Callable[..., Any]:
    """The tangent of the value, from the tangents of the arguments that have one."""
    import jax
    import jax.numpy as jnp

    def push(primals: tuple[Any, ...], tangents: list[Any]) -> Any:
        wide = widen(primals)
        shape = jnp.broadcast_shapes(*(x.shape for x in primals))
        parts = [
            _rule(program.partial(program.arguments[i]))(*wide) * tangent
            for i, tangent in zip(moving, widen(tangents), strict=True)
        ]
        return jnp.broadcast_to(reduce(add, parts), shape).astype(primals[0].dtype)

    compiled = push if _is_long(program) else jax.jit(push)
    return jax.checkpoint(compiled, prevent_cse=False)  # type: ignore[no-any-return]


def _with_vjp(program: Program, value: Callable[..., Any]) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    size = len(program.inputs)
    rule = jax.custom_vjp(value)

    def backward(arrays: tuple[Any, ...], upstream: Any) -> tuple[Any, ...]:
        arrays = tuple(map(jnp.asarray, arrays))  # a parameter that is a number stayed one
        wide, (upstream,) = widen(arrays), widen([upstream])
        args = (*wide[:size], upstream, *wide[size:])
        return tuple(
            _sum_to(_rule(program.vjp(name))(*args), array)
            for name, array in zip(program.arguments, arrays, strict=True)
        )

    rule.defvjp(lambda *arrays: (rule(*arrays), arrays), backward)
    return rule  # type: ignore[no-any-return]


def widen(arrays: Any) -> list[Any]:
    return [x.astype(np.float32) if x.dtype.name in _HALVES else x for x in arrays]


def _value(program: Program, arrays: tuple[Any, ...]) -> Any:
    """The program's value, in the shape of all arguments and the dtype of the first."""
    import jax.numpy as jnp

    arrays = tuple(map(jnp.asarray, arrays))
    result = kernel(program, DIALECT, host)(*widen(arrays))
    if not program.spans_inputs:
        result = jnp.broadcast_to(result, jnp.broadcast_shapes(*(x.shape for x in arrays)))
    dtype = arrays[0].dtype
    return result if result.dtype == dtype else result.astype(dtype)


def _sum_to(gradient: Any, array: Any) -> Any:
    """Add up the gradient over the dimensions in which the array was broadcast."""
    import jax.numpy as jnp

    array = jnp.asarray(array)
    new = gradient.ndim - array.ndim
    wide = [new + i for i, size in enumerate(array.shape) if size == 1]
    return gradient.sum((*range(new), *wide)).reshape(array.shape).astype(array.dtype)


@kept
def native(program: Program) -> Callable[..., Any]:
    """The activation as a function of arrays: inputs by position, parameters by keyword."""

    def function(*inputs: Any, **parameters: Any) -> Any:
        return call(program, inputs, native_values(program, inputs, parameters))

    function.__name__ = function.__qualname__ = identifier(program.name)
    return function


def source(program: Program) -> str:
    return standalone(program, WHOLE_GRADIENT if program.gradient else DIALECT)
