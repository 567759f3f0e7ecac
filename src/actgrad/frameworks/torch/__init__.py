"""PyTorch: native operations with the derivative in force, in every mode: see `binding`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from actgrad.codegen.standalone import standalone
from actgrad.frameworks.torch.dialect import DIALECT
from actgrad.language.program import Program

if TYPE_CHECKING:
    from torch import Tensor

    from actgrad.frameworks.torch.modules import ActivationModule


def call(program: Program, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> Tensor:
    from actgrad.frameworks.torch.rule import call as of_tensors

    return of_tensors(program, inputs, parameters)


def module(program: Program, parameters: Mapping[str, object]) -> ActivationModule:
    from actgrad.frameworks.torch.modules import ActivationModule

    return ActivationModule(program, parameters)


def source(program: Program) -> str:
    return standalone(program, DIALECT)
