"""NumPy: values of arrays, lists and plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import replace
from functools import cache
from typing import Any, Literal

import numpy as np

from actgrad.codegen import lower
from actgrad.codegen.dialect import Dialect
from actgrad.codegen.emit import kernel
from actgrad.codegen.standalone import standalone
from actgrad.errors import CallError, DtypeError
from actgrad.frameworks import numpy_fused
from actgrad.language.expression import plain, walk
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
    "select": "np.where({0}, {1}, {2})",
    "gather": "np.take({0}, {1}.astype(np.intp)).astype({like}.dtype)",
    "given": "{0}",
    "host": "_host",
}

LACKS = {"sigmoid": lower.sigmoid, "softplus": lower.softplus}

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

_FLOAT32 = Dialect(
    "numpy",
    "import numpy as np",
    TABLE,
    typed="{like}.dtype.type({0})",
    lacks=LACKS,
    passes=(lower.let_exp_overflow,),
    helpers={f"_{name}": text for name, text in _HELPERS.items()},
    binding='''
def {name}({signature}):
    """{doc}"""
    return _call({value}, *{arguments})


def {name}_gradient({signature}, {upstream}=1.0):
    """The gradient by each argument, before it is summed over broadcast dimensions."""
    inputs, parameters = {arguments}[:{size}], {arguments}[{size}:]
    arguments = (*inputs, {upstream}, *parameters)
    rules = {gradients}
    return tuple(_call(g, *arguments) for g in rules)


def _call(function, *arguments):
    """In the dtype of the first argument; halves compute in float32, integers in float64."""
    dtype = np.asarray(arguments[0]).dtype
    dtype = np.dtype(np.float64) if dtype.kind in "iub" else dtype
    working = np.float32 if dtype.itemsize == 2 else dtype
    with np.errstate(all="ignore"):
        return np.asarray(function(*(np.asarray(a, working) for a in arguments))).astype(dtype)[()]
''',
)


_FLOAT64 = replace(_FLOAT32, lacks=LACKS | {"erfc": lower.erfc(2.0**21)})
DIALECT = replace(_FLOAT32, variants=(("{like}.dtype == np.float64", _FLOAT64),))

NUMPY_1 = np.lib.NumpyVersion(np.__version__) < "2.0.0"


def _of(dtype: np.dtype[Any]) -> Dialect:
    return _FLOAT64 if dtype == np.float64 else _FLOAT32


@cache
def _beside_small(dtype: np.dtype[Any]) -> Dialect:
    """For small arrays, where a number beside an array costs more than the operation."""
    number = f"np.asarray({{0}}, '{dtype}')"
    return replace(
        _of(dtype),
        typed=number,
        number=number,
        made_once=True,
        step="{0}.astype({like}.dtype)",
    )


@cache
def _beside_one(dtype: np.dtype[Any]) -> Dialect:
    """For one number: what NumPy computes of it as of an array, in a tenth of the time."""
    alone = {"abs": "abs({0})", "not": "(not {0})", "select": "({1} if {0} else {2})"}
    return replace(
        _of(dtype),
        table=TABLE | alone,
        typed=f"np.dtype('{dtype}').type({{0}})",
        typed_everywhere=True,
        made_once=True,
    )


def host(function: Callable[..., float]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        dtype = np.result_type(*args)
        return np.vectorize(function, otypes=[np.float64])(*args).astype(dtype)[()]

    return call


def call(program: Program, inputs: tuple[Any, ...], parameters: Mapping[str, Any]) -> Any:
    """The value, in the dtype of the inputs; integers and plain numbers compute in float64.

    Masks are kept, and joined where there are several; a matrix stays one.
    """
    x = inputs[0]
    is_small = type(x) is np.ndarray and x.ndim and x.size < numpy_fused.LARGE
    if is_small and len(inputs) == 1 and not parameters:
        small = _small(program, x.dtype, x.size == 1)
        if small:
            return small(x)
    numbers = all(type(x) in (float, int, bool) for x in inputs)
    arrays = [_array(program, x) for x in inputs]
    dtype = _dtype([array.dtype for array in arrays])
    working = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    program = program.bound(frozenset(parameters))
    given = [np.asarray(parameters.get(name, value), working) for name, value in program.parameters]
    with np.errstate(all="ignore"):
        result = _in_order_of_memory(program, [*arrays, *given], dtype, working)
        if result is None:
            result = _at_once(program, [*arrays, *given], dtype, working)
    if numbers and result.ndim == 0:
        return float(result)
    return _dressed(result, inputs) if result.ndim else result[()]


@cache
def _small(program: Program, dtype: np.dtype[Any], one: bool) -> Callable[..., Any] | None:
    """What computes small arrays of this dtype, or of one element, if it needs nothing around it."""
    closed = program.closed
    if closed.parameters or closed.on_host or not closed.spans_inputs:
        return None
    if not (dtype.isnative and dtype.kind == "f" and dtype.itemsize in (4, 8)):
        return None
    if plain(closed.value).op == "var":
        return None
    function = of_one(closed, dtype) if one else None
    if function is None:
        return _quiet(kernel(closed, _beside_small(dtype), host))

    def only(x: Any) -> Any:
        out = np.empty_like(x)
        out.fill(function(x.flat[0]))
        return out

    return only


def of_one(program: Program, dtype: np.dtype[Any]) -> Callable[..., Any] | None:
    """The value of single numbers, as NumPy's scalars of this dtype: the same bits as of arrays.

    None where they would not be: scalars have powers of their own, and in NumPy 1 dtypes of their own.
    """
    if NUMPY_1 or any(node.op == "pow" for node in walk(program.value)):
        return None
    return _quiet(kernel(program, _beside_one(dtype), host))


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """Without floating-point warnings: as under `np.errstate`, whose state is made once here."""
    if NUMPY_1:  # it does not keep its state in the context
        return np.errstate(all="ignore")(function)  # type: ignore[no-any-return]
    before, ignoring = copy_context(), copy_context()
    ignoring.run(np.seterr, all="ignore")
    [(variable, state)] = (item for item in ignoring.items() if before.get(item[0]) is not item[1])

    def quiet(*numbers: Any) -> Any:
        token = variable.set(state)
        try:
            return function(*numbers)
        finally:
            variable.reset(token)

    return quiet


def _at_once(
    program: Program, arrays: list[Any], dtype: np.dtype[Any], working: np.dtype[Any]
) -> Any:
    args = [array.astype(working, copy=False) for array in arrays]
    result = kernel(program, DIALECT, host)(*args)
    if not program.spans_inputs:
        result = np.broadcast_to(result, np.broadcast_shapes(*(arg.shape for arg in args))).copy()
    result = np.asarray(result).astype(dtype, copy=False)
    return result.copy() if any(result is array for array in (*arrays, *args)) else result


BLOCK = 1 << 15
"""So many elements stay in a core's cache, with what is computed of them."""


