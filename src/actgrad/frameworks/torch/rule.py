"""How PyTorch is given a derivative that it keeps, whatever is done with the activation.

Everywhere but in an export it is an `autograd.Function` with all its rules: reverse, forward, vmap.
Its derivatives are such functions again, so every order follows the same rule. Left to itself,
`torch.compile` would trace into it and lose the backward under `torch.func`; so there the function
stands in the graph as one call, which AOTAutograd runs through as eager mode would (`torch_compiled`).

`torch.export` keeps only data flow, so there the derivative is written as data flow: `_as_series`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, strided
from torch.autograd import forward_ad
from torch.compiler import is_compiling, is_dynamo_compiling, is_exporting

from actgrad.codegen.dialect import Dialect
from actgrad.codegen.emit import kernel
from actgrad.codegen.lower import lower
from actgrad.errors import CallError, DtypeError, HostError, NoDerivativeError
from actgrad.frameworks import numpy_fused
from actgrad.frameworks.numpy import of_one
from actgrad.frameworks.torch import bits as torch_bits
from actgrad.frameworks.torch import fused as torch_fused
from actgrad.frameworks.torch.dialect import COMPILED_DIALECT, DIALECT, ONNX_DIALECT
from actgrad.frameworks.torch.host import host
from actgrad.language.expression import Expr, is_const, plain, walk
from actgrad.language.program import Program

_PLAIN = (torch.Tensor, torch.nn.Parameter)


_keys_of = torch._C._dispatch_keys
_transforms = torch._C._are_functorch_transforms_active
_modes = torch._C._len_torch_dispatch_stack
_tracing = torch._C._get_tracing_state


def _keys() -> Any:
    """What PyTorch knows a plain tensor by. One that is batched, lazily negated, zero without memory,
    sparse or elsewhere has other keys."""
    return _keys_of(torch.empty(0, device="cpu")).raw_repr()


with torch.inference_mode():
    _KEYS = {_keys()}
with torch.inference_mode(False):
    _KEYS.add(_keys())


def call(program: Program, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    """The activation of tensors, in their dtype."""
    if is_dynamo_compiling():
        from actgrad.frameworks.torch.compiled import call as compiled

        return compiled(program, inputs, parameters)
    if len(inputs) == 1 and not parameters:
        x = inputs[0]
        if (
            type(x) in _PLAIN
            and _keys_of(x).raw_repr() in _KEYS
            and not (_transforms() or _modes() or _tracing())
            and (alone := _alone(program, x.dtype))
        ):
            return alone(x)
    return apply(program, *prepared(program, inputs, parameters))


def prepared(
    program: Program, inputs: Sequence[Any], parameters: Mapping[str, Any]
) -> tuple[Any, ...]:
    """The names of the parameters that are given, and the tensors: inputs before parameters."""
    like, dtype = _kind(program, inputs)
    tensors = [_tensor(x, dtype, like) for x in inputs]
    if not parameters:
        return (), *tensors
    working = _working(dtype)
    kept = tuple(name for name, _ in program.parameters if name in parameters)
    return kept, *tensors, *(_tensor(parameters[name], working, like) for name in kept)


@cache
def _alone(program: Program, dtype: Any) -> Callable[[Any], Any] | None:
    """The activation of one plain tensor of this dtype, where there is no parameter to make one of."""
    program = program.closed
    if program.parameters or not _is_taken(dtype):
        return None
    unfused = _unfused(program, dtype)
    large = torch_fused.LARGE

    def call(x: Any) -> Any:
        if forward_ad._current_level >= 0:
            return _bind(program, dtype, x)
        small = x.numel() < large
        if x.requires_grad and torch.is_grad_enabled():
            if small:
                return _bind_small(program, unfused, x)
            loops = torch_bits.loops(program, x) if x.numel() >= torch_bits.LARGE else None
            return _bind(program, dtype, x) if loops is None else Bits.apply(loops, x, _nothing(x))
        return unfused(x) if small else _fused_value(program, dtype, (x,))

    return call


def takes(dtype: Any, layout: Any) -> bool:
    """Whether such a tensor is taken; `_kind` says why not."""
    return _is_taken(dtype) and layout is strided


def _is_taken(dtype: Any) -> bool:
    return bool(dtype.is_floating_point and dtype.itemsize > 1)


def _is_half(dtype: Any) -> bool:
    return bool(dtype.itemsize == 2)


def _working(dtype: Any) -> Any:
    """Half types compute in float32 inside."""
    return torch.float32 if _is_half(dtype) else dtype


def _kind(program: Program, inputs: Sequence[Any]) -> tuple[Any, Any]:
    """A tensor of the inputs' device, and their common dtype."""
    like = dtype = None
    for x in inputs:
        if not isinstance(x, Tensor):
            continue
        if not _is_taken(x.dtype):
            raise DtypeError(
                f"{program.name!r} got a tensor of dtype {x.dtype}; it takes float16, bfloat16, "
                f"float32 and float64\n  Convert it first: `x.float()`."
            )
        if x.layout is not strided:
            raise CallError(
                f"{program.name!r} got a tensor of layout {x.layout}, and takes dense (strided) ones\n"
                f"  Convert it first: `x.to_dense()`, or apply it to `x.values()` if it keeps zero."
            )
        like = x if like is None or like.dim() == 0 else like
        dtype = x.dtype if dtype is None else torch.promote_types(dtype, x.dtype)
    if like is None:
        kinds = ", ".join(type(x).__name__ for x in inputs)
        raise CallError(f"{program.name!r} takes tensors here, and got {kinds}")
    return like, dtype


