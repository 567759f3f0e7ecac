"""PyTorch: native operations with the derivative in force, in every mode: see `torch_rule`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from actgrad.codegen.source import Dialect, standalone
from actgrad.language.program import Program

# Constants beside a tensor are plain numbers in operators and in `where` (whose parentheses mark it as
# one), and tensors elsewhere.
TABLE: dict[str, str] = {
    "neg": "-{0}",
    "abs": "torch.abs({0})",
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "floordiv": "_floordiv({0}, {1})",
    "mod": "_mod({0}, {1})",
    "pow": "torch.pow({0}, {1})",
    "hypot": "_hypot({0}, {1})",
    "copysign": "_copysign({0}, {1})",
    "floor": "torch.floor({0})",
    "ceil": "torch.ceil({0})",
    "trunc": "torch.trunc({0})",
    "round": "torch.round({0})",
    "sqrt": "torch.sqrt({0})",
    "cbrt": "_cbrt({0})",
    "exp": "torch.exp({0})",
    "exp2": "torch.exp2({0})",
    "expm1": "_expm1({0})",
    "log": "torch.log({0})",
    "log2": "_log2({0})",
    "log10": "_log10({0})",
    "log1p": "torch.log1p({0})",
    "sin": "torch.sin({0})",
    "cos": "torch.cos({0})",
    "tan": "torch.tan({0})",
    "asin": "torch.asin({0})",
    "acos": "torch.acos({0})",
    "atan": "torch.atan({0})",
    "atan2": "torch.atan2({0}, {1})",
    "sinh": "torch.sinh({0})",
    "cosh": "torch.cosh({0})",
    "tanh": "torch.tanh({0})",
    "asinh": "torch.asinh({0})",
    "acosh": "torch.acosh({0})",
    "atanh": "_atanh({0})",
    "sigmoid": "torch.sigmoid({0})",
    "softplus": "_softplus({0})",
    "erf": "_erf({0})",
    "erfc": "torch.erfc({0})",
    "lt": "({0} < {1})",
    "le": "({0} <= {1})",
    "eq": "({0} == {1})",
    "and": "({0} & {1})",
    "or": "({0} | {1})",
    "not": "torch.logical_not({0})",
    "select": "(torch.where({0}, {1}, {2}))",
    "given": "{0}",
    "host": "_host",
}

DIALECT = Dialect(
    "torch",
    "import torch",
    TABLE,
    typed="like.new_full((), {0})",
    step="{0}.to(like.dtype)",
    typed_in_calls=True,
    helpers={
        # ONNX is given these with a constant in float32, whatever the dtype (PyTorch 2.13).
        "_log2": """
def _log2(x):
    if not torch.onnx.is_in_onnx_export():
        return torch.log2(x)
    return torch.log(x) / torch.tensor(0.6931471805599453, dtype=x.dtype)
""",
        "_log10": """
def _log10(x):
    if not torch.onnx.is_in_onnx_export():
        return torch.log10(x)
    return torch.log(x) / torch.tensor(2.302585092994046, dtype=x.dtype)
""",
        # ONNX has neither of these two.
        "_hypot": """
def _hypot(x, y):
    if not torch.onnx.is_in_onnx_export():
        return torch.hypot(x, y)
    x, y = torch.abs(x), torch.abs(y)
    large = torch.maximum(x, y)
    ratio = torch.where(large == 0.0, 0.0, torch.minimum(x, y) / large)
    infinite = torch.isinf(x) | torch.isinf(y)
    return torch.where(infinite, float("inf"), large * torch.sqrt(1.0 + ratio * ratio))
""",
        "_copysign": """
def _copysign(x, y):
    if not torch.onnx.is_in_onnx_export():
        return torch.copysign(x, y)
    x = torch.abs(x)
    return torch.where(torch.where(y == 0.0, 1.0 / y, y) < 0.0, -x, x)
""",
        # Inductor's own are wrong near zero on the CPU: expm1(1e-4) by 1e-4, erf(1e-4) by 4e-4 (2.13).
        "_expm1": """
def _expm1(x):
    if torch.compiler.is_compiling():
        return torch.tanh(0.5 * x) * (torch.exp(x) + 1.0)
    return torch.expm1(x)
""",
        "_atanh": """
