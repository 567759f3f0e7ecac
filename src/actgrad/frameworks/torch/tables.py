"""A program that reads tables which are parameters, by PyTorch's own indexing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, stack

from actgrad.frameworks.lookups import call_with_tables
from actgrad.frameworks.torch import arguments
from actgrad.frameworks.torch.gather import lookup
from actgrad.language.program import Program


def call(
    program: Program,
    inputs: Sequence[Any],
    parameters: Mapping[str, Any],
    call_plain: Callable[..., Any],
) -> Any:
    """The program's value; `call_plain` is that of a program without tables."""
    return call_with_tables(program, inputs, parameters, call_plain, _still, _lookup)


def _still(x: Any) -> Any:
    if not isinstance(x, Tensor):
        return x
    return x.detach().float() if x.dtype.itemsize == 2 else x.detach()


def _lookup(table: Any, index: Any, nan: bool) -> Any:
    if isinstance(table, (list, tuple)) and any(isinstance(each, Tensor) for each in table):
        table = stack([arguments.as_tensor(each, index.dtype, index) for each in table])
    return lookup(arguments.as_tensor(table, index.dtype, index), index, nan)