def _tensor(x: Any, dtype: Any, like: Any) -> Any:
    if isinstance(x, Tensor):
        return x.to(dtype)
    if isinstance(x, (int, float)):
        if is_dynamo_compiling():
            return like.new_ones((), dtype=dtype) * x  # `new_full` would compile anew for every x
        return like.new_full((), x, dtype=dtype)
    return torch.as_tensor(np.asarray(x, np.float64), dtype=dtype, device=like.device)


def apply(program: Program, kept: Sequence[str], *tensors: Any) -> Any:
    """The program with all parameters but the kept ones at their values. Here the form is chosen."""
    program = program.bound(frozenset(kept))
    dtype = tensors[0].dtype
    given = dict(zip(kept, tensors[len(program.inputs) :], strict=True))
    working = _working(dtype)
    tensors = tensors[: len(program.inputs)] + tuple(
        given[name] if name in given else _tensor(value, working, tensors[0])
        for name, value in program.parameters
    )
    if torch.onnx.is_in_onnx_export():
        return _exported_value(program, dtype, tensors)
    if is_exporting() or torch.jit.is_tracing():
        if torch.is_grad_enabled():
            return _as_series(program, dtype, tensors)
        value = _exported_value(program, dtype, tensors)
        return value if program.kind == "exact" else _untrainable(value, tensors)
    return _applied(program, dtype, tensors)


def _applied(program: Program, dtype: Any, tensors: Sequence[Any]) -> Any:
    """`Rule` in every mode, and what costs less where nothing but plain tensors on the CPU is about."""
    if not _plain(tensors):
        return Rule.apply(program, dtype, *tensors)
    return _bound_to_plain(program, dtype, tensors)


def _bound_to_plain(program: Program, dtype: Any, tensors: Sequence[Any]) -> Any:
    if forward_ad._current_level >= 0:
        return _bind(program, dtype, *tensors)
    if torch.is_grad_enabled():
        for t in tensors:
            if t.requires_grad:
                return _bind(program, dtype, *tensors)
    return _fused_value(program, dtype, tensors)


def _plain(tensors: Sequence[Any]) -> bool:
    """Whether these are dense tensors on the CPU that hold their numbers, and nobody is watching."""
    return all(map(_is_plain, tensors)) and not _watched()


def _is_plain(x: Any) -> bool:
    return type(x) in _PLAIN and _keys_of(x).raw_repr() in _KEYS


def _watched() -> bool:
    return bool(is_compiling() or _transforms() or _modes() or _tracing())


def _fused_value(program: Program, dtype: Any, tensors: Sequence[Any]) -> Any:
    """The value of plain tensors, where nothing is recorded for autograd."""
    small = one_dtype = True
    for t in tensors:
        one_dtype &= t.dtype is dtype
        small &= t.numel() < torch_fused.LARGE
    value = None if small else torch_fused.run(program, dtype, tensors)
    if value is not None:
        return value
    if one_dtype:
        return _unfused(program, dtype)(*tensors)
    return _value(program, dtype, tensors)


A_NUMBER_COSTS = 3
"""operations on a tensor: to take it out of one, and to put the result into another."""


