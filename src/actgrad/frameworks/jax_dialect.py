"""How JAX is written."""

from __future__ import annotations

from dataclasses import replace

from actgrad.codegen import lower
from actgrad.codegen.dialect import Dialect, as_template, functions, printed
from actgrad.frameworks import arrays, rows
from actgrad.language.decomposed import without

TABLE: dict[str, str] = {
    **arrays.table("jnp"),
    **functions("jax.nn", "sigmoid softplus"),
    **functions("jax.lax", "erf erfc"),
    **functions("jnp", "mod=fmod select=where"),  # `fmod` is the same, of sizes
    "i0e": "jax.scipy.special.i0e({0})",
    "gather": "_entries({0}, {1})",
}

ROWS: dict[str, str] = {
    **arrays.rows("jnp"),
    "order": "jnp.argsort({0}, -1).astype({like}.dtype)",  # stable
}
_ROW_HELPERS = {
    **arrays.row_helpers("jnp"),
    "_place": """
def _place(x, size, at):
    x = jnp.atleast_1d(x)
    return jnp.zeros((*x.shape[:-1], size), x.dtype).at[..., at].set(x)
""",
}

LACKS: dict[str, lower.Rule] = {**without("i0e"), **lower.XLA, "add": lower.plus_zero}


_READ, _, _LOOKUP = printed(__package__, "jax_gather.py").rpartition("\n\n\n")
_BINDING = as_template(printed(__package__, "jax_binding.py"))

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

_ENTRY = '''


def {name}({signature}):
    """{doc}"""
    arguments = {arguments}
    dtype = jnp.result_type(arguments[0], 1.0)
    return _rule(*(jnp.asarray(a, dtype) for a in arguments))


def _value(*arguments):
    return spread({value}(*widen(arguments)), arguments)


_GRADIENTS = {gradients}
'''
_SLOPES = _ENTRY + "_rule = with_slopes(_value, _GRADIENTS.__getitem__, {size})\n"
_WHOLE = _ENTRY + "_rule = in_reverse(_value, _GRADIENTS.__getitem__, {size})\n"

# Reverse mode alone: what a branch that is not taken makes infinite would come back as nan from a tangent
# that JAX transposes.
_ROWS = (
    f"\n\n\n{rows.common()}"
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


def _value(*arguments):
    return spread_rows({value}(*widen(arguments)), arguments)


_GRADIENTS = {gradients}
_rule = in_reverse(_value, _GRADIENTS.__getitem__, {size}, spread_rows)
'''
)

_FLOAT32 = Dialect(
    "jax",
    "import functools\nimport operator\n\nimport jax\nimport jax.numpy as jnp\n"
    "from jax.custom_derivatives import SymbolicZero",
    TABLE,
    typed="jnp.array({0}, {like}.dtype)",
    lacks=LACKS,
    helpers={"np": "import numpy as np", "_entries": _READ} | _ROW_HELPERS,
    rows=ROWS,
    vector="jnp.asarray({0}, {like}.dtype)",
    passes=(lower.exact_quotients, lower.share_exponentials),
    tables=_TABLES,
    row_binding=_BINDING + _ROWS,
    binding=_BINDING + _SLOPES,
)

_FLOAT64 = replace(_FLOAT32, lacks=LACKS | lower.XLA_IN_FLOAT64)
DIALECT = replace(_FLOAT32, variants=(("{like}.dtype == jnp.float64", _FLOAT64),))

WHOLE_GRADIENT = replace(DIALECT, binding=_BINDING + _WHOLE)
