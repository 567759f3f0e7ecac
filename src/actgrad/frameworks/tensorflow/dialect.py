"""How TensorFlow is written: eager, and in graphs, which XLA may compile."""

from __future__ import annotations

from dataclasses import replace

from actgrad.codegen import lower
from actgrad.codegen.dialect import OPERATORS, Dialect, as_template, functions, printed
from actgrad.frameworks.entries import ENTRY, ROW_VIEWS, TABLES, joined, row_entry
from actgrad.language.decomposed import DECOMPOSITIONS, without

TABLE: dict[str, str] = {
    **OPERATORS,
    **functions(
        "tf",
        "abs floor round sqrt exp sin cos tan asin acos atan atan2 tanh asinh acosh atanh sigmoid",
    ),
    **functions("tf.math", "ceil expm1 log log1p softplus erf erfc lgamma ndtri i0e=bessel_i0e"),
    **functions("tf", "select=where eq=equal and=logical_and or=logical_or not=logical_not"),
    **functions("tf.math", "mod=floormod"),  # of sizes; with signs it loses small numbers
    "gather": "tf.gather({0}, tf.cast({1}, tf.int32))",
}

ROWS: dict[str, str] = {
    "sum": "tf.reduce_sum({0}, -1, keepdims=True)",
    "max": "tf.reduce_max({0}, -1, keepdims=True)",
    "prod": "tf.reduce_prod({0}, -1, keepdims=True)",
    "cumsum": "tf.cumsum({0}, -1)",
    "flip": "tf.reverse({0}, [-1])",
    "order": "tf.cast(_order({0}), {like}.dtype)",
    "take": "_take({0}, {1})",
    "slice": "{0}[..., {part}]",
    "place": "_place({0}, {n}, {start}, {stop}, {step})",
    "concat": "_concat({all})",
    "fill": "({0} * tf.ones([{n}], {like}.dtype))",
    "length": "tf.cast({n}, {like}.dtype)",
    "position": "tf.cast(tf.range({n}), {like}.dtype)",
}
_ROW_HELPERS = {
    "_length": """
def _length(x):
    return tf.shape(x)[-1] if x.shape[-1] is None else x.shape[-1]
""",
    "_rows": """
def _rows(*parts):
    # Of one shape, but for the last axis.
    parts = [part if part.shape.rank else part[None] for part in parts]
    batch = tf.shape(parts[0])[:-1]
    static = parts[0].shape[:-1]
    if all(p.shape[:-1].is_fully_defined() and p.shape[:-1] == static for p in parts):
        return parts
    for part in parts[1:]:
        batch = tf.broadcast_dynamic_shape(batch, tf.shape(part)[:-1])
        static = tf.broadcast_static_shape(static, part.shape[:-1])
    spread = [tf.broadcast_to(p, tf.concat([batch, tf.shape(p)[-1:]], 0)) for p in parts]
    for part, row in zip(parts, spread):
        row.set_shape(static.concatenate(part.shape[-1:]))
    return spread
""",
    "_order": """
def _order(x):
    # argsort leaves open where nan goes; NumPy has it last
    x = tf.where(tf.math.is_nan(x), tf.constant(float("inf"), x.dtype), x)
    return tf.argsort(x, -1, stable=True)
""",
    "_take": """
def _take(x, order):
    x, order = _rows(x, order)
    return tf.gather(x, tf.cast(order, tf.int32), axis=-1, batch_dims=x.shape.rank - 1)
""",
    "_place": """
def _place(x, size, start, stop, step):
    x = x if x.shape.rank else x[None]
    shape = tf.concat([tf.shape(x)[:-1], [size]], 0)
    out = tf.raw_ops.StridedSliceGrad(
        shape=shape,
        begin=tf.stack([0, start]),
        end=tf.stack([0, stop]),
        strides=[1, step],
        dy=x,
        ellipsis_mask=1,
    )
    out.set_shape(x.shape[:-1].concatenate(tf.get_static_value(size)))
    return out
""",
    "_concat": """
def _concat(*parts):
    return tf.concat(_rows(*parts), -1)
""",
}

LACKS: dict[str, lower.Rule] = {
    **without("lgamma", "ndtri", "i0e"),
    **lower.XLA,
    "hypot": lower.hypot,
    "copysign": lower.copysign,
    "trunc": lower.trunc,
    "cbrt": lower.cbrt,
}
LACKS_IN_FLOAT64 = LACKS | lower.XLA_IN_FLOAT64 | {"erf": lower.erf_far_out}


_BINDING = as_template(printed(__package__, "binding.py"))

_RULE = """
_rule = Rule(
    {kernel},
    [
{kernels}
    ],
    {size},
    {long},
)
"""

_EAGER = Dialect(
    "tensorflow",
    "import threading\nimport warnings\n\nimport tensorflow as tf",
    TABLE,
    typed="tf.constant({0}, {like}.dtype)",
    step="tf.cast({0}, {like}.dtype)",
    lacks=LACKS,
    helpers={"np": "import numpy as np"} | _ROW_HELPERS,
    rows=ROWS,
    row_length="_length({like})",
    vector="tf.constant({0}, {like}.dtype)",
    # Eager TensorFlow keeps scalars by their Python value, to which -0.0 and 0.0 are one.
    # (a symbolic tensor cannot be iterated over)
    entries="*({0} if isinstance({0}, (list, tuple)) else tf.unstack({0}))",
    minus_zero="(-tf.constant(0.0, {like}.dtype))",
    typed_first=True,
    keeps_code=True,
    binding=joined(_BINDING, _RULE, ENTRY),
    row_binding=joined(_BINDING, ROW_VIEWS, _RULE, row_entry("Views")),
    tables=joined(printed(__package__, "gather.py"), TABLES),
)
_GRAPH = replace(
    _EAGER,
    lacks=LACKS | DECOMPOSITIONS | {"add": lower.plus_zero},
    passes=(lower.exact_quotients, lower.share_exponentials),
)


def _with_float64(dialect: Dialect) -> Dialect:
    float64 = replace(dialect, variants=(), lacks={**dialect.lacks, **LACKS_IN_FLOAT64})
    return replace(dialect, variants=(*dialect.variants, ("{like}.dtype == tf.float64", float64)))


# In a graph it is not known whether XLA compiles it, so its text suits both.
DIALECT = _with_float64(
    replace(_EAGER, variants=(("not tf.executing_eagerly()", _with_float64(_GRAPH)),))
)