@cache
def _unfused(program: Program, dtype: Any) -> Callable[..., Any]:
    """What computes the value of plain tensors that all have this dtype, one operation at a time."""
    root = plain(program.value)
    if _is_half(dtype) or program.on_host or not program.spans_inputs or root.op == "var":
        return lambda *tensors: _value(program, dtype, tensors)
    with torch.inference_mode(False):
        text = kernel(program, _small(dtype), host)
    if sum(bool(node.args) for node in walk(root)) < A_NUMBER_COSTS:
        return text

    def run(first: Any, *others: Any) -> Any:
        if first.numel() != 1 or not (alone := _of_one(program, dtype)):
            return text(first, *others)
        number, of_number = alone
        numbers = [number(first.item())]
        for tensor in others:
            if tensor.shape != first.shape:
                return text(first, *others)
            numbers.append(number(tensor.item()))
        return torch.full_like(first, of_number(*numbers))

    return run


@cache
def _of_one(program: Program, dtype: Any) -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """NumPy's scalar, and the program's value of such, which is faster, where it has the same bits."""
    if not all(map(_rounds_as_numpy, walk(lower(program.value, {})))):
        return None
    number = {torch.float32: np.float32, torch.float64: np.float64}[dtype]
    function = of_one(program, np.dtype(number))
    return function and (number, function)


def _rounds_as_numpy(node: Expr) -> bool:
    """Of PyTorch, square roots and a number's quotient by a tensor have last digits of their own."""
    if node.op == "div" and node.args[0].op == "const":
        return is_const(node.args[0], 1.0)
    return not node.args or (node.op in numpy_fused.TABLE and node.op != "sqrt")


@cache
def _small(dtype: Any) -> Dialect:
    """A number beside a tensor costs as much as the operation, as PyTorch makes a tensor of it each time;
    and 1 / x is to PyTorch a reciprocal, times 1.
    """
    number = f"torch.tensor({{0}}, dtype={dtype}, device='cpu')"
    return replace(
        DIALECT,
        variants=(),
        typed=number,
        number=number,
        made_once=True,
        step="{0}.type_as({like})",
        reciprocal="torch.reciprocal({1})",
    )


class Rule(torch.autograd.Function):
    """A program of tensors, inputs before parameters, with the derivative in force."""

    @staticmethod
    def forward(program: Program, dtype: Any, *tensors: Any) -> Any:
        if tensors[0].is_meta and type(tensors[0]) in _PLAIN and not _watched():
            return torch.empty_like(torch.broadcast_tensors(*tensors)[0], dtype=dtype)
        return _value(program, dtype, tensors, COMPILED_DIALECT if is_compiling() else DIALECT)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.program, ctx.dtype, *tensors = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, upstream: Any) -> tuple[Any, ...]:
        return _backward(ctx, upstream, ctx.saved_tensors)

    @staticmethod
    def jvp(ctx: Any, _program: None, _dtype: None, *tangents: Any) -> Any:
        program = ctx.program
        # PyTorch switches forward mode off in here, for this level, and with it for all levels
        # below: a jvp of a jvp would silently be zero. So it is on again, for primals without tangent.
        with forward_ad._set_fwd_grad_enabled(True):
            tensors = [forward_ad.unpack_dual(t, level=0).primal for t in ctx.saved_tensors]
            wide = torch.promote_types(ctx.dtype, torch.float32)
            total = None
            for name, tangent in zip(program.arguments, tangents, strict=True):
                if tangent is not None:
                    term = Rule.apply(program.partial(name), wide, *tensors) * tangent.to(wide)
                    total = term if total is None else total + term
            return None if total is None else total.to(ctx.dtype)

    @staticmethod
    def vmap(_info: Any, in_dims: Any, program: Program, dtype: Any, *tensors: Any) -> Any:
        mapped = in_dims[2:]
        rank = max(t.dim() - (d is not None) for t, d in zip(tensors, mapped, strict=True))
        tensors = tuple(
            t if d is None else _batch_first(t, d, rank)
            for t, d in zip(tensors, mapped, strict=True)
        )
        return Rule.apply(program, dtype, *tensors), 0


