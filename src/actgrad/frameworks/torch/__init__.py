"""PyTorch: native operations with the derivative in force, in every mode: see `binding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actgrad.codegen.standalone import standalone
from actgrad.frameworks.torch.dialect import DIALECT
from actgrad.language.program import Program


def call(program: Program, inputs: tuple[Any, ...], parameters: Mapping[str, Any]) -> Any:
    """The activation of tensors, in their dtype."""
    from actgrad.frameworks.torch.rule import call as of_tensors

    return of_tensors(program, inputs, parameters)


def module(program: Program, parameters: Mapping[str, Any]) -> Any:
    """The activation as a `torch.nn.Module`: see `modules.ActivationModule`."""
    from actgrad.frameworks.torch.modules import ActivationModule

    return ActivationModule(program, parameters)


def source(program: Program) -> str:
    return standalone(program, DIALECT)
