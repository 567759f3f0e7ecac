"""How PyTorch is written: eager, compiled, and exported to ONNX."""

from __future__ import annotations

from dataclasses import replace

from actgrad.codegen import lower
from actgrad.codegen.dialect import Dialect, as_template, functions, printed
from actgrad.frameworks.entries import ENTRY, ROW_VIEWS, TABLES, joined, row_entry
from actgrad.language.decomposed import DECOMPOSITIONS, without

_ALIKE = (
    "abs floor ceil trunc round sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan "
    "sinh cosh tanh asinh acosh atanh sigmoid erf erfc lgamma pow hypot copysign atan2 mod=fmod"
)

# Constants beside a tensor are plain numbers in operators and in `where` (whose parentheses mark it as
# one), and tensors elsewhere.
TABLE: dict[str, str] = {
    **functions("torch", _ALIKE),
    **functions("torch.special", "ndtri i0e"),
    "neg": "-{0}",
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "softplus": "torch.logaddexp({0}, {like}.new_zeros(()))",
    "lt": "({0} < {1})",
    "le": "({0} <= {1})",
    "eq": "({0} == {1})",
    "and": "({0} & {1})",
    "or": "({0} | {1})",
    "not": "torch.logical_not({0})",
    "select": "(torch.where({0}, {1}, {2}))",
    "gather": "{0}[{1}.long()]",
    "given": "{0}",
    "host": "_host",
}

ROWS: dict[str, str] = {
    "sum": "torch.sum({0}, -1, keepdim=True)",
    "max": "torch.amax({0}, -1, keepdim=True)",
    "prod": "torch.prod({0}, -1, keepdim=True)",
    "cumsum": "torch.cumsum({0}, -1)",
    "flip": "torch.flip({0}, (-1,))",
    "order": "torch.argsort({0}, dim=-1, stable=True).to({like}.dtype)",
    "inverse": "_inverse({0})",
    "take": "_take({0}, {1})",
    "slice": "{0}[..., {part}]",
    "place": "_place({0}, {n}, {start}, {stop}, {step})",
    "concat": "_concat({all})",
    "fill": "({0} * {like}.new_ones(({n},)))",
    "length": "{like}.new_full((), {n})",
    "position": "torch.arange({n}, dtype={like}.dtype, device={like}.device)",
}
_ROW_HELPERS = {
    "_inverse": """
def _inverse(order):
    # Of a permutation, what sorts it: a scatter takes a thirtieth of a sort's time.
    places = torch.arange(order.shape[-1], dtype=order.dtype, device=order.device)
    return torch.zeros_like(order).scatter(-1, order.long(), places.expand_as(order))
""",
    "_take": """
def _take(x, order):
    x, order = torch.atleast_1d(x), torch.atleast_1d(order)
    batch = torch.broadcast_shapes(x.shape[:-1], order.shape[:-1])
    x, order = (a.expand(*batch, a.shape[-1]) for a in (x, order))
    return torch.gather(x, -1, order.long())
""",
    "_place": """
def _place(x, size, start, stop, step):
    x = torch.atleast_1d(x)
    return torch.slice_scatter(x.new_zeros((*x.shape[:-1], size)), x, -1, start, stop, step)
""",
    "_concat": """
def _concat(*parts):
    parts = [torch.atleast_1d(part) for part in parts]
    batch = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return torch.cat([part.expand(*batch, part.shape[-1]) for part in parts], -1)
""",
}

_IMPORTS = "import inspect\nimport types\n\nimport torch\nfrom torch.autograd import forward_ad"
_RULE = as_template(printed(__package__, "binding.py"))
_KERNEL = """
_GRADIENTS = {gradients}
_TANGENTS = %s
_KERNEL = Kernel({value}, {size}, _GRADIENTS, _TANGENTS%s)


def _rule(*tensors):
    return _KERNEL.apply(tensors[0].dtype, tensors)
"""
_BY_GRADIENTS = "(None,) * {reverse_only} + _GRADIENTS[{reverse_only}:]"

LACKS: dict[str, lower.Rule] = {
    **without("lgamma", "ndtri", "i0e"),
    "mod": lower.mod,
    "floordiv": lower.floordiv,
    "cbrt": lower.cbrt,
}

_EAGER = Dialect(
    "torch",
    _IMPORTS,
    TABLE,
    typed="{like}.new_full((), {0})",
    lacks=LACKS,
    helpers={"np": "import numpy as np"} | _ROW_HELPERS,
    rows=ROWS,
    vector="torch.as_tensor({0}, dtype={like}.dtype, device={like}.device)",
    huge="({like}.new_full((), {0} if {like}.dtype.itemsize == 8 else {infinity}))",
    step="{0}.to({like}.dtype)",
    tables=joined(printed(__package__, "gather.py"), TABLES),
    typed_in_calls=True,
    binding=joined(_RULE, _KERNEL % (_BY_GRADIENTS, ""), ENTRY),
    row_binding=joined(
        _RULE, ROW_VIEWS, _KERNEL % ("{tangents}", ", rows=True"), row_entry("torch")
    ),
)

# Inductor's own are wrong near zero on the CPU: expm1(1e-4) by 1e-4, erf(1e-4) by 4e-4 (2.13).
COMPILED_DIALECT = replace(
    _EAGER,
    lacks=LACKS
    | DECOMPOSITIONS
    | {
        "expm1": lower.expm1,
        "atanh": lower.atanh,
        "erf": lower.erf_near_zero,
        "add": lower.plus_zero,
    },
    passes=(lower.share_exponentials,),
)

# ONNX lacks the first two, and is given the others with a constant in float32 (2.13).
_ONNX = replace(
    _EAGER,
    rows=ROWS | {"order": "_order({0}).to({like}.dtype)"},
    helpers=_EAGER.helpers
    | {
        "_order": """
def _order(x):
    # ONNX has no stable sort, and its TopK takes the first of two that are equal first.
    return torch.topk(x, x.shape[-1], -1, largest=False)[1]
"""
    },
    lacks=LACKS
    | DECOMPOSITIONS
    | {
        "hypot": lower.hypot,
        "copysign": lower.copysign,
        "log2": lower.log2,
        "log10": lower.log10,
    },
)

DIALECT = replace(
    _EAGER,
    variants=(
        ("torch.onnx.is_in_onnx_export()", _ONNX),
        ("torch.compiler.is_compiling()", COMPILED_DIALECT),
    ),
)

# torch.onnx rounds numbers to float32, those of `new_full` too, whatever the tensor's dtype (2.13).
ONNX_DIALECT = replace(
    _ONNX,
    typed="torch.tensor({0}, dtype={like}.dtype, device={like}.device)",
    huge="(torch.tensor({0}, dtype={like}.dtype, device={like}.device))",
    typed_everywhere=True,
)
