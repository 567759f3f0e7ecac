"""How TensorFlow is written: eager and in graphs, and for XLA."""

from __future__ import annotations

from dataclasses import replace

from actgrad.codegen import lower
from actgrad.codegen.dialect import Dialect

TABLE: dict[str, str] = {
    "neg": "-{0}",
    "abs": "tf.abs({0})",
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "mod": "tf.math.floormod({0}, {1})",  # of sizes; with signs it loses small numbers
    "pow": "({0} ** {1})",
    "floor": "tf.floor({0})",
    "ceil": "tf.math.ceil({0})",
    "round": "tf.round({0})",
    "sqrt": "tf.sqrt({0})",
    "exp": "tf.exp({0})",
    "expm1": "tf.math.expm1({0})",
    "log": "tf.math.log({0})",
    "log1p": "tf.math.log1p({0})",
    "sin": "tf.sin({0})",
    "cos": "tf.cos({0})",
    "tan": "tf.tan({0})",
    "asin": "tf.asin({0})",
    "acos": "tf.acos({0})",
    "atan": "tf.atan({0})",
    "atan2": "tf.atan2({0}, {1})",
    "tanh": "tf.tanh({0})",
    "asinh": "tf.asinh({0})",
    "acosh": "tf.acosh({0})",
    "atanh": "tf.atanh({0})",
    "sigmoid": "tf.sigmoid({0})",
    "softplus": "tf.math.softplus({0})",
    "erf": "tf.math.erf({0})",
    "erfc": "tf.math.erfc({0})",
    "lt": "({0} < {1})",
    "le": "({0} <= {1})",
    "eq": "tf.equal({0}, {1})",
    "and": "tf.logical_and({0}, {1})",
    "or": "tf.logical_or({0}, {1})",
    "not": "tf.logical_not({0})",
    "select": "tf.where({0}, {1}, {2})",
    "gather": "tf.gather({0}, tf.cast({1}, tf.int32))",
    "given": "{0}",
    "host": "_host",
}

LACKS = {
    "mod": lower.mod,
    "floordiv": lower.floordiv,
    "hypot": lower.hypot,
    "copysign": lower.copysign,
    "trunc": lower.trunc,
    "cbrt": lower.cbrt,
    "exp2": lower.exp2,
    "log2": lower.log2,
    "log10": lower.log10,
    "sinh": lower.sinh,
    "cosh": lower.cosh,
    "erfc": lower.erfc(2.0**8),
}
LACKS_IN_FLOAT64 = LACKS | {
    "log1p": lower.log1p,
    "atanh": lower.atanh,
    "erf": lower.erf_far_out,
    "erfc": lower.erfc(2.0**21),
}

_FLOAT32 = Dialect(
    "tensorflow",
    "import tensorflow as tf",
    TABLE,
    typed="tf.constant({0}, {like}.dtype)",
    lacks=LACKS,
    helpers={"np": "import numpy as np"},
    vector="tf.constant({0}, {like}.dtype)",
    step="tf.cast({0}, {like}.dtype)",
    # Eager TensorFlow keeps scalars by their Python value, to which -0.0 and 0.0 are one.
    # (a symbolic tensor cannot be iterated over)
    entries="*({0} if isinstance({0}, (list, tuple)) else tf.unstack({0}))",
    minus_zero="(-tf.constant(0.0, {like}.dtype))",
    typed_in_calls=True,
    binding='''
def {name}({signature}):
    """{doc}"""
    first, *others = {arguments}
    first = tf.convert_to_tensor(first)
    return _rule(first, *(tf.convert_to_tensor(a, first.dtype) for a in others))


@tf.custom_gradient
def _rule(*arguments):
    dtype = arguments[0].dtype
    inputs, parameters = arguments[:{size}], arguments[{size}:]

    def gradient(upstream):
        rules = {gradients}
        gradients = [_wide(g, *inputs, upstream, *parameters) for g in rules]
        return [_sum_to(tf.cast(g, dtype), a) for g, a in zip(gradients, arguments)]

    return tf.cast(_wide({value}, *arguments), dtype), gradient


def _wide(function, *tensors):
    """Half types compute in float32 inside."""
    half = tensors[0].dtype in (tf.float16, tf.bfloat16)
    return function(*(tf.cast(t, tf.float32) if half else t for t in tensors))


def _sum_to(gradient, tensor):
    """Add up the gradient over the dimensions in which the tensor was broadcast."""
    shape = tf.shape(tensor)
    gradient = tf.broadcast_to(gradient, tf.broadcast_dynamic_shape(shape, tf.shape(gradient)))
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=shape, s1=tf.shape(gradient))
    return tf.reshape(tf.reduce_sum(gradient, axes), shape)
''',
)


def _with_float64(dialect: Dialect) -> Dialect:
    float64 = replace(dialect, lacks={**dialect.lacks, **LACKS_IN_FLOAT64})
    return replace(dialect, variants=(("{like}.dtype == tf.float64", float64),))


DIALECT = _with_float64(_FLOAT32)

COMPILED_DIALECT = _with_float64(
    replace(
        _FLOAT32,
        lacks=LACKS | {"add": lower.plus_zero, "softplus": lower.softplus},
        passes=(lower.share_exponentials,),
    )
)

_RAW = {
    "neg": "Neg(x={0})",
    "abs": "Abs(x={0})",
    "add": "AddV2(x={0}, y={1})",
    "sub": "Sub(x={0}, y={1})",
    "mul": "Mul(x={0}, y={1})",
    "div": "RealDiv(x={0}, y={1})",
    "floor": "Floor(x={0})",
    "ceil": "Ceil(x={0})",
    "sqrt": "Sqrt(x={0})",
    "exp": "Exp(x={0})",
    "log": "Log(x={0})",
    "tanh": "Tanh(x={0})",
    "sigmoid": "Sigmoid(x={0})",
    "lt": "Less(x={0}, y={1})",
    "le": "LessEqual(x={0}, y={1})",
    "eq": "Equal(x={0}, y={1})",
    "and": "LogicalAnd(x={0}, y={1})",
    "or": "LogicalOr(x={0}, y={1})",
    "not": "LogicalNot(x={0})",
    "select": "SelectV2(condition={0}, t={1}, e={2})",
}
# What `tf.floor` and the operators come to: for a small eager call they cost more than the operation.
EAGER_DIALECT = _with_float64(
    replace(
        _FLOAT32,
        table=TABLE | {op: f"(tf.raw_ops.{call})" for op, call in _RAW.items()},
        step="tf.raw_ops.Cast(x={0}, DstT={like}.dtype)",
    )
)
