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

import torch
from torch import Tensor

from actgrad.errors import CallError
from actgrad.frameworks.torch import arguments, tables
from actgrad.frameworks.torch.binding import Kernel
from actgrad.language.program import Program

Plan = Callable[[Program], Kernel]
"""Makes the kernel of a program, or finds it."""


def call(
    plan: Plan,
    eager: Callable[..., Any],
    of_rows: Callable[..., Any],
    program: Program,
    inputs: Sequence[Any],
    parameters: Mapping[str, Any],
) -> Any:
    """The activation of tensors; `eager` is what calls it outside of such a graph, and `of_rows` one of
    rows."""
    if torch.compiler.is_exporting():
        raise CallError(
            f"{program.name!r} cannot be exported with `strict=True`, which would lose its derivative\n"
            f"  Leave it out: `torch.export.export(model, args)`."
        )
    if program.tables:
        tensors = arguments.arguments(program, inputs, parameters)
        return apply_tables(table_key(eager, program.structure), *tensors)
    if program.axis is not None:
        text = row_key(of_rows, program, parameters.get("axis"))
        return along_axis(text, *arguments.arguments(program, inputs, parameters))
    if len(inputs) == 1 and not program.parameters:
        x = inputs[0]
        if isinstance(x, Tensor) and is_taken(x.dtype, x.layout):
            return apply(key(plan, program), x)
    return apply(key(plan, program.structure), *arguments.arguments(program, inputs, parameters))


is_taken = torch.compiler.assume_constant_result(arguments.is_taken)

_kernels: dict[str, Kernel] = {}
_of_rows: dict[str, Callable[..., Any]] = {}


@torch.compiler.assume_constant_result
def key(plan: Plan, program: Program) -> str:
    text = f"{program.name} {id(program.structure)}"
    _kernels[text] = plan(program)
    return text


@torch.compiler.assume_constant_result
def row_key(of_rows: Callable[..., Any], program: Program, axis: int | None) -> str:
    axis = program.axis if axis is None else axis
    structure = program.structure
    text = f"{program.name} {id(structure)} {axis}"
    _of_rows[text] = lambda tensors: of_rows(structure, tensors, axis)
    return text


@torch.compiler.allow_in_graph
def along_axis(text: str, *tensors: Any) -> Any:
    return _of_rows[text](tensors)


@torch.compiler.allow_in_graph
def apply(text: str, *tensors: Any) -> Any:
    return _kernels[text].apply(tensors[0].dtype, *tensors)


_with_tables: dict[str, tuple[Callable[..., Any], Program]] = {}


@torch.compiler.assume_constant_result
def table_key(eager: Callable[..., Any], program: Program) -> str:
    text = f"{program.name} {id(program)}"
    _with_tables[text] = eager, program
    return text


@torch.compiler.allow_in_graph
def apply_tables(text: str, *tensors: Any) -> Any:
    eager, program = _with_tables[text]
    inputs = tensors[: len(program.inputs)]
    names = [name for name, _ in program.parameters]
    parameters = dict(zip(names, tensors[len(inputs) :], strict=True))
    return tables.call(program, inputs, parameters, eager)


@torch.compiler.allow_in_graph
def backward(text: str, needed: Sequence[bool], upstream: Any, *tensors: Any) -> tuple[Any, ...]:
    return tuple(_kernels[text].backward(needed, upstream, tensors))
