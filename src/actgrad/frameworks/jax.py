"""JAX: native operations with the derivative in force, in every transformation, under XLA.

`jax.custom_jvp` carries both modes. Its rule calls the bound programs of the partial derivatives, made
when they are first needed, so every order follows the same rule. Of one argument the slope is kept for
the backward pass, which is as large. With several, and in half types, whose slope is computed wider, the
rule is checkpointed: the arguments are kept, and the slopes computed again. A `gradient=` rule has no
forward mode, so there `jax.custom_vjp` carries reverse mode alone.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, reduce
from operator import add
from typing import Any

import numpy as np

from actgrad.codegen import lower
from actgrad.codegen.dialect import Dialect
from actgrad.codegen.emit import identifier, kernel
from actgrad.codegen.kept import kept
from actgrad.codegen.size import operations
from actgrad.codegen.standalone import standalone
from actgrad.errors import CallError, DtypeError, NoDerivativeError, UnfusedWarning
from actgrad.frameworks.lookups import call_with_tables
from actgrad.language.decomposed import without
from actgrad.language.program import Program

TABLE: dict[str, str] = {
    "neg": "-{0}",
    "abs": "jnp.abs({0})",
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "mod": "jnp.fmod({0}, {1})",  # the same, of sizes
    "pow": "({0} ** {1})",
    "hypot": "jnp.hypot({0}, {1})",
    "copysign": "jnp.copysign({0}, {1})",
    "floor": "jnp.floor({0})",
    "ceil": "jnp.ceil({0})",
    "trunc": "jnp.trunc({0})",
    "round": "jnp.rint({0})",
    "sqrt": "jnp.sqrt({0})",
    "cbrt": "jnp.cbrt({0})",
    "exp": "jnp.exp({0})",
    "expm1": "jnp.expm1({0})",
    "log": "jnp.log({0})",
    "log1p": "jnp.log1p({0})",
    "sin": "jnp.sin({0})",
    "cos": "jnp.cos({0})",
    "tan": "jnp.tan({0})",
    "asin": "jnp.arcsin({0})",
    "acos": "jnp.arccos({0})",
    "atan": "jnp.arctan({0})",
    "atan2": "jnp.arctan2({0}, {1})",
    "tanh": "jnp.tanh({0})",
    "asinh": "jnp.arcsinh({0})",
    "acosh": "jnp.arccosh({0})",
    "atanh": "jnp.arctanh({0})",
    "sigmoid": "jax.nn.sigmoid({0})",
    "softplus": "jax.nn.softplus({0})",
    "erf": "jax.lax.erf({0})",
    "erfc": "jax.lax.erfc({0})",
    "i0e": "jax.scipy.special.i0e({0})",
    "lt": "({0} < {1})",
    "le": "({0} <= {1})",
    "eq": "({0} == {1})",
    "and": "({0} & {1})",
    "or": "({0} | {1})",
    "not": "jnp.logical_not({0})",
    "select": "jnp.where({0}, {1}, {2})",
    "gather": "jnp.take({0}, {1}.astype(jnp.int32), mode='clip')",
    "given": "{0}",
    "host": "_host",
}

_ENTRY = '''
def {name}({signature}):
    """{doc}"""
    arguments = {arguments}
    dtype = jnp.result_type(arguments[0], 1.0)
    return _rule(*(jnp.asarray(a, dtype) for a in arguments))


def _wide(function, *arrays):
    """Half types compute in float32 inside."""
    half = arrays[0].dtype in (jnp.float16, jnp.bfloat16)
    return function(*(a.astype(jnp.float32) if half else a for a in arrays))

'''

_VALUE = """def _rule(*arguments):
    value = _wide({value}, *arguments)
    shape = jnp.broadcast_shapes(*(a.shape for a in arguments))
    return jnp.broadcast_to(value, shape).astype(arguments[0].dtype)

"""

LACKS: dict[str, lower.Rule] = {
    **without("i0e"),
    "mod": lower.mod,
    "floordiv": lower.floordiv,
    "exp2": lower.exp2,
    "log2": lower.log2,
    "log10": lower.log10,
    "sinh": lower.sinh,
    "cosh": lower.cosh,
    "erfc": lower.erfc(2.0**8),
    "add": lower.plus_zero,
}


def lookup(table, index, nan):  # type: ignore[no-untyped-def]
    """The entries of a table, whose further dimensions broadcast with the index."""
    import jax.numpy as jnp

    table = jnp.asarray(table, index.dtype)
    at = index.astype(jnp.int32)
    if table.ndim > 1:
        size = table[0].size
        at = jnp.clip(at, 0, len(table) - 1) * size + jnp.arange(size).reshape(table.shape[1:])
    found = table.ravel().at[at].get(mode="clip")
    return jnp.where(jnp.isnan(index), jnp.nan, found) if nan else found


_TABLES = (
    inspect.getsource(lookup)
    .replace("  # type: ignore[no-untyped-def]", "")
    .replace("    import jax.numpy as jnp\n\n", "")
    + '''

def {name}({signature}):
    """{doc}"""
    arguments = {arguments}
    dtype = jnp.promote_types(jnp.result_type(arguments[0], 1.0), jnp.float32)
    still = [jax.lax.stop_gradient(jnp.asarray(a, dtype)) for a in {flat}]
    read = [lookup(table, index(*still), {nan}) for table, index in {lookups}]
    return {inner}(*arguments, *read)
'''
)

_FLOAT32 = Dialect(
    "jax",
    "import jax\nimport jax.numpy as jnp",
    TABLE,
    typed="jnp.array({0}, {like}.dtype)",
    lacks=LACKS,
    helpers={"np": "import numpy as np"},
    vector="jnp.asarray({0}, {like}.dtype)",
    passes=(lower.exact_quotients, lower.share_exponentials),
    tables=_TABLES,
    binding=_ENTRY
    + """