class Eager(torch.autograd.Function):
    """`Rule` for plain tensors: bound in one step, which costs less, and fused."""

    @staticmethod
    def forward(ctx: Any, program: Program, dtype: Any, *tensors: Any) -> Any:
        ctx.program, ctx.dtype = program, dtype
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        if forward_ad._current_level >= 0:
            ctx.save_for_forward(*tensors)
        return _fused_value(program, dtype, tensors)

    @staticmethod
    def backward(ctx: Any, upstream: Any) -> tuple[Any, ...]:
        tensors = ctx.saved_tensors
        if len(tensors) == 1 and not torch.is_grad_enabled() and _plain((*tensors, upstream)):
            x = tensors[0]
            upstream = torch_fused.in_order_of(x, upstream)
            return None, None, _fused_value(ctx.program.only_vjp, x.dtype, (x, upstream))
        return _backward(ctx, upstream, tensors)

    jvp = Rule.jvp


class Small(torch.autograd.Function):
    """`Eager` for one small tensor, where forward mode is off."""

    @staticmethod
    def forward(ctx: Any, program: Program, unfused: Callable[[Any], Any], x: Any) -> Any:
        ctx.program = program
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        return unfused(x)

    @staticmethod
    def backward(ctx: Any, upstream: Any) -> tuple[Any, ...]:
        (x,) = ctx.saved_tensors
        if (
            type(upstream) is torch.Tensor
            and upstream.dtype is x.dtype
            and forward_ad._current_level < 0
            and not torch.is_grad_enabled()
            and not _watched()
        ):
            return None, None, _unfused(ctx.program.only_vjp, x.dtype)(x, upstream)
        return _backward(ctx, upstream, (x,))


# Without looking for transforms once more.
_bind = super(torch.autograd.Function, Eager).apply
_bind_small = super(torch.autograd.Function, Small).apply


class Bits(torch.autograd.Function):
    """`Eager` where the derivative takes two values: bits are kept in the place of the input."""

    @staticmethod
    def forward(ctx: Any, loops: torch_bits.Loops, x: Any, nothing: Any) -> Any:
        value, words = loops.value(x)
        ctx.loops, ctx.layout = loops, (x.shape, x.stride())
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(words, nothing)
        return value

    @staticmethod
    def backward(ctx: Any, upstream: Any) -> tuple[Any, ...]:
        if upstream is None:
            return None, None, None
        words, nothing = ctx.saved_tensors
        if not torch.is_grad_enabled() and not is_compiling() and _plain((upstream,)):
            return None, ctx.loops.gradient(words, upstream, *ctx.layout), None
        gradient = upstream * ctx.loops.slope(words, *ctx.layout)
        if is_compiling():  # compiled autograd, which cannot add None
            return None, gradient, torch.zeros_like(nothing)
        return None, gradient + nothing, None


def _nothing(x: Any) -> Any:
    """Zero, and to autograd made of x: so a second derivative is zero, and not an error."""
    return x[..., :0].sum()


def _backward(ctx: Any, upstream: Any, tensors: Sequence[Any]) -> tuple[Any, ...]:
    if upstream is None:
        return (None,) * (2 + len(tensors))
    if is_dynamo_compiling():  # compiled autograd
        from actgrad.frameworks.torch import compiled as torch_compiled

        run, program = torch_compiled.gradients, torch_compiled.text(ctx.program)
    else:
        run, program = gradients, ctx.program
    needed = ctx.needs_input_grad[2:]
    found = iter(run(program, needed, upstream, *tensors))
    return (None, None, *(next(found) if need else None for need in needed))


def _batch_first(tensor: Any, dim: int, rank: int) -> Any:
    """The mapped dimension before as many others as the widest tensor has."""
    tensor = tensor.movedim(dim, 0)
    missing = rank + 1 - tensor.dim()
    return tensor[(slice(None), *(None,) * missing)] if missing else tensor


def gradients(
    program: Program, needed: Sequence[bool], upstream: Any, *tensors: Any
) -> tuple[Any, ...]:
    """The gradients by the tensors that need one."""
    size = len(program.inputs)
    read = tensors
    if not torch.is_grad_enabled():
        if _plain((upstream, tensors[0])):
            upstream = torch_fused.in_order_of(tensors[0], upstream)
        elif is_compiling() and upstream.device.type == "cpu":
            read = tuple(_tied(t, upstream) for t in tensors)
    arguments = (*read[:size], upstream, *read[size:])
    return tuple(
        _gradient(program.vjp(name), arguments, tensor)
        for name, tensor, need in zip(program.arguments, tensors, needed, strict=True)
        if need
    )


