"""How JAX is written."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

from actgrad.codegen import lower
from actgrad.codegen.dialect import Dialect
from actgrad.frameworks import rows
from actgrad.language.decomposed import without

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
    "gather": "_entries({0}, {1})",
    "given": "{0}",
    "host": "_host",
}

ROWS: dict[str, str] = {
    "sum": "jnp.sum({0}, -1, keepdims=True)",
    "max": "jnp.max({0}, -1, keepdims=True)",
    "prod": "jnp.prod({0}, -1, keepdims=True)",
    "cumsum": "jnp.cumsum({0}, -1)",
    "flip": "jnp.flip({0}, -1)",
    "order": "jnp.argsort({0}, -1).astype({like}.dtype)",  # stable
    "take": "_take({0}, {1})",
    "slice": "{0}[..., {part}]",
    "place": "_place({0}, {n}, slice({start}, {stop}, {step}))",
    "concat": "_concat({all})",
    "fill": "({0} * jnp.ones({n}, {like}.dtype))",
    "length": "jnp.array({n}, {like}.dtype)",
    "position": "jnp.arange({n}, dtype={like}.dtype)",
}
_ROW_HELPERS = {
    "_take": """
def _take(x, order):
    x, order = jnp.atleast_1d(x), jnp.atleast_1d(order)
    batch = jnp.broadcast_shapes(x.shape[:-1], order.shape[:-1])
    x, order = (jnp.broadcast_to(a, (*batch, a.shape[-1])) for a in (x, order))
    return jnp.take_along_axis(x, order.astype(int), -1)
""",
    "_place": """
def _place(x, size, at):
    x = jnp.atleast_1d(x)
    return jnp.zeros((*x.shape[:-1], size), x.dtype).at[..., at].set(x)
""",
    "_concat": """
def _concat(*parts):
    parts = [jnp.atleast_1d(part) for part in parts]
    batch = jnp.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return jnp.concatenate([jnp.broadcast_to(p, (*batch, p.shape[-1])) for p in parts], -1)
""",
}

_ENTRY = '''
def {name}({signature}):
    """{doc}"""
    arguments = {arguments}
    dtype = jnp.result_type(arguments[0], 1.0)
    return _rule(*(jnp.asarray(a, dtype) for a in arguments))

'''

_WIDE = '''
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

LACKS: dict[str, lower.Rule] = {**without("i0e"), **lower.XLA, "add": lower.plus_zero}


_READ, _, _LOOKUP = (
    resources.files(__package__)
    .joinpath("jax_gather.py")
    .read_text("utf-8")
    .partition("import jax.numpy as jnp\n")[2]
    .strip()
    .rpartition("\n\n\n")
)

_TABLES = (
    _LOOKUP
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

# `SPREAD` is a gradient `g` in the shape of the value.
_REVERSE = '''
def _forward(*arguments):
    return _rule(*arguments), arguments


def _backward(arguments, upstream):
    inputs, parameters = arguments[:{size}], arguments[{size}:]
    rules = {gradients}
    gradients = [_wide(g, *inputs, upstream, *parameters) for g in rules]
    whole = [SPREAD for g in gradients]
    return tuple(_sum_to(g, a) for g, a in zip(whole, arguments))


_rule.defvjp(_forward, _backward)


def _sum_to(gradient, array):
    """Add up the gradient over the dimensions in which the array was broadcast."""
    new = gradient.ndim - array.ndim
    wide = [new + i for i, n in enumerate(array.shape) if n == 1 < gradient.shape[new + i]]
    return gradient.sum((*range(new), *wide)).reshape(array.shape).astype(array.dtype)
'''
# Reverse mode alone: what a branch that is not taken makes infinite would come back as nan from a tangent
# that JAX transposes.
_ROW_BINDING = (
    rows.common()
    + '''
def {name}({signature}, axis={axis}):
    """{doc}"""
    return _of_rows({arguments}, axis)


def _of_rows(arguments, axis):
    dtype = jnp.result_type(arguments[0], 1.0)
    arrays = [jnp.asarray(a, dtype) for a in arguments]
    numbers = [a.reshape(()) for a in arrays[{size}:]]

    def rule(*rows):
        return _rule(*rows, *numbers)

    return along_axis(arrays[:{size}], axis, {squeezes}, jnp, row_length, rule)

'''
    + _WIDE
    + '''
@jax.custom_vjp
def _rule(*arguments):
    return _spread(_wide({value}, *arguments), arguments).astype(arguments[0].dtype)


def _spread(rows, arguments):
    """In the shape of all arguments but for the last axis, along which the rows lie."""
    rows = jnp.atleast_1d(rows)
    batch = jnp.broadcast_shapes(*(a.shape[:-1] for a in arguments))
    return jnp.broadcast_to(rows, (*batch, rows.shape[-1]))

'''
    + _REVERSE.replace("SPREAD", "_spread(g, arguments)")
)

_FLOAT32 = Dialect(
    "jax",
    "import jax\nimport jax.numpy as jnp",
    TABLE,
    typed="jnp.array({0}, {like}.dtype)",
    lacks=LACKS,
    helpers={"np": "import numpy as np", "_entries": _READ} | _ROW_HELPERS,
    rows=ROWS,
    vector="jnp.asarray({0}, {like}.dtype)",
    passes=(lower.exact_quotients, lower.share_exponentials),
    tables=_TABLES,
    row_binding=_ROW_BINDING,
    binding=_ENTRY
    + _WIDE
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

_FLOAT64 = replace(_FLOAT32, lacks=LACKS | lower.XLA_IN_FLOAT64)
DIALECT = replace(_FLOAT32, variants=(("{like}.dtype == jnp.float64", _FLOAT64),))

WHOLE_GRADIENT = replace(
    DIALECT,
    binding=_ENTRY
    + _WIDE
    + """
@jax.custom_vjp
"""
    + _VALUE
    + _REVERSE.replace("SPREAD", "jnp.broadcast_to(g, upstream.shape)"),
)
