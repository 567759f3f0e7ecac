"""NumPy: values of arrays, lists and plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from actgrad.codegen.emit import kernel
from actgrad.common.types import Array, Fields, Function
from actgrad.errors import CallError, DtypeError
from actgrad.frameworks import rows
from actgrad.frameworks.dtypes import way_out
from actgrad.frameworks.lookups import call_with_tables
from actgrad.frameworks.numpy_binding import common_dtype, computed, rows_computed
from actgrad.frameworks.numpy_dialect import DIALECT
from actgrad.frameworks.numpy_gather import lookup, still
from actgrad.language.program import Program


def host(function: Function) -> Function:
    def call(*args: Array) -> Array:
        dtype = np.result_type(*args)
        return np.vectorize(function, otypes=[np.float64])(*args).astype(dtype)[()]

    return call


def call(program: Program, inputs: tuple[object, ...], parameters: Fields) -> object:
    """The value, in the dtype of the inputs; integers and plain numbers compute in float64.

    Masks are kept, and joined where there are several; a matrix stays one.
    """
    if program.tables:
        return call_with_tables(program, inputs, parameters, call, still, lookup)
    kinds = {type(x) for x in inputs}
    arrays = [_array(program, x) for x in inputs]
    dtype = common_dtype(arrays)
    if program.parameters:
        working = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
        arrays += [np.asarray(parameters.get(n, v), working) for n, v in program.parameters]
    if program.axis is not None:
        result = rows.along_axis(program, arrays, np, _of_rows(dtype), parameters.get("axis"))
        return result[()]
    result = computed(kernel(program.structure, DIALECT, host), arrays, dtype)
    if result.ndim:
        return result if kinds == {np.ndarray} else _like_inputs(result, inputs)
    return float(result) if kinds <= {float, int, bool} else result[()]


def _of_rows(dtype: np.dtype) -> Callable[[Program, Sequence[Array]], Array]:
    def rule(program: Program, arrays: Sequence[Array]) -> Array:
        return rows_computed(kernel(program.structure, DIALECT, host), arrays, dtype)

    return rule


def _array(program: Program, x: object) -> Array:
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
            f"{program.name!r} cannot make an array of a {type(x).__name__}: {error}\n"
            f"  Give each row in it the same length, or call it for one row at a time."
        ) from error
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        cure = way_out(
            str(array.dtype),
            "np.asarray(x, float)",
            "re(z.real, z.imag) + 1j * im(z.real, z.imag)",
        )
        raise DtypeError(
            f"{program.name!r} got {_described(x, array)}; it computes with real numbers\n  {cure}"
        )
    return array


def _described(x: object, array: Array) -> str:
    if isinstance(x, (np.ndarray, np.generic)):
        return f"an array of dtype {array.dtype}"
    return f"{x!r:.60} ({type(x).__name__})"


_KEPT = (np.ma.MaskedArray, np.matrix, np.memmap)


def _like_inputs(result: Array, inputs: tuple[object, ...]) -> Array:
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
