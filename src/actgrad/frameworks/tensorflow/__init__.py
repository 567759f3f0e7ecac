"""TensorFlow: native operations with the derivative in force, eager, in graphs, under XLA.

`binding` joins a value and its gradients by `tf.custom_gradient`, at run time and in a stand-alone file
alike; `rule` follows a program with it to any order. The modules that need TensorFlow are imported when
a tensor comes, so that `source` needs none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from actgrad.codegen.standalone import standalone
from actgrad.errors import CallError, DtypeError
from actgrad.frameworks.dtypes import way_out
from actgrad.frameworks.lookups import call_with_tables
from actgrad.frameworks.parameters import native_values
from actgrad.frameworks.tensorflow.dialect import DIALECT
from actgrad.language.program import Program
from actgrad.reading.signature import is_number

FLOATS = ("float16", "bfloat16", "float32", "float64")
HALVES = ("float16", "bfloat16")


def call(program: Program, inputs: tuple[Any, ...], parameters: Mapping[str, Any]) -> Any:
    """The activation of tensors, in their dtype."""
    import tensorflow as tf

    if program.tables:
        from actgrad.frameworks.tensorflow.gather import lookup

        return call_with_tables(program, inputs, parameters, call, _still, lookup)
    eager = tf.executing_eagerly()
    if (
        eager
        and program.axis is None
        and not parameters
        and all(isinstance(x, tf.Tensor) for x in inputs)
    ):
        dtype = inputs[0].dtype
        if dtype.name in FLOATS and all(x.dtype == dtype for x in inputs[1:]):
            rule, numbers = _of_defaults(program, dtype.name)
            return rule(*inputs, *numbers)
    if any(isinstance(x, tf.RaggedTensor) for x in inputs):
        return tf.ragged.map_flat_values(lambda *flat: call(program, flat, parameters), *inputs)
    tensors, dtype = _tensors(program, inputs)
    plain: set[str] = set()
    for name, default in program.parameters:
        value = parameters.get(name, default)
        tensors.append(_parameter(program, name, value, _working(dtype)))
        if is_number(value) and not any(map(tf.is_tensor, tf.nest.flatten(value))):
            plain.add(name)
    from actgrad.frameworks.tensorflow.rule import along_axis, rule_for

    def run() -> Any:
        if program.axis is not None:
            return along_axis(program, tensors, plain, parameters.get("axis"))
        return rule_for(program, dtype.name, frozenset(plain))(*tensors)

    if eager:
        return run()
    with tf.name_scope(_scope(program.name)):
        return run()


def _still(x: Any) -> Any:
    import tensorflow as tf

    if not tf.is_tensor(x):
        return x
    x = tf.stop_gradient(x)
    return tf.cast(x, tf.float32) if x.dtype.name in HALVES else x


@lru_cache(maxsize=256)
def _of_defaults(program: Program, dtype: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The rule of an eager call without parameters, and the parameters' own values."""
    import tensorflow as tf

    from actgrad.frameworks.tensorflow.rule import rule_for

    working = _working(tf.as_dtype(dtype))
    numbers = tuple(_parameter(program, name, value, working) for name, value in program.parameters)
    return rule_for(program, dtype, frozenset(dict(program.parameters))), numbers


def _working(dtype: Any) -> Any:
    """The dtype in which tensors of this one are computed."""
    import tensorflow as tf

    return tf.float32 if dtype.name in HALVES else dtype


def _tensors(program: Program, inputs: tuple[Any, ...]) -> tuple[list[Any], Any]:
    """The inputs as tensors of one floating dtype: that of the tensors, which arrays and numbers take."""
    import tensorflow as tf

    dtypes = {tf.as_dtype(x.dtype) for x in inputs if hasattr(x, "dtype") and not _is_array(x)}
    for dtype in dtypes:
        if dtype.name not in FLOATS:
            parts = "tf.math.real(z), tf.math.imag(z)"
            cure = way_out(
                dtype.name, "tf.cast(x, tf.float32)", f"tf.complex(re({parts}), im({parts}))"
            )
            raise DtypeError(
                f"{program.name!r} got a tensor of dtype {dtype.name}; it takes {', '.join(FLOATS)}\n"
                f"  {cure}"
            )
    if dtypes == {tf.float16, tf.bfloat16}:  # neither holds the other
        dtypes = {tf.float32}
    dtype = tf.as_dtype(np.result_type(*(dtype.as_numpy_dtype for dtype in dtypes)))
    try:
        tensors = [
            tf.convert_to_tensor(np.asarray(x, dtype.as_numpy_dtype) if _is_array(x) else x)
            if hasattr(x, "dtype")
            else tf.convert_to_tensor(x, dtype)
            for x in inputs
        ]
        return [tf.cast(tensor, dtype) for tensor in tensors], dtype
    except (TypeError, ValueError) as error:
        kinds = ", ".join(type(x).__name__ for x in inputs)
        raise CallError(
            f"{program.name!r} takes dense tensors of real numbers, and got ({kinds}): {error!s:.200}\n"
            f"  A sparse tensor has to be made dense first: `tf.sparse.to_dense(x)`."
        ) from error


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic))


def _parameter(program: Program, name: str, value: Any, dtype: Any) -> Any:
    """The parameter as a tensor of this dtype."""
    import tensorflow as tf

    if is_number(value) and not any(map(tf.is_tensor, tf.nest.flatten(value))):
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


@lru_cache(maxsize=1024)
def _scope(name: str) -> str:
    """The name as TensorFlow allows one in a graph."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip("_-") or "activation"


def native(program: Program) -> Callable[..., Any]:
    """The activation as a function of tensors: inputs by position, parameters by keyword."""
    import tensorflow as tf

    @tf.autograph.experimental.do_not_convert
    def function(*inputs: Any, **parameters: Any) -> Any:
        return call(program, inputs, native_values(program, inputs, parameters))

    return function


def source(program: Program) -> str:
    """A file that stands alone: the kernels, and `binding.py`, which joins them."""
    return standalone(program, DIALECT)
