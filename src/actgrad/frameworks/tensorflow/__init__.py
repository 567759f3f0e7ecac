"""TensorFlow: native operations with the derivative in force, eager, in graphs, under XLA.

`binding` joins a value and its gradients by `tf.custom_gradient`, at run time and in a stand-alone file
alike; `rule` follows a program with it to any order.
"""

from __future__ import annotations

from actgrad.codegen.standalone import standalone
from actgrad.frameworks.tensorflow.dialect import DIALECT
from actgrad.language.program import Program


def source(program: Program) -> str:
    """A file that stands alone: the kernels, and `binding.py`, which joins them."""
    return standalone(program, DIALECT)
