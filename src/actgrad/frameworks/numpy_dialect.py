"""How NumPy is written."""

from __future__ import annotations

from dataclasses import replace

from actgrad.codegen import lower
from actgrad.codegen.dialect import Dialect, as_template, functions, printed
from actgrad.frameworks import arrays
from actgrad.frameworks.entries import ENTRY, ROW_VIEWS, TABLES, joined, row_entry
from actgrad.language.decomposed import DECOMPOSITIONS

TABLE: dict[str, str] = {
    **arrays.table("np"),
    **functions("np", "exp2 log2 log10 sinh cosh"),
    "floordiv": "({0} // {1})",
    "mod": "({0} % {1})",
    "erf": "_erf({0})",
    "erfc": "_erfc({0})",
    "select": "_where({0}, {1}, {2})",
    "gather": "np.take({0}, {1}.astype(np.intp)).astype({like}.dtype)",
}

ROWS: dict[str, str] = {
    **arrays.rows("np"),
    "order": 'np.argsort({0}, -1, kind="stable").astype({like}.dtype)',
}

LACKS: dict[str, lower.Rule] = DECOMPOSITIONS | {
    "sigmoid": lower.sigmoid,
    "softplus": lower.softplus,
}

_HELPERS = {
    name: f"""
try:
    from scipy.special import {name} as _{name}
except ImportError:  # exact too, one number at a time
    import math

    def _{name}(x):
        return np.vectorize(math.{name}, otypes=[x.dtype])(x)
"""
    for name in ("erf", "erfc")
}
_HELPERS["where"] = """
def _where(condition, a, b):
    # Small; numbers in NumPy 1.26; longdouble.
    if condition.size < 2048 or a.dtype != b.dtype or a.dtype.itemsize > 8:
        return np.where(condition, a, b)
    # np.where waits where it cannot foresee a choice: spiky of 131,072 numbers takes 3.3 times as long.
    words = f"i{a.dtype.itemsize}"
    b = b.view(words)
    return ((a.view(words) ^ b) * condition ^ b).view(a.dtype)
"""
_ROW_HELPERS = {
    **arrays.row_helpers("np"),
    "_place": """
def _place(x, size, at):
    x = np.atleast_1d(x)
    out = np.zeros((*x.shape[:-1], size), x.dtype)
    out[..., at] = x
    return out
""",
}

_BINDING = as_template(printed(__package__, "numpy_binding.py"))

_RULE = """


def _rule(*arrays):
    return %s({value}, arrays, common_dtype(arrays[:{size}]))[()]
"""

_GRADIENT = '''

def {name}_gradient({signature}, {upstream}=1.0):
    """The gradient by each argument, before it is summed over broadcast dimensions."""
    return _gradients({arguments}, {upstream})


def _gradients(arguments, upstream):
    arrays = as_tensors(arguments, {size})
    inputs, parameters = arrays[:{size}], arrays[{size}:]
    arrays, dtype = (*inputs, np.asarray(upstream), *parameters), common_dtype(inputs)
    rules = {gradients}
    return tuple(computed(g, arrays, dtype)[()] for g in rules)
'''

_ROW_GRADIENT = '''

def {name}_gradient({signature}, {upstream}=1.0, axis={axis}):
    """The gradient by each input, before it is summed over broadcast dimensions, and by each parameter."""
    return _gradients({arguments}, {upstream}, axis)


def _gradients(arguments, upstream, axis):
    arrays = as_tensors(arguments, {size})
    inputs, numbers = arrays[:{size}], [a.reshape(()) for a in arrays[{size}:]]
    above = np.broadcast_to(upstream, np.shape(_of_rows(arguments, axis)))
    last = axis - max(x.ndim for x in inputs) if axis >= 0 else axis
    above = above[..., None] if {squeezes} else np.moveaxis(above, last, -1)
    found = []
    for gradient in {gradients}:

        def rule(*rows):
            return rows_computed(gradient, (*rows, above, *numbers), common_dtype(inputs))

        found.append(along_axis(inputs, axis, False, np, row_length, rule))
    return (*found[:{size}], *(by.sum() for by in found[{size}:]))
'''

_TABLE_GRADIENT = '''

def {name}_gradient({signature}, {upstream}=1.0):
    """The gradient by each argument, before it is summed over broadcast dimensions, and by each lookup as
    a table, its index and the gradient by what was read."""
    return _table_gradients({arguments}, {flat}, {lookups}, {upstream})


def _table_gradients(arguments, flat, lookups, upstream):
    quiet = [still(a) for a in as_tensors(flat, {size})]
    places = [(table, _place(each, quiet), nan) for table, nan, *each in lookups]
    read = [lookup(*place) for place in places]
    by_each = {inner}_gradient(*arguments, *read, upstream)
    size = len(by_each) - len(read)
    by_read = [(*place[:2], by) for place, by in zip(places, by_each[size:])]
    return (*by_each[:size], *by_read)
'''

_FLOAT32 = Dialect(
    "numpy",
    "import numpy as np",
    TABLE,
    typed="{like}.dtype.type({0})",
    typed_in_calls=True,
    step="{0}.astype({like}.dtype)",
    lacks=LACKS,
    passes=(lower.let_exp_overflow,),
    helpers={f"_{name}": text for name, text in _HELPERS.items()} | _ROW_HELPERS,
    rows=ROWS,
    binding=joined(_BINDING, _RULE % "computed", ENTRY, _GRADIENT),
    row_binding=joined(
        _BINDING, ROW_VIEWS, _RULE % "rows_computed", row_entry("np", "[()]"), _ROW_GRADIENT
    ),
    tables=joined(printed(__package__, "numpy_gather.py"), TABLES, _TABLE_GRADIENT),
)
_FLOAT64 = replace(_FLOAT32, lacks=LACKS | {"erfc": lower.erfc(2.0**21)})
DIALECT = replace(_FLOAT32, variants=(("{like}.dtype == np.float64", _FLOAT64),))
