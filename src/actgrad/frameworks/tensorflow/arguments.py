"""The arguments of an activation, as tensors; what is not taken is refused with the way out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from actgrad.errors import CallError, DtypeError
from actgrad.frameworks.dtypes import FLOATS, HALVES, way_out
from actgrad.language.program import Program
from actgrad.reading.signature import is_number


def working(dtype: tf.DType) -> tf.DType:
    """The dtype in which tensors of this one are computed."""
    return tf.float32 if dtype.name in HALVES else dtype


def common_dtype(program: Program, inputs: Sequence[object]) -> tf.DType:
    """That of the tensors among the inputs, which arrays and numbers take."""
    given = [getattr(x, "dtype", None) for x in inputs if not _is_array(x)]
    dtypes = {tf.as_dtype(dtype) for dtype in given if dtype is not None}
    for dtype in dtypes:
        if dtype.name not in FLOATS:
            parts = "tf.math.real(z), tf.math.imag(z)"
            join = f"tf.complex(re({parts}), im({parts}))"
            raise DtypeError(
                f"{program.name!r} got a tensor of dtype {dtype.name}; it takes {', '.join(FLOATS)}\n"
                f"  {way_out(dtype.name, 'tf.cast(x, tf.float32)', join)}"
            )
    if dtypes == {tf.float16, tf.bfloat16}:  # neither holds the other
        return tf.float32
    return tf.as_dtype(np.result_type(*(dtype.as_numpy_dtype for dtype in dtypes)))


def as_tensors(program: Program, inputs: Sequence[object], dtype: tf.DType) -> list[tf.Tensor]:
    def tensor(x: object) -> tf.Tensor:
        if not hasattr(x, "dtype"):
            return tf.convert_to_tensor(x, dtype)
        return tf.convert_to_tensor(np.asarray(x, dtype.as_numpy_dtype) if _is_array(x) else x)

    try:
        return [tf.cast(tensor(x), dtype) for x in inputs]
    except (TypeError, ValueError) as error:
        kinds = ", ".join(type(x).__name__ for x in inputs)
        raise CallError(
            f"{program.name!r} takes dense tensors of real numbers, and got ({kinds}): {error!s:.200}\n"
            f"  A sparse tensor has to be made dense first: `tf.sparse.to_dense(x)`."
        ) from error


def _is_array(x: object) -> bool:
    return isinstance(x, (np.ndarray, np.generic))


def is_plain(value: object) -> bool:
    """Whether a parameter is a number of Python or NumPy, whose gradient nobody can ask for."""
    parts = tf.nest.flatten(value) if isinstance(value, (list, tuple)) else ()
    return is_number(value) and not any(map(tf.is_tensor, parts))


def parameter(program: Program, name: str, value: object, dtype: tf.DType) -> tf.Tensor:
    """The parameter as a tensor of this dtype."""
    if is_plain(value):
        # In its dtype from the start, so that no float64 comes into a graph.
        return tf.constant(np.asarray(value, dtype.as_numpy_dtype))
    try:
        tensor = tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        tensor = None
    if tensor is None or not (tensor.dtype.is_floating or tensor.dtype.is_integer):
        raise CallError(
            f"the parameter {name!r} of {program.name!r} must be a number or a tensor of real numbers, "
            f"and is {value!r}"
        )
    return tf.cast(tensor, dtype)
