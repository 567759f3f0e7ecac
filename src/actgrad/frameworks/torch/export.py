"""The activation where only data flow is recorded: torch.export, ONNX, torch.jit.trace, torch.fx."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from actgrad.codegen.emit import kernel
from actgrad.errors import HostError, NoDerivativeError
from actgrad.frameworks import rows
from actgrad.frameworks.torch.arguments import arguments
from actgrad.frameworks.torch.dialect import DIALECT, ONNX_DIALECT
from actgrad.frameworks.torch.operator import operator
from actgrad.language.program import Program


def call(program: Program, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> Tensor:
    """With the derivative as data flow, but in ONNX, which has none, and where gradients are off."""
    if program.on_host:
        raise HostError(
            f"{program.name!r} runs on the host (host=True), so it cannot be exported\n"
            f"  Rewrite it with operations that actgrad can read, and drop host=True."
        )
    axis = parameters.get("axis")
    program = program.bound(frozenset(parameters))
    tensors = arguments(program, inputs, parameters)
    if program.axis is None:
        return _recorded(program, tensors)
    with warnings.catch_warnings():
        # Which axis they lie along, and whether their length fits, is the example's for good.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return rows.along_axis(program, tensors, torch, _recorded, axis)


def _recorded(program: Program, tensors: Sequence[Tensor]) -> Tensor:
    dtype = tensors[0].dtype
    if torch.onnx.is_in_onnx_export():
        return _value(program, dtype, tensors)
    # torch.jit.trace checks what it recorded without gradients, so it records the same in both.
    recorded = torch.is_grad_enabled() or torch.jit.is_tracing()
    if recorded and not (program.reverse_only and torch.jit.is_tracing()):
        return _as_series(program, dtype, tensors)
    value = _value(program, dtype, tensors)
    return value if program.kind == "exact" else _untrainable(value, tensors)


def _value(program: Program, dtype: torch.dtype, tensors: Sequence[Tensor]) -> Tensor:
    """As `Kernel.value`, without a look at shapes, which may be recorded too."""
    dialect = ONNX_DIALECT if torch.onnx.is_in_onnx_export() else DIALECT
    result = kernel(program, dialect, operator)(
        *(t.float() if t.dtype.itemsize == 2 else t for t in tensors)
    )
    if program.axis is not None:
        batch = torch.broadcast_shapes(*(t.shape[:-1] for t in tensors))
        result = torch.atleast_1d(result)
        result = result.expand(*batch, result.shape[-1])
    elif not program.spans_inputs:
        result = result.expand(torch.broadcast_shapes(*(t.shape for t in tensors))).clone()
    result = result.to(dtype)
    return result.clone() if any(result is t for t in tensors) else result


def _untrainable(value: Tensor, tensors: Sequence[Tensor]) -> Tensor:
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


def _as_series(program: Program, dtype: torch.dtype, tensors: Sequence[Tensor]) -> Tensor:
    """Value and derivatives to second order as data flow: f + z d + z^2 d' / 2, where z = x - stop(x) is
    zero and has the derivative one. Of f, d and d' only the values are there.

    What is not finite is left out, so that it cannot spoil the value: there the gradient is zero. A third
    derivative is inf or nan, not a zero that looks right.
    """
    stopped = [t.detach() for t in tensors]
    value = _value(program, dtype, stopped)
    if program.reverse_only:
        raise NoDerivativeError(
            f"{program.name!r} has a `gradient=` rule, which torch.export cannot keep: an exported graph is "
            f"data flow, and a rule of the upstream gradient is not\n"
            f"  Export it for inference, under `torch.no_grad()`, or give `derivative=` or `surrogate=`."
        )
    wide = torch.promote_types(dtype, torch.float32)
    steps = []
    for tensor, still in zip(tensors, stopped, strict=True):
        finite = torch.isfinite(still)
        step = torch.where(finite, tensor, 0.0) - torch.where(finite, still, 0.0)
        steps.append(step.to(wide))
    total, ends = (_of_numbers if program.axis is None else _of_rows)(program, stopped, steps)
    if not ends:  # zero, as are its first two derivatives; the third is infinite
        if program.axis is not None:
            steps = [torch.atleast_1d(step).sum(-1, keepdim=True) for step in steps]
        total = total + sum(steps) ** 2.5
    return value + total.to(dtype)


def _of_numbers(
    program: Program, stopped: Sequence[Tensor], steps: Sequence[Tensor]
) -> tuple[Tensor, bool]:
    """The terms of the series after the value, and whether all that follow are zero."""

    def finite(rule: Program) -> Tensor:
        found = _value(rule, steps[0].dtype, stopped)
        return torch.where(torch.isfinite(found), found, 0.0)

    total, ends = torch.zeros_like(steps[0]), True
    for one, step in zip(program.arguments, steps, strict=True):
        slope = program.partial(one)
        factor = finite(slope)
        for other, along in zip(program.arguments, steps, strict=True):
            bend = slope.partial(other)
            ends &= bend.value.op == "const"
            factor = factor + 0.5 * along * finite(bend)
        total = total + step * factor
    return total, ends


def _of_rows(
    program: Program, stopped: Sequence[Tensor], steps: Sequence[Tensor]
) -> tuple[Tensor, bool]:
    """The same of a function of a row, whose derivatives are those along the steps."""
    slope = program.push(program.arguments, finite=True)
    bend = slope.push(program.arguments, finite=True)
    total = _value(slope, steps[0].dtype, (*stopped, *steps))
    ends = bend.value.op == "const"
    if not ends:
        total = total + 0.5 * _value(bend, total.dtype, (*stopped, *steps, *steps))
    return total, ends


def tracer(inputs: Sequence[Any]) -> Any:
    """What records for torch.fx.symbolic_trace, if it does."""
    for x in inputs:
        if not isinstance(x, Tensor) and isinstance(x, torch.fx.Proxy):
            return x.tracer
    return None


def recorded_call(
    tracer: Any,
    call: Callable[..., Tensor],
    program: Program,
    inputs: Sequence[Any],
    parameters: Mapping[str, Any],
) -> Any:
    """One call of the activation in a graph of torch.fx."""

    def activation(*inputs: Any, **parameters: Any) -> Tensor:
        return call(program, inputs, parameters)

    activation.__name__ = activation.__qualname__ = program.name
    return tracer.create_proxy("call_function", activation, tuple(inputs), dict(parameters))
