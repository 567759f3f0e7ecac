"""How JAX is written."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from actgrad.codegen import lower
from actgrad.codegen.dialect import Dialect, as_template, functions, printed
from actgrad.frameworks import arrays
from actgrad.frameworks.entries import ENTRY, ROW_VIEWS, TABLES, joined, row_entry
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
    "inverse": "_inverse({0})",
}
_ROW_HELPERS = {
    **arrays.row_helpers("jnp"),
    "_inverse": """
def _inverse(order):
    # Of a permutation, what sorts it. With a sort the gradient of one took twice the time.
    places = jnp.broadcast_to(jnp.arange(order.shape[-1], dtype=order.dtype), order.shape)
    return jnp.put_along_axis(jnp.zeros_like(order), order.astype(int), places, -1, inplace=False)
""",
    "_place": """
def _place(x, size, at):
    x = jnp.atleast_1d(x)
    return jnp.zeros((*x.shape[:-1], size), x.dtype).at[..., at].set(x)
""",
}

LACKS: dict[str, lower.Rule] = {**without("i0e"), **lower.XLA, "add": lower.plus_zero}


_READ, _DEF, _LOOKUP = printed(__package__, "jax_gather.py").partition("def still")
_BINDING = as_template(printed(__package__, "jax_binding.py"))

_VALUE = """
def _value(*arguments):
    return %s({value}(*widen(arguments)), arguments)


_GRADIENTS = {gradients}
_rule = %s
"""
_NUMBERS = _VALUE % (
    "spread",
    "(in_reverse if {reverse_only} else with_slopes)(_value, _GRADIENTS.__getitem__, {size}, {long})",
)
# Reverse mode alone: what a branch that is not taken makes infinite would come back as nan from a tangent
# that JAX transposes.
_ROWS = _VALUE % (
    "spread_rows",
    "in_reverse(_value, _GRADIENTS.__getitem__, {size}, {long}, spread_rows)",
)

_FLOAT32 = Dialect(
    "jax",
    "import functools\nimport operator\n\nimport jax\nimport jax.numpy as jnp\n"
    "from jax.custom_derivatives import SymbolicZero",
    TABLE,
    typed="jnp.array({0}, {like}.dtype)",
    huge="(jnp.array({0} if {like}.dtype.itemsize == 8 else {infinity}, {like}.dtype))",
    lacks=LACKS,
    helpers={"np": "import numpy as np", "_entries": _READ} | _ROW_HELPERS,
    rows=ROWS,
    vector="jnp.asarray({0}, {like}.dtype)",
    passes=(lower.exact_quotients, partial(lower.share_exponentials, sigmoids=False)),
    tables=joined(_DEF + _LOOKUP, TABLES),
    row_binding=joined(_BINDING, ROW_VIEWS, _ROWS, row_entry("jnp")),
    binding=joined(_BINDING, _NUMBERS, ENTRY),
)

_FLOAT64 = replace(_FLOAT32, lacks=LACKS | lower.XLA_IN_FLOAT64)
DIALECT = replace(_FLOAT32, variants=(("{like}.dtype == jnp.float64", _FLOAT64),))
