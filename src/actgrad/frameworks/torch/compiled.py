"""The activation as one call in a graph of torch.compile, constant in its structure.

Left to itself, Dynamo would trace into the rule, and lose its backward under `torch.func`: so the rule
stands in the graph as one call, which AOTAutograd runs through as eager mode would. A graph takes texts
for constants, so a structure goes by a text. Dynamo compares structures by identity: as each different
one is made once, an edited function is compiled anew, and an equal one, or another number, is not.

Imported while such a graph is traced, and never before: `torch.compiler` loads the compiler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from actgrad.errors import CallError
from actgrad.frameworks.torch import arguments, rule, tables
from actgrad.language.program import Program


def call(program: Program, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    if torch.compiler.is_exporting():
        raise CallError(
            f"{program.name!r} cannot be exported with `strict=True`, which would lose its derivative\n"
            f"  Leave it out: `torch.export.export(model, args)`."
        )
    if program.tables:
        tensors = arguments.arguments(program, inputs, parameters)
        return apply_tables(table_key(program.structure), *tensors)
    if len(inputs) == 1 and not program.parameters:
        x = inputs[0]
        if isinstance(x, Tensor) and is_taken(x.dtype, x.layout):
            return apply(key(program), x)
    return apply(key(program.structure), *arguments.arguments(program, inputs, parameters))


is_taken = torch.compiler.assume_constant_result(arguments.is_taken)

_plans: dict[str, rule.Plan] = {}


@torch.compiler.assume_constant_result
def key(program: Program) -> str:
    text = f"{program.name} {id(program.structure)}"
    _plans[text] = rule.plan(program)
    return text


@torch.compiler.allow_in_graph
def apply(text: str, *tensors: Any) -> Any:
    return _plans[text].apply(tensors[0].dtype, *tensors)


_with_tables: dict[str, Program] = {}


@torch.compiler.assume_constant_result
def table_key(program: Program) -> str:
    text = f"{program.name} {id(program)}"
    _with_tables[text] = program
    return text


@torch.compiler.allow_in_graph
def apply_tables(text: str, *tensors: Any) -> Any:
    program = _with_tables[text]
    inputs = tensors[: len(program.inputs)]
    names = [name for name, _ in program.parameters]
    parameters = dict(zip(names, tensors[len(inputs) :], strict=True))
    return tables.call(program, inputs, parameters, rule.call)


@torch.compiler.allow_in_graph
def backward(text: str, needed: Sequence[bool], upstream: Any, *tensors: Any) -> tuple[Any, ...]:
    return tuple(_plans[text].backward(needed, upstream, tensors))
