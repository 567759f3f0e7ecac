"""An activation of tensors, and the kernel of its structure.

Kernels are made for a structure, with the parameters as arguments, so a new number makes nothing new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch.compiler import is_compiling, is_dynamo_compiling, is_exporting

from actgrad.codegen.emit import kernel
from actgrad.codegen.size import expanded
from actgrad.frameworks import rows
from actgrad.frameworks.torch import export, fused, tables
from actgrad.frameworks.torch.arguments import arguments
from actgrad.frameworks.torch.binding import Kernel, RowKernel, Rule
from actgrad.frameworks.torch.dialect import DIALECT
from actgrad.frameworks.torch.operator import opaque, operator
from actgrad.language.program import Program


def call(program: Program, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    """The activation of tensors, in their dtype."""
    if is_dynamo_compiling():
        from actgrad.frameworks.torch import compiled

        return compiled.call(plan, call, of_rows, program, inputs, parameters)
    if program.tables:
        return tables.call(program, inputs, parameters, call)
    if torch.jit.is_tracing() or is_exporting():  # either of the two in torch.onnx
        return export.call(program, inputs, parameters)
    if tracer := export.tracer(inputs):
        return _recorded(tracer, program, inputs, parameters)
    tensors = arguments(program, inputs, parameters)
    if program.axis is not None:
        return of_rows(program, tensors, parameters.get("axis"))
    return Rule.apply(plan(program), tensors[0].dtype, *tensors)


def of_rows(program: Program, tensors: Sequence[Any], axis: int | None = None) -> Any:
    def rule(program: Program, tensors: Sequence[Any]) -> Any:
        return Rule.apply(plan(program), tensors[0].dtype, *tensors)

    return rows.along_axis(program, tensors, torch, rule, axis)


def _recorded(
    tracer: Any, program: Program, inputs: Sequence[Any], parameters: Mapping[str, Any]
) -> Any:
    """One call of the activation in a graph of torch.fx."""

    def activation(*inputs: Any, **parameters: Any) -> Any:
        return call(program, inputs, parameters)

    activation.__name__ = activation.__qualname__ = program.name
    return tracer.create_proxy("call_function", activation, tuple(inputs), dict(parameters))


def plan(program: Program) -> Plan | RowPlan:
    """The kernel of the program's structure; it goes with the programs that have this structure."""
    found: Plan | RowPlan | None = program.kept.get("torch")
    if found is None:
        structure = program.structure
        kind = Plan if program.axis is None else RowPlan
        found = structure.kept.get("torch") or structure.kept.setdefault("torch", kind(structure))
        program.kept["torch"] = found
    return found


class Plan(Kernel):
    """The kernel of a structure, with its gradients of any order, each made when it is first needed."""

    def __init__(self, program: Program) -> None:
        super().__init__(kernel(program, DIALECT, operator), len(program.inputs))
        self.program = program
        self.fused = fused.Fused(program)
        self.made: dict[int, Any] = {}

    def apply(self, dtype: Any, *tensors: Any) -> Any:
        return Rule.apply(self, dtype, *tensors)

    def gradient(self, index: int) -> Any:
        found = self.made.get(index)
        if found is None:
            found = self.made[index] = plan(self.program.vjp(self.program.arguments[index]))
        return found

    def tangent(self, index: int) -> Any:
        self.program.partial(self.program.arguments[index])  # refuses what has no forward mode
        return self.gradient(index)

    @cached_property
    def apart(self) -> Callable[..., Any] | None:
        """As one operator, if a compiler that writes out shared parts would not end."""
        if expanded(self.program.value) <= fused.EXPANDED:
            return None
        return opaque(lambda *tensors: self.value(tensors[0].dtype, tensors))

    def value(self, dtype: Any, tensors: Sequence[Any]) -> Any:
        if is_compiling() and (apart := self.apart):
            working = torch.promote_types(dtype, torch.float32)
            return apart(*(t.to(working) for t in tensors)).to(dtype)
        for t in tensors:
            if t.numel() >= fused.LARGE:
                found = self.fused(dtype, tensors)
                return super().value(dtype, tensors) if found is None else found
        return super().value(dtype, tensors)

    def backward(self, needed: Sequence[bool], upstream: Any, tensors: Sequence[Any]) -> Any:
        if is_dynamo_compiling():  # compiled autograd
            from actgrad.frameworks.torch import compiled

            return compiled.backward(compiled.key(plan, self.program), needed, upstream, *tensors)
        if is_compiling() and not torch.is_grad_enabled() and upstream.device.type == "cpu":
            tensors = [_tied(t, upstream) for t in tensors]
        return super().backward(needed, upstream, tensors)


class RowPlan(RowKernel):
    """The kernel of a structure that is a function of rows."""

    def __init__(self, program: Program) -> None:
        super().__init__(kernel(program, DIALECT, operator), len(program.inputs))
        self.program = program
        self.fused = fused.FusedRows(program)

    def value(self, dtype: Any, tensors: Sequence[Any]) -> Any:
        found = None
        if any(t.numel() >= fused.LARGE for t in tensors):
            found = self.fused(dtype, tensors)
        return super().value(dtype, tensors) if found is None else found

    def apply(self, dtype: Any, *tensors: Any) -> Any:
        return Rule.apply(self, dtype, *tensors)

    def gradient(self, index: int) -> Any:
        return plan(self.program.vjp(self.program.arguments[index]))

    def tangent(self, index: int) -> Any:
        return plan(self.program.push((self.program.arguments[index],)))

    def backward(self, needed: Sequence[bool], upstream: Any, tensors: Sequence[Any]) -> Any:
        if is_dynamo_compiling():  # compiled autograd
            from actgrad.frameworks.torch import compiled

            return compiled.backward(compiled.key(plan, self.program), needed, upstream, *tensors)
        return super().backward(needed, upstream, tensors)


def _tied(tensor: Any, upstream: Any) -> Any:
    """The tensor itself, known only once upstream is. Otherwise Inductor takes the gradient's conditions into
    the forward pass and keeps a bool for each number, which takes its C++ ten times as long as all else.
    """
    if tensor.shape != upstream.shape:
        return tensor
    return torch.where(upstream == upstream, tensor, tensor)
