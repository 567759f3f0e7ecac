"""The activation as one call in a graph of torch.compile, constant in its program.

Imported while such a graph is traced, and never before: it loads the compiler. A graph takes texts and
numbers for constants, so in it a program goes by a text. The compiler compares programs by identity:
as each different one is made once, an edited function is compiled anew, and an equal one is not.

What is followed on the way here is asked for in every call of the graph: each name, each length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_exporting

from actgrad.errors import CallError
from actgrad.frameworks.torch import rule as torch_rule
from actgrad.frameworks.torch.rule import prepared
from actgrad.language.program import Program


def call(program: Program, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    if len(inputs) == 1 and not parameters:
        x = inputs[0]
        if isinstance(x, Tensor) and (key := text_alone(program, x.dtype, x.layout)):
            return apply(key, (), x)
    if is_exporting():
        raise CallError(
            f"{program.name!r} cannot be exported with `strict=True`, which would lose its derivative\n"
            f"  Leave it out: `torch.export.export(model, args)`."
        )
    return apply(text(program), *prepared(program, inputs, parameters))


_programs: dict[str, Program] = {}


@torch._dynamo.assume_constant_result
def text(program: Program) -> str:
    key = f"{program.name} {id(program)}"
    _programs[key] = program
    return key


@torch._dynamo.assume_constant_result
def text_alone(program: Program, dtype: Any, layout: Any) -> str | None:
    """For a tensor that is taken as it is."""
    return None if is_exporting() or not torch_rule.takes(dtype, layout) else text(program)


@torch.compiler.allow_in_graph
def apply(text: str, kept: Sequence[str], *tensors: Any) -> Any:
    return torch_rule.apply(_programs[text], kept, *tensors)


@torch.compiler.allow_in_graph
def gradients(text: str, needed: Sequence[bool], upstream: Any, *tensors: Any) -> tuple[Any, ...]:
    return torch_rule.gradients(_programs[text], needed, upstream, *tensors)
