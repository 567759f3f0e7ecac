"""Which room answers for a tensor: told by its type, never by importing a framework."""

from __future__ import annotations

import importlib
from functools import cache
from sys import modules

from actgrad.codegen.emit import identifier
from actgrad.codegen.standalone import standalone
from actgrad.common.types import Function
from actgrad.frameworks.keras_backend import keras_backend
from actgrad.frameworks.names import check_framework, room
from actgrad.frameworks.parameters import native_values
from actgrad.language.kept import kept
from actgrad.language.program import Program
from actgrad.reading import inline
from actgrad.reading.symbol import Symbol

_ROOTS = {
    "tensorflow": "tensorflow",
    "torch": "torch",
    "jax": "jax",
    "jaxlib": "jax",
    "keras": "keras",
}

_DIALECTS = {
    "numpy": "actgrad.frameworks.numpy_dialect",
    "jax": "actgrad.frameworks.jax_dialect",
    "tensorflow": "actgrad.frameworks.tensorflow.dialect",
    "torch": "actgrad.frameworks.torch.dialect",
}


@cache
def _caller_of(kind: type) -> Function | None:
    """For a framework's tensors, and for symbols; None for what is NumPy's, or nobody's."""
    for base in kind.__mro__:
        if base is Symbol:
            return inline.call
        root = base.__module__.partition(".")[0]
        if root in _ROOTS:
            return caller_in(_ROOTS[root])
    return caller_in("jax") if hasattr(kind, "__jax_array__") else None


@cache
def caller_in(framework: str) -> Function:
    """What calls a program in this framework, of its inputs and its parameters by name."""
    return room(framework).call  # type: ignore[no-any-return]


def under_dynamo() -> bool:
    """Whether `torch.compile` is following this code."""
    compiler = modules.get("torch.compiler")
    return compiler is not None and compiler.is_dynamo_compiling()


def apart(function: Function) -> Function:
    """The function, whose frames `torch.compile` leaves alone."""
    compiler = modules.get("torch.compiler")
    return function if compiler is None else compiler.disable(function)


def caller(arguments: tuple[object, ...]) -> Function:
    """What calls a program in the room of the first argument that belongs to one; NumPy's otherwise."""
    if under_dynamo():
        from actgrad.frameworks.torch.rule import call  # it follows this, unlike what is below

        return call
    for x in arguments:
        if found := _caller_of(type(x)):  # type: ignore[arg-type]
            return found
    return caller_in("numpy")


@kept
def native(program: Program, framework: str) -> Function:
    """The activation as a function of a framework's tensors: inputs by position, parameters by keyword."""
    call = caller_in(framework)

    def function(*inputs: object, **parameters: object) -> object:
        return call(program, inputs, native_values(program, inputs, parameters))

    function.__name__ = function.__qualname__ = identifier(program.name)
    function.autograph_info__ = {}  # type: ignore[attr-defined]  # by this TensorFlow's AutoGraph leaves it as it is
    return function


def source(program: Program, framework: str) -> str:
    """The file that stands alone. Needs no framework installed. Of Keras it is that of its backend."""
    check_framework(framework)
    backend = keras_backend() if framework == "keras" else framework
    return standalone(program, importlib.import_module(_DIALECTS[backend]).DIALECT)