def _tied(tensor: Any, upstream: Any) -> Any:
    """The tensor itself, known only once upstream is. Otherwise Inductor takes the gradient's conditions into
    the forward pass and keeps a bool for each number, which takes its C++ ten times as long as all else.
    """
    if tensor.shape != upstream.shape:
        return tensor
    return torch.where(upstream == upstream, tensor, tensor)


def _gradient(rule: Program, arguments: Sequence[Any], tensor: Any) -> Any:
    """The gradient by one tensor, added up over the dimensions in which it was broadcast."""
    if tensor.shape == arguments[len(rule.inputs) - 1].shape:
        return _applied(rule, tensor.dtype, arguments)
    wide = torch.promote_types(tensor.dtype, torch.float32)
    return _applied(rule, wide, arguments).sum_to_size(tensor.shape).to(tensor.dtype)


def _value(program: Program, dtype: Any, tensors: Sequence[Any], dialect: Dialect = DIALECT) -> Any:
    """The program's value; half types compute in float32 inside."""
    wide = [t.float() if _is_half(t.dtype) else t for t in tensors]
    result = kernel(program, dialect, host)(*wide)
    if not program.spans_inputs:
        result = result.expand(torch.broadcast_shapes(*(t.shape for t in wide))).clone()
    if result.dtype != dtype:
        result = result.to(dtype)
    return result.clone() if any(result is tensor for tensor in tensors) else result


def _exported_value(program: Program, dtype: Any, tensors: Sequence[Any]) -> Any:
    if program.on_host:
        raise HostError(
            f"{program.name!r} runs on the host (host=True), so it cannot be exported\n"
            f"  Rewrite it with operations that actgrad can read, and drop host=True."
        )
    dialect = ONNX_DIALECT if torch.onnx.is_in_onnx_export() else DIALECT
    return _value(program, dtype, tensors, dialect)


def _untrainable(value: Any, tensors: Sequence[Any]) -> Any:
    """The same value, which refuses to be differentiated. Exported without gradients, then loaded and
    trained, it would have PyTorch's own derivative in the place of the user's.

    gammainc(a, 0) is zero, and PyTorch has no derivative of it by a: "not implemented", it says.
    """
    for tensor in tensors:
        one = tensor.reshape(-1)[:1].float()
        one = torch.where(torch.isfinite(one), one, 1.0).clamp(0.5, 1.5)
        zero = torch.special.gammainc(one, torch.zeros_like(one)).sum()
        value = value - zero.to(value.dtype)
    return value


def _as_series(program: Program, dtype: Any, tensors: Sequence[Any]) -> Any:
    """Value and derivatives to second order as data flow: f + z d + z^2 d' / 2, where z = x - stop(x) is
    zero and has the derivative one. Of f, d and d' only the values are there.

    What is not finite is left out, so that it cannot spoil the value: there the gradient is zero. A third
    derivative is inf or nan, not a zero that looks right.
    """
    value = _exported_value(program, dtype, [t.detach() for t in tensors])
    if program.gradient:
        raise NoDerivativeError(
            f"{program.name!r} has a `gradient=` rule, which torch.export cannot keep: an exported graph is "
            f"data flow, and a rule of the upstream gradient is not\n"
            f"  Export it for inference, under `torch.no_grad()`, or give `derivative=` or `surrogate=`."
        )
    wide = torch.promote_types(dtype, torch.float32)
    stopped = [t.detach() for t in tensors]

    def finite(rule: Program) -> Any:
        found = _value(rule, wide, stopped)
        return torch.where(torch.isfinite(found), found, 0.0)

    steps = {}
    for name, tensor, still in zip(program.arguments, tensors, stopped, strict=True):
        step = torch.where(torch.isfinite(still), tensor, 0.0) - torch.where(
            torch.isfinite(still), still, 0.0
        )
        steps[name] = step.to(wide)
    total, goes_on = None, False
    for one in program.arguments:
        slope = program.partial(one)
        factor = finite(slope)
        for other in program.arguments:
            bend = slope.partial(other)
            goes_on |= bend.value.op != "const"
            factor = factor + 0.5 * steps[other] * finite(bend)
        term = steps[one] * factor
        total = term if total is None else total + term
    if goes_on:  # zero, as are its first two derivatives; the third is infinite
        total = total + sum(steps.values()) ** 2.5
    return value + total.to(dtype)  # type: ignore[union-attr]