def _in_order_of_memory(
    program: Program, arrays: list[Any], dtype: np.dtype[Any], working: np.dtype[Any]
) -> Any:
    """The value of large arrays, read and written once; None where they do not lie in one order."""
    size = max(array.size for array in arrays)
    if size < numpy_fused.LARGE:
        return None
    shape, *others = {array.shape for array in arrays if array.ndim}
    inner = arrays[0].flags.c_contiguous
    if others or not all(a.flags.c_contiguous if inner else a.flags.f_contiguous for a in arrays):
        return None
    loop = numpy_fused.loop(program, working, tuple(array.ndim > 0 for array in arrays))
    if loop is None and size < 4 * BLOCK:
        return None
    order: Literal["C", "F"] = "C" if inner else "F"
    out = np.empty(shape, dtype, order)
    flat, *args = (a.reshape(-1, order=order) if a.ndim else a[()] for a in (out, *arrays))
    if loop and all(array.dtype == working for array in (out, *arrays)):
        loop(flat, *args)
        return out
    function = kernel(program, DIALECT, host)
    for start in range(0, size, BLOCK):
        piece = slice(start, start + BLOCK)
        parts = [(a[piece] if a.ndim else a).astype(working, copy=False) for a in args]
        if loop:
            part = np.empty(len(flat[piece]), working)
            loop(part, *parts)
        flat[piece] = part if loop else function(*parts)
    return out


def _array(program: Program, x: Any) -> np.ndarray[Any, Any]:
    """A plain array of real numbers."""
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
        raise DtypeError(
            f"{program.name!r} got {_described(x, array)}; it computes with real numbers"
        )
    return array


def _described(x: Any, array: np.ndarray[Any, Any]) -> str:
    if isinstance(x, (np.ndarray, np.generic)):
        return f"an array of dtype {array.dtype}"
    return f"{x!r:.60} ({type(x).__name__})"


_KEPT = (np.ma.MaskedArray, np.matrix, np.memmap)


def _dressed(result: np.ndarray[Any, Any], inputs: tuple[Any, ...]) -> Any:
    """The result as the kind of array that its inputs are."""
    masked = [x for x in inputs if isinstance(x, np.ma.MaskedArray)]
    if masked:
        mask = np.zeros(result.shape, bool)
        for x in masked:
            mask |= np.ma.getmaskarray(x)
        dressed = np.ma.masked_array(result, mask=mask)
        dressed.fill_value = masked[0].fill_value
        return dressed
    return result.view(np.matrix) if any(isinstance(x, np.matrix) for x in inputs) else result


def _is_bfloat16(dtype: np.dtype[Any]) -> bool:
    return dtype.name == "bfloat16"


def _dtype(dtypes: list[np.dtype[Any]]) -> np.dtype[Any]:
    if any(dtype.kind in "biu" for dtype in dtypes):
        return np.dtype(np.float64)
    if {dtype.name for dtype in dtypes} == {"float16", "bfloat16"}:  # neither holds the other
        return np.dtype(np.float32)
    return np.result_type(*dtypes).newbyteorder("=")


def native(program: Program) -> Callable[..., Any]:
    """The activation as a function of arrays: inputs by position, parameters by keyword."""
    return lambda *inputs, **parameters: call(program, inputs, parameters)


def source(program: Program) -> str:
    return standalone(program, DIALECT)
