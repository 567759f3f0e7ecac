"""NumPy: values of arrays, lists and plain numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from actgrad.codegen import lower
from actgrad.codegen.dialect import Dialect
from actgrad.codegen.emit import kernel
from actgrad.codegen.standalone import standalone
from actgrad.errors import CallError, DtypeError
from actgrad.frameworks import rows
from actgrad.frameworks.dtypes import way_out
from actgrad.frameworks.lookups import call_with_tables
from actgrad.frameworks.parameters import native_values
from actgrad.language.decomposed import DECOMPOSITIONS
from actgrad.language.kept import kept
from actgrad.language.program import Program

TABLE: dict[str, str] = {
    "neg": "-{0}",
    "abs": "np.abs({0})",
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "floordiv": "({0} // {1})",
    "mod": "({0} % {1})",
    "pow": "({0} ** {1})",
    "hypot": "np.hypot({0}, {1})",
    "copysign": "np.copysign({0}, {1})",
    "floor": "np.floor({0})",
    "ceil": "np.ceil({0})",
    "trunc": "np.trunc({0})",
    "round": "np.rint({0})",
    "sqrt": "np.sqrt({0})",
    "cbrt": "np.cbrt({0})",
    "exp": "np.exp({0})",
    "exp2": "np.exp2({0})",
    "expm1": "np.expm1({0})",
    "log": "np.log({0})",
    "log2": "np.log2({0})",
    "log10": "np.log10({0})",
    "log1p": "np.log1p({0})",
    "sin": "np.sin({0})",
    "cos": "np.cos({0})",
    "tan": "np.tan({0})",
    "asin": "np.arcsin({0})",
    "acos": "np.arccos({0})",
    "atan": "np.arctan({0})",
    "atan2": "np.arctan2({0}, {1})",
    "sinh": "np.sinh({0})",
    "cosh": "np.cosh({0})",
    "tanh": "np.tanh({0})",
    "asinh": "np.arcsinh({0})",
    "acosh": "np.arccosh({0})",
    "atanh": "np.arctanh({0})",
    "erf": "_erf({0})",
    "erfc": "_erfc({0})",
    "lt": "({0} < {1})",
    "le": "({0} <= {1})",
    "eq": "({0} == {1})",
    "and": "({0} & {1})",
    "or": "({0} | {1})",
    "not": "np.logical_not({0})",
    "select": "_where({0}, {1}, {2})",
    "gather": "np.take({0}, {1}.astype(np.intp)).astype({like}.dtype)",
    "given": "{0}",
    "host": "_host",
}

ROWS: dict[str, str] = {
    "sum": "np.sum({0}, -1, keepdims=True)",
    "max": "np.max({0}, -1, keepdims=True)",
    "prod": "np.prod({0}, -1, keepdims=True)",
    "cumsum": "np.cumsum({0}, -1)",
    "flip": "np.flip({0}, -1)",
    "order": 'np.argsort({0}, -1, kind="stable").astype({like}.dtype)',
    "take": "_take({0}, {1})",
    "slice": "{0}[..., {part}]",
    "place": "_place({0}, {n}, slice({start}, {stop}, {step}))",
    "concat": "_concat({all})",
    "fill": "({0} * np.ones({n}, {like}.dtype))",
    "length": "{like}.dtype.type({n})",
    "position": "np.arange({n}, dtype={like}.dtype)",
}

LACKS: dict[str, lower.Rule] = DECOMPOSITIONS | {
    "sigmoid": lower.sigmoid,
    "softplus": lower.softplus,
}

_HELPERS = {
    name: f"""
try:
    from scipy.special import {name} as _{name}
except ImportError:  # exact too, one number at a time
    import math

    def _{name}(x):
        return np.vectorize(math.{name}, otypes=[x.dtype])(x)
"""
    for name in ("erf", "erfc")
}
_HELPERS["where"] = """
def _where(condition, a, b):
    # Small; numbers in NumPy 1.26; longdouble.
    if condition.size < 2048 or a.dtype != b.dtype or a.dtype.itemsize > 8:
        return np.where(condition, a, b)
    # np.where waits where it cannot foresee a choice: spiky of 131,072 numbers takes 3.3 times as long.
    words = f"i{a.dtype.itemsize}"
    b = b.view(words)
    return ((a.view(words) ^ b) * condition ^ b).view(a.dtype)
