"""The activation as one call in a graph of torch.compile, constant in its structure.

Left to itself, Dynamo would trace into the rule, and lose its backward under `torch.func`: so the rule
stands in the graph as one call, which AOTAutograd runs through as eager mode would. A graph takes texts
for constants, so a structure goes by a text. Dynamo compares structures by identity: as each different
one is made once, an edited function is compiled anew, and an equal one, or another number, is not.

Imported while such a graph is traced, and never before: `torch.compiler` loads the compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from actgrad.errors import CallError
from actgrad.frameworks.torch.arguments import arguments
from actgrad.language.program import Program

_programs: WeakValueDictionary[str, Program] = WeakValueDictionary()
"""Structures by text; what calls a graph has the activation, so it is there when the graph runs."""


def call(
    eager: Callable[..., Tensor],
    program: Program,
    inputs: Sequence[Any],
    parameters: Mapping[str, Any],
) -> Tensor:
    """The activation of tensors; `eager` is what calls it outside of such a graph."""
    if torch.compiler.is_exporting():
        raise CallError(
            f"{program.name!r} cannot be exported with `strict=True`, which would lose its derivative\n"
            f"  Leave it out: `torch.export.export(model, args)`."
        )
    axis = None if program.axis is None else parameters.get("axis", program.axis)
    return run(key(eager, program.structure), axis, *arguments(program, inputs, parameters))


@torch.compiler.assume_constant_result
def key(eager: Callable[..., Tensor], structure: Program) -> str:
    text = f"{structure.name} {id(structure)}"
    structure.kept["torch, eager"] = eager
    _programs[text] = structure
    return text


@torch.compiler.allow_in_graph
def run(text: str, axis: int | None, *tensors: Tensor) -> Tensor:
    program = _programs[text]
    size = len(program.inputs)
    names = [name for name, _ in program.parameters]
    parameters: dict[str, Any] = dict(zip(names, tensors[size:], strict=True))
    if axis is not None:
        parameters["axis"] = axis
    return program.kept["torch, eager"](program, tensors[:size], parameters)


@torch.compiler.allow_in_graph
def backward(
    text: str, needed: Sequence[bool], upstream: Tensor, *tensors: Tensor
) -> tuple[Tensor, ...]:
    found = _programs[text].kept["torch"].backward(needed, upstream, tensors)
    return tuple(gradient for gradient in found if gradient is not None)
