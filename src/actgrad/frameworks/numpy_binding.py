"""How NumPy computes a function of arrays. `f.source("numpy")` ends with this text."""

import numpy as np


def computed(function, arrays, dtype):
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


def as_tensors(arguments, size):
    """Arrays; those of integers in float64."""
    arrays = [np.asarray(a) for a in arguments]
    return [a.astype(np.float64) if a.dtype.kind in "biu" else a for a in arrays]


def rows_computed(function, arrays, dtype):
    """The function of arrays whose rows lie last, in this dtype; halves compute in float32."""
    working = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    with np.errstate(all="ignore"):
        result = np.atleast_1d(function(*(a.astype(working, copy=False) for a in arrays)))
    batch = np.broadcast_shapes(*(a.shape[:-1] for a in arrays))
    return np.broadcast_to(result.astype(dtype), (*batch, result.shape[-1])).copy()


def common_dtype(arrays):
    """Integers and plain numbers compute in float64."""
    dtypes = [x.dtype for x in arrays]
    if len(dtypes) == 1 and dtypes[0].kind == "f" and dtypes[0].isnative:
        return dtypes[0]
    if any(dtype.kind in "biu" for dtype in dtypes):
        return np.dtype(np.float64)
    if {dtype.name for dtype in dtypes} == {"float16", "bfloat16"}:  # neither holds the other
        return np.dtype(np.float32)
    return np.result_type(*dtypes).newbyteorder("=")
