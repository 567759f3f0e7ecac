"""An activation of tensors: its arguments, and the rule that it follows."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from functools import lru_cache

import tensorflow as tf

from actgrad.common.types import Fields, Function
from actgrad.frameworks import rows
from actgrad.frameworks.dtypes import FLOATS
from actgrad.frameworks.lookups import call_with_tables
from actgrad.frameworks.tensorflow.arguments import (
    as_tensors,
    common_dtype,
    is_plain,
    parameter,
    working,
)
from actgrad.frameworks.tensorflow.binding import Views
from actgrad.frameworks.tensorflow.gather import lookup, still
from actgrad.frameworks.tensorflow.rule import check_known, rule_for
from actgrad.language.kept import kept
from actgrad.language.program import Program


def call(program: Program, inputs: tuple[object, ...], parameters: Fields) -> tf.Tensor:
    """The activation of tensors, in their dtype."""
    if program.tables:
        return call_with_tables(program, inputs, parameters, call, still, lookup)
    eager = tf.executing_eagerly()
    if eager and program.axis is None and not parameters and isinstance(inputs[0], tf.Tensor):
        dtype = inputs[0].dtype
        if dtype.name in FLOATS and all(
            isinstance(x, tf.Tensor) and x.dtype == dtype for x in inputs[1:]
        ):
            return _of_defaults(program, dtype.name)(*inputs)
    if any(isinstance(x, tf.RaggedTensor) for x in inputs):
        return tf.ragged.map_flat_values(lambda *flat: call(program, flat, parameters), *inputs)
    dtype = common_dtype(program, inputs)
    values = {name: parameters.get(name, default) for name, default in program.parameters}
    tensors = as_tensors(program, inputs, dtype)
    tensors += [parameter(program, name, x, working(dtype)) for name, x in values.items()]
    plain = frozenset(name for name, x in values.items() if is_plain(x))

    def rule(program: Program, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return rule_for(program, dtype.name, plain)(*tensors)

    with contextlib.nullcontext() if eager else tf.name_scope(_scope(program.name)):
        if program.axis is None:
            return rule(program, tensors)
        axis = parameters.get("axis")
        check_known(program, tensors, axis)
        return rows.along_axis(program, tensors, Views, rule, axis)


@kept
def _of_defaults(program: Program, dtype: str) -> Function:
    """The rule of inputs alone, with the parameters' own values."""
    rule = rule_for(program, dtype, frozenset(dict(program.parameters)))
    wide = working(tf.as_dtype(dtype))
    numbers = [parameter(program, name, value, wide) for name, value in program.parameters]
    return (lambda *inputs: rule(*inputs, *numbers)) if numbers else rule


@lru_cache(maxsize=1024)
def _scope(name: str) -> str:
    """The name as TensorFlow allows one in a graph."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip("_-") or "activation"
