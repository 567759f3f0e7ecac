"""An activation of tensors, and the kernel of its structure.

Kernels are made for a structure, with the parameters as arguments, so a new number makes nothing new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling, is_dynamo_compiling, is_exporting

from actgrad.codegen.emit import kernel
from actgrad.codegen.size import expanded
from actgrad.frameworks import rows
from actgrad.frameworks.lookups import call_with_tables
from actgrad.frameworks.torch import export, fused
from actgrad.frameworks.torch.arguments import arguments, as_tensor
from actgrad.frameworks.torch.binding import Kernel, Rule
from actgrad.frameworks.torch.dialect import DIALECT
from actgrad.frameworks.torch.gather import lookup, still
from actgrad.frameworks.torch.operator import OfTensors, opaque, operator
from actgrad.language.program import Program


def call(program: Program, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> Tensor:
    """The activation of tensors, in their dtype."""
    if is_dynamo_compiling():
        from actgrad.frameworks.torch import compiled

        return compiled.call(call, program, inputs, parameters)
    if program.tables:
        return call_with_tables(program, inputs, parameters, call, still, _lookup)
    if torch.jit.is_tracing() or is_exporting():  # either of the two in torch.onnx
        return export.call(program, inputs, parameters)
    if tracer := export.tracer(inputs):
        return export.recorded_call(tracer, call, program, inputs, parameters)
    tensors = arguments(program, inputs, parameters)
    if program.axis is not None:
        return rows.along_axis(program, tensors, torch, _apply, parameters.get("axis"))
    return _apply(program, tensors)


def _apply(program: Program, tensors: Sequence[Tensor]) -> Tensor:
    return Rule.apply(plan(program), tensors[0].dtype, *tensors)


def _lookup(table: Any, index: Tensor, nan: bool) -> Tensor:
    return lookup(as_tensor(table, index.dtype, index), index, nan)


def plan(program: Program) -> Plan:
    """The kernel of the program's structure; it goes with the programs that have this structure."""
    structure = program.structure
    return structure.kept.get("torch") or structure.kept.setdefault("torch", Plan(structure))


class Plan(Kernel):
    """The kernel of a structure, with its derivatives of any order, each made when it is first needed."""

    def __init__(self, program: Program) -> None:
        of_rows = program.axis is not None
        super().__init__(kernel(program, DIALECT, operator), len(program.inputs), rows=of_rows)
        self.program = program
        self.fused = fused.Fused(program)
        self.names = program.arguments
        self.by_each: dict[int, Plan] = {}
        """Its gradients, found without a search: 119 for 123 µs, forward and backward of 131,072 elements."""

    def apply(self, dtype: torch.dtype, tensors: Sequence[Tensor]) -> Tensor:
        return Rule.apply(self, dtype, *tensors)

    def gradient(self, index: int) -> Plan:
        if index not in self.by_each:
            self.by_each[index] = plan(self.program.vjp(self.names[index]))
        return self.by_each[index]

    def tangent(self, index: int) -> Plan:
        if self.rows:
            return plan(self.program.push((self.names[index],)))
        self.program.partial(self.names[index])  # refuses what has no forward mode
        return self.gradient(index)

    @cached_property
    def apart(self) -> OfTensors | None:
        """As one operator, if a compiler that writes out shared parts would not end."""
        if self.rows or expanded(self.program.value) <= fused.EXPANDED:
            return None
        return opaque(lambda *tensors: self.value(tensors[0].dtype, tensors))

    def value(self, dtype: torch.dtype, tensors: Sequence[Tensor]) -> Tensor:
        if self.apart and is_compiling():
            working = torch.promote_types(dtype, torch.float32)
            return self.apart(*(t.to(working) for t in tensors)).to(dtype)
        for t in tensors:
            if t.numel() >= fused.LARGE:
                found = self.fused(dtype, tensors)
                return super().value(dtype, tensors) if found is None else found
        return super().value(dtype, tensors)

    def backward(
        self, needed: Sequence[bool], upstream: Tensor, tensors: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        if is_compiling():
            if is_dynamo_compiling():  # compiled autograd
                from actgrad.frameworks.torch import compiled

                key = compiled.key(call, self.program)
                found = iter(compiled.backward(key, needed, upstream, *tensors))
                return [next(found) if need else None for need in needed]
            if not (self.rows or torch.is_grad_enabled()) and upstream.is_cpu:
                tensors = [_tied(t, upstream) for t in tensors]
        return super().backward(needed, upstream, tensors)


def _tied(tensor: Tensor, upstream: Tensor) -> Tensor:
    """The tensor itself, known only once upstream is. Otherwise Inductor takes the gradient's conditions into
    the forward pass and keeps a bool for each number, which takes its C++ ten times as long as all else.
    """
    if tensor.shape != upstream.shape:
        return tensor
    return torch.where(upstream == upstream, tensor, tensor)
