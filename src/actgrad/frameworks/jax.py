"""JAX: native operations with the derivative in force, in every transformation: see `jax_rule`."""

from __future__ import annotations

from actgrad.codegen.standalone import standalone
from actgrad.frameworks.jax_dialect import DIALECT, WHOLE_GRADIENT
from actgrad.language.program import Program


def source(program: Program) -> str:
    return standalone(program, WHOLE_GRADIENT if program.gradient else DIALECT)
