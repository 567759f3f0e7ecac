"""The activation as one call in a graph of torch.compile, constant in its program.

Imported while such a graph is traced, and never before: it loads the compiler. A graph takes texts and
numbers for constants, so in it a program goes by a text. The compiler compares programs by identity:
as each different one is made once, an edited function is compiled anew, and an equal one is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from actgrad.frameworks import torch_rule
from actgrad.language.program import Program

_programs: dict[str, Program] = {}


@torch._dynamo.assume_constant_result
def text(program: Program) -> str:
    key = f"{program.name} {id(program)}"
    _programs[key] = program
    return key


@torch.compiler.allow_in_graph
def apply(text: str, kept: Sequence[str], *tensors: Any) -> Any:
    return torch_rule.apply(_programs[text], kept, *tensors)


@torch.compiler.allow_in_graph
def gradients(text: str, needed: Sequence[bool], upstream: Any, *tensors: Any) -> tuple[Any, ...]:
    return torch_rule.gradients(_programs[text], needed, upstream, *tensors)