def _atanh(x):
    if torch.compiler.is_compiling():
        size = torch.abs(x)
        return _copysign(0.5 * torch.log1p(2.0 * size / (1.0 - size)), x)
    return torch.atanh(x)
""",
        "_erf": """
def _erf(x):
    import math

    if not torch.compiler.is_compiling():
        return torch.erf(x)
    y, series = x * x, 0.0
    for n in range(12, -1, -1):
        series = (-1) ** n / (math.factorial(n) * (2 * n + 1)) + series * y
    return torch.where(y < 0.25, 1.1283791670955126 * x * series, torch.erf(x))
""",
        # Inductor would take the floor of the quotient, which is 10 for 1 // 0.1.
        "_floordiv": """
def _floordiv(x, y):
    rest = torch.fmod(x, y)
    quotient = (x - rest) / y
    quotient = torch.where((rest != 0.0) & ((y < 0.0) != (rest < 0.0)), quotient - 1.0, quotient)
    whole = torch.floor(quotient)
    whole = torch.where(quotient - whole > 0.5, whole + 1.0, whole)
    whole = torch.where(quotient == 0.0, _copysign(torch.zeros_like(whole), x / y), whole)
    return torch.where(y == 0.0, x / y, whole)
""",
        "_mod": """
def _mod(x, y):
    rest = torch.fmod(x, y)
    moved = torch.where((y < 0.0) != (rest < 0.0), rest + y, rest)
    return torch.where(rest == 0.0, _copysign(rest, y), moved)
""",
        "_cbrt": """
def _cbrt(x):
    size = torch.abs(x)
    root = size ** (1.0 / 3.0)
    better = root - (root - size / root / root) / 3.0
    return _copysign(torch.where((size == 0.0) | torch.isinf(size), size, better), x)
""",
        "_softplus": """
def _softplus(x):
    return torch.logaddexp(x, x.new_zeros(()))
""",
    },
    binding='''
def {name}({signature}):
    """{doc}"""
    arguments = {arguments}
    like = next(a for a in arguments if isinstance(a, torch.Tensor))
    tensors = [torch.as_tensor(a, dtype=like.dtype, device=like.device) for a in arguments]
    return _Rule.apply(*tensors)


class _Rule(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments):
        return _wide({value}, arguments, arguments).to(arguments[0].dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, upstream):
        arguments = ctx.saved_tensors
        inputs, parameters = arguments[:{size}], arguments[{size}:]
        rules = {gradients}
        gradients = [_wide(g, (*inputs, upstream, *parameters), arguments) for g in rules]
        return tuple(g.sum_to_size(a.shape).to(a.dtype) for g, a in zip(gradients, arguments))


def _wide(function, tensors, arguments):
    """In the shape of all arguments; half types compute in float32 inside."""
    half = tensors[0].dtype in (torch.float16, torch.bfloat16)
    result = function(*(t.float() if half else t for t in tensors))
    shape = torch.broadcast_shapes(*(a.shape for a in arguments))
    return result.clone() if result.shape == shape else result.expand(shape).clone()
''',
)

COMPILED_DIALECT = replace(DIALECT, compiled=True)

# torch.onnx rounds numbers to float32, those of `new_full` too, whatever the tensor's dtype (2.13).
ONNX_DIALECT = replace(
    DIALECT, typed="torch.tensor({0}, dtype=like.dtype, device=like.device)", typed_everywhere=True
)


def call(program: Program, inputs: tuple[Any, ...], parameters: Mapping[str, Any]) -> Any:
    """The activation of tensors, in their dtype."""
    from actgrad.frameworks.torch.rule import call as of_tensors

    return of_tensors(program, inputs, parameters)


def native(program: Program) -> Callable[..., Any]:
    """The activation as a function of tensors: inputs by position, parameters by keyword."""

    def function(*inputs: Any, **parameters: Any) -> Any:
        return call(program, inputs, parameters)

    return function


def module(program: Program, parameters: Mapping[str, Any]) -> Any:
    """The activation as a `torch.nn.Module`: see `torch_module.ActivationModule`."""
    from actgrad.frameworks.torch import modules as torch_module

    return torch_module.ActivationModule(program, parameters)


def source(program: Program) -> str:
    return standalone(program, DIALECT)