"""
_ROW_HELPERS = {
    "_take": """
def _take(x, order):
    x, order = np.atleast_1d(x), np.atleast_1d(order)
    batch = np.broadcast_shapes(x.shape[:-1], order.shape[:-1])
    x, order = (np.broadcast_to(a, (*batch, a.shape[-1])) for a in (x, order))
    return np.take_along_axis(x, order.astype(np.intp), -1)
""",
    "_place": """
def _place(x, size, at):
    x = np.atleast_1d(x)
    out = np.zeros((*x.shape[:-1], size), x.dtype)
    out[..., at] = x
    return out
""",
    "_concat": """
def _concat(*parts):
    parts = [np.atleast_1d(part) for part in parts]
    batch = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return np.concatenate([np.broadcast_to(p, (*batch, p.shape[-1])) for p in parts], -1)
""",
}


def _computed(function, arrays, dtype):  # type: ignore[no-untyped-def]
    """The function of arrays, in this dtype; halves compute in float32."""
    working = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    shape = arrays[0].shape
    if {a.shape for a in arrays} - {shape, ()}:
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
    block = 1 << 15  # so many elements stay in a core's cache, with what is computed of them
    with np.errstate(all="ignore"):
        if arrays[0].size >= 4 * block:
            order = "C" if arrays[0].flags.c_contiguous else "F"
            if all(a.ndim == 0 or (a.shape == shape and a.flags[order]) for a in arrays):
                out = np.empty(shape, dtype, order)
                parts = [a.ravel(order) if a.ndim else a for a in (out, *arrays)]
                for start in range(0, out.size, block):
                    target, *rest = (a[start : start + block] if a.ndim else a for a in parts)
                    target[:] = function(*(a.astype(working, copy=False) for a in rest))
                return out
        args = [a if a.dtype == working else a.astype(working) for a in arrays]
        result = np.asarray(function(*args))
        if result.dtype != dtype:
            result = result.astype(dtype)
        if result.shape != shape:
            return np.broadcast_to(result, shape).copy()
        return result.copy() if [a for a in args if a is result] else result


def lookup(table, index, nan):  # type: ignore[no-untyped-def]
    """The entries of a table, whose further dimensions broadcast with the index."""
    table, index = np.asarray(table, np.float64), np.asarray(index)
    size = table[0].size
    whole = np.where(np.isnan(index), 0, np.clip(index, 0, len(table) - 1)).astype(np.intp)
    found = table.ravel()[whole * size + np.arange(size).reshape(table.shape[1:])]
    return np.where(np.isnan(index), np.nan, found) if nan else found


_LOOKUP = inspect.getsource(lookup).replace("  # type: ignore[no-untyped-def]", "")
_COMPUTED = inspect.getsource(_computed).replace("  # type: ignore[no-untyped-def]", "")


def _rows_computed(function, arrays, dtype):  # type: ignore[no-untyped-def]
    """The function of arrays whose rows lie last, in this dtype; halves compute in float32."""
    working = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    with np.errstate(all="ignore"):
        result = np.atleast_1d(function(*(a.astype(working, copy=False) for a in arrays)))
    batch = np.broadcast_shapes(*(a.shape[:-1] for a in arrays))
    return np.broadcast_to(result.astype(dtype), (*batch, result.shape[-1])).copy()


_ROWS_COMPUTED = inspect.getsource(_rows_computed).replace("  # type: ignore[no-untyped-def]", "")
_DTYPE = '''
def _dtype(inputs):
    """That of the inputs; integers and plain numbers compute in float64."""
    dtypes = [x.dtype for x in inputs]
    whole = any(dtype.kind in "biu" for dtype in dtypes)
    return np.dtype(np.float64) if whole else np.result_type(*dtypes)


'''
_FLOAT32 = Dialect(
    "numpy",
    "import numpy as np",
    TABLE,
    typed="{like}.dtype.type({0})",
    typed_in_calls=True,
    step="{0}.astype({like}.dtype)",
    lacks=LACKS,
    passes=(lower.let_exp_overflow,),
    helpers={f"_{name}": text for name, text in _HELPERS.items()} | _ROW_HELPERS,
    rows=ROWS,
    binding='''
def {name}({signature}):
    """{doc}"""
    arguments = [np.asarray(a) for a in {arguments}]
    return _computed({value}, arguments, _dtype(arguments[:{size}]))[()]


def {name}_gradient({signature}, {upstream}=1.0):
    """The gradient by each argument, before it is summed over broadcast dimensions."""
    arguments = [np.asarray(a) for a in {arguments}]
    inputs, parameters = arguments[:{size}], arguments[{size}:]
    arguments, dtype = (*inputs, np.asarray({upstream}), *parameters), _dtype(inputs)
    rules = {gradients}
    return tuple(_computed(g, arguments, dtype)[()] for g in rules)

'''
    + _DTYPE
    + _COMPUTED.replace("{", "{{").replace("}", "}}"),
    row_binding='''
def {name}({signature}, axis={axis}):
    """{doc}"""
    return _of_rows({arguments}, axis)


def {name}_gradient({signature}, {upstream}=1.0, axis={axis}):
    """The gradient by each input, before it is summed over broadcast dimensions, and by each parameter."""
    return _gradients({arguments}, {upstream}, axis)


def _of_rows(arguments, axis):
    inputs, numbers, dtype = _arrays(arguments)

    def rule(*rows):
        return _rows_computed({value}, (*rows, *numbers), dtype)

    return along_axis(inputs, axis, {squeezes}, np, row_length, rule)[()]


def _gradients(arguments, upstream, axis):
    inputs, numbers, dtype = _arrays(arguments)
    above = np.broadcast_to(upstream, np.shape(_of_rows(arguments, axis)))
    last = axis - max(x.ndim for x in inputs) if axis >= 0 else axis
    above = above[..., None] if {squeezes} else np.moveaxis(above, last, -1)
    found = []
    for gradient in {gradients}:

        def rule(*rows):
            return _rows_computed(gradient, (*rows, above, *numbers), dtype)

        found.append(along_axis(inputs, axis, False, np, row_length, rule))
    return (*found[:{size}], *(by.sum() for by in found[{size}:]))


def _arrays(arguments):
    arrays = [np.asarray(a) for a in arguments]
    inputs = arrays[:{size}]
    return inputs, [a.reshape(()) for a in arrays[{size}:]], _dtype(inputs)

'''
    + _DTYPE
    + _ROWS_COMPUTED.replace("{", "{{").replace("}", "}}")
    + "\n\n"
    + rows.common(),
    tables=_LOOKUP
    + '''

def {name}({signature}):
    """{doc}"""
    still = [np.asarray(a) for a in {flat}]
    still = [a.astype(np.float32) if a.dtype.itemsize == 2 else a * 1.0 for a in still]
    read = [lookup(table, index(*still), {nan}) for table, index in {lookups}]
    return {inner}(*{arguments}, *read)


def {name}_gradient({signature}, upstream=1.0):
    """The gradient by each argument, before it is summed over broadcast dimensions, and by each lookup as
    a table, its index and the gradient by what was read."""
    still = [np.asarray(a) for a in {flat}]
    still = [a.astype(np.float32) if a.dtype.itemsize == 2 else a * 1.0 for a in still]
    places = [(table, index(*still)) for table, index in {lookups}]
    read = [lookup(table, at, {nan}) for table, at in places]
    by_each = {inner}_gradient(*{arguments}, *read, upstream)
    size = len(by_each) - len(read)
    by_read = [(*place, by) for place, by in zip(places, by_each[size:])]
    return (*by_each[:size], *by_read)
''',
)
_FLOAT64 = replace(_FLOAT32, lacks=LACKS | {"erfc": lower.erfc(2.0**21)})
DIALECT = replace(_FLOAT32, variants=(("{like}.dtype == np.float64", _FLOAT64),))


def host(function: Callable[..., float]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        dtype = np.result_type(*args)
        return np.vectorize(function, otypes=[np.float64])(*args).astype(dtype)[()]

    return call


def call(program: Program, inputs: tuple[Any, ...], parameters: Mapping[str, Any]) -> Any:
    """The value, in the dtype of the inputs; integers and plain numbers compute in float64.

    Masks are kept, and joined where there are several; a matrix stays one.
    """
    if program.tables:
        return call_with_tables(program, inputs, parameters, call, _still, lookup)
    kinds = {type(x) for x in inputs}
    arrays = [_array(program, x) for x in inputs]
    dtype = _dtype([array.dtype for array in arrays])
    if program.parameters:
        working = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
        defaults = _defaults(program, working)
        arrays += [np.asarray(parameters.get(n, v), working) for n, v in defaults]
    if program.axis is not None:
        result = rows.along_axis(program, arrays, np, _of_rows(dtype), parameters.get("axis"))
        return result[()]
    result = _computed(kernel(program.structure, DIALECT, host), arrays, dtype)
    if result.ndim:
        return result if kinds == {np.ndarray} else _like_inputs(result, inputs)
    return float(result) if kinds <= {float, int, bool} else result[()]


def _still(x: Any) -> Any:
    return x.astype(np.float32) if getattr(getattr(x, "dtype", None), "itemsize", 0) == 2 else x


def _of_rows(dtype: Any) -> Callable[[Program, Sequence[Any]], Any]:
    def rule(program: Program, arrays: Sequence[Any]) -> Any:
        return _rows_computed(kernel(program.structure, DIALECT, host), arrays, dtype)

    return rule


@kept
def _defaults(program: Program, dtype: Any) -> list[tuple[str, Any]]:
    return [(name, np.asarray(value, dtype)) for name, value in program.parameters]


def _array(program: Program, x: Any) -> np.ndarray[Any, Any]:
    """A plain array of real numbers."""
    if type(x) is np.ndarray and x.dtype.kind == "f":
        return x
    if isinstance(x, np.ndarray) and not isinstance(x, _KEPT) and type(x) is not np.ndarray:
        raise CallError(
            f"{program.name!r} got a {type(x).__name__}, and cannot know what its subclass of an array "
            f"means\n  Give it `np.asarray(x)`."
        )
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise CallError(
            f"{program.name!r} cannot make an array of a {type(x).__name__}: {error}"
        ) from error
    if array.dtype.kind not in "biuf" and not _is_bfloat16(array.dtype):
        cure = way_out(
            str(array.dtype),
            "np.asarray(x, float)",
            "re(z.real, z.imag) + 1j * im(z.real, z.imag)",
        )
        raise DtypeError(
            f"{program.name!r} got {_described(x, array)}; it computes with real numbers\n  {cure}"
        )
    return array


def _described(x: Any, array: np.ndarray[Any, Any]) -> str:
    if isinstance(x, (np.ndarray, np.generic)):
        return f"an array of dtype {array.dtype}"
    return f"{x!r:.60} ({type(x).__name__})"


_KEPT = (np.ma.MaskedArray, np.matrix, np.memmap)


def _like_inputs(result: np.ndarray[Any, Any], inputs: tuple[Any, ...]) -> Any:
    """The result as the kind of array that its inputs are."""
    masked = [x for x in inputs if isinstance(x, np.ma.MaskedArray)]
    if masked:
        mask = np.zeros(result.shape, bool)
        for x in masked:
            mask |= np.ma.getmaskarray(x)
        masked_result = np.ma.masked_array(result, mask=mask)
        masked_result.fill_value = masked[0].fill_value
        return masked_result
    return result.view(np.matrix) if any(isinstance(x, np.matrix) for x in inputs) else result


def _is_bfloat16(dtype: np.dtype[Any]) -> bool:
    return dtype.name == "bfloat16"


def _dtype(dtypes: list[np.dtype[Any]]) -> np.dtype[Any]:
    if len(dtypes) == 1 and dtypes[0].kind == "f" and dtypes[0].isnative:
        return dtypes[0]
    if any(dtype.kind in "biu" for dtype in dtypes):
        return np.dtype(np.float64)
    if {dtype.name for dtype in dtypes} == {"float16", "bfloat16"}:  # neither holds the other
        return np.dtype(np.float32)
    return np.result_type(*dtypes).newbyteorder("=")


def native(program: Program) -> Callable[..., Any]:
    """The activation as a function of arrays: inputs by position, parameters by keyword."""
    return lambda *inputs, **parameters: call(
        program, inputs, native_values(program, inputs, parameters)
    )


def source(program: Program) -> str:
    return standalone(program, DIALECT)