@jax.custom_jvp
"""
    + _VALUE
    + """
@_rule.defjvp
def _tangent(arguments, tangents):
    inputs, parameters = arguments[:{size}], arguments[{size}:]
    one = jnp.ones((), arguments[0].dtype)
    rules = {gradients}
    partials = [_wide(g, *inputs, one, *parameters) for g in rules]
    value = _rule(*arguments)
    total = sum(p * t.astype(p.dtype) for p, t in zip(partials, tangents))
    return value, jnp.broadcast_to(total, value.shape).astype(value.dtype)
""",
)

_FLOAT64 = replace(
    _FLOAT32,
    lacks=LACKS | {"log1p": lower.log1p, "atanh": lower.atanh, "erfc": lower.erfc(2.0**21)},
)
DIALECT = replace(_FLOAT32, variants=(("{like}.dtype == jnp.float64", _FLOAT64),))

_WHOLE_GRADIENT = replace(
    DIALECT,
    binding=_ENTRY
    + """
@jax.custom_vjp
"""
    + _VALUE
    + '''
def _forward(*arguments):
    return _rule(*arguments), arguments


def _backward(arguments, upstream):
    inputs, parameters = arguments[:{size}], arguments[{size}:]
    rules = {gradients}
    gradients = [_wide(g, *inputs, upstream, *parameters) for g in rules]
    return tuple(_sum_to(g, upstream.shape, a) for g, a in zip(gradients, arguments))


_rule.defvjp(_forward, _backward)


def _sum_to(gradient, shape, array):
    """Add up the gradient over the dimensions in which the array was broadcast."""
    gradient = jnp.broadcast_to(gradient, shape)
    new = len(shape) - array.ndim
    wide = [new + i for i, n in enumerate(array.shape) if n == 1]
    return gradient.sum((*range(new), *wide)).reshape(array.shape).astype(array.dtype)
''',
)

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

    def run(inputs: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        return call_with_tables(program, inputs, parameters, call, _still, lookup)

    run.__name__ = run.__qualname__ = identifier(program.name)
    return jax.jit(jax.checkpoint(run, prevent_cse=False))  # type: ignore[no-any-return]


def _still(x: Any) -> Any:
    import jax
    import jax.numpy as jnp

    x = jax.lax.stop_gradient(jnp.asarray(x))
    return _widen([x])[0]


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
            raise DtypeError(
                f"{program.name!r} got an array of dtype {name}; it takes {', '.join(_FLOATS)}\n"
                f"  Convert it first: `x.astype(jnp.float32)`."
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
    return jax.jit(_rule(program), inline=True)  # type: ignore[no-any-return]


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
        wide = _widen(primals)
        shape = jnp.broadcast_shapes(*(x.shape for x in primals))
        parts = [
            _rule(program.partial(program.arguments[i]))(*wide) * tangent
            for i, tangent in zip(moving, _widen(tangents), strict=True)
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
        wide, (upstream,) = _widen(arrays), _widen([upstream])
        args = (*wide[:size], upstream, *wide[size:])
        return tuple(
            _sum_to(_rule(program.vjp(name))(*args), array)
            for name, array in zip(program.arguments, arrays, strict=True)
        )

    rule.defvjp(lambda *arrays: (rule(*arrays), arrays), backward)
    return rule  # type: ignore[no-any-return]


def _widen(arrays: Any) -> list[Any]:
    return [x.astype(np.float32) if x.dtype.name in _HALVES else x for x in arrays]


def _value(program: Program, arrays: tuple[Any, ...]) -> Any:
    """The program's value, in the shape of all arguments and the dtype of the first."""
    import jax.numpy as jnp

    arrays = tuple(map(jnp.asarray, arrays))
    result = kernel(program, DIALECT, host)(*_widen(arrays))
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
        return call(program, inputs, parameters)

    function.__name__ = function.__qualname__ = identifier(program.name)
    return function


def source(program: Program) -> str:
    return standalone(program, _WHOLE_GRADIENT if program.gradient else DIALECT)
