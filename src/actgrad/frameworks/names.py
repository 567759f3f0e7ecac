"""The frameworks by name, and their modules, loaded when they are asked for."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Literal, get_args

from actgrad.common.text import did_you_mean
from actgrad.errors import CallError, MissingFrameworkError

Backend = Literal["tensorflow", "torch", "jax"]
"""What Keras can run on."""
Framework = Literal["numpy", "tensorflow", "keras", "torch", "jax"]

FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)


_ROOMS = {
    "numpy": "actgrad.frameworks.numpy",
    "keras": "actgrad.frameworks.keras",
    "jax": "actgrad.frameworks.jax",
    "tensorflow": "actgrad.frameworks.tensorflow.call",
    "torch": "actgrad.frameworks.torch.rule",
}


def check_framework(name: str) -> None:
    """Raises `CallError` for a name that none has."""
    if name not in FRAMEWORKS:
        hint = did_you_mean(name, FRAMEWORKS, f"there are {', '.join(FRAMEWORKS)}")
        raise CallError(f"no framework {name!r}; {hint}")


def room(name: str) -> ModuleType:
    """The module that calls a program in a framework. Raises `CallError` and `MissingFrameworkError`."""
    check_framework(name)
    try:
        if name == "keras":  # else the hook on its import would meet our module half imported
            importlib.import_module(name)
        return importlib.import_module(_ROOMS[name])
    except ModuleNotFoundError as error:
        raise not_installed(name) from error


def not_installed(name: str) -> MissingFrameworkError:
    return MissingFrameworkError(f"{name} is not installed\n  pip install 'actgrad[{name}]'")
