"""PyTorch: native operations with the derivative in force, in every mode: see `binding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from actgrad.codegen.standalone import standalone
from actgrad.frameworks.torch.dialect import DIALECT
from actgrad.language.program import Program

if TYPE_CHECKING:
    from actgrad.frameworks.torch.modules import ActivationModule


def module(program: Program, parameters: Mapping[str, object]) -> ActivationModule:
    from actgrad.frameworks.torch.modules import ActivationModule

    return ActivationModule(program, parameters)


def source(program: Program) -> str:
    return standalone(program, DIALECT)
