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

BACKENDS: tuple[Backend, ...] = get_args(Backend)
FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)


def framework_module(name: str) -> ModuleType:
    """The module of actgrad for a framework. Raises `CallError` and `MissingFrameworkError`."""
    if name not in FRAMEWORKS:
        hint = did_you_mean(name, FRAMEWORKS, f"there are {', '.join(FRAMEWORKS)}")
        raise CallError(f"no framework {name!r}; {hint}")
    try:
        if name == "keras":  # else the hook on its import would meet our module half imported
            importlib.import_module(name)
        return importlib.import_module(f"actgrad.frameworks.{name}")
    except ModuleNotFoundError as error:
        raise not_installed(name) from error


def not_installed(name: str) -> MissingFrameworkError:
    return MissingFrameworkError(f"{name} is not installed\n  pip install 'actgrad[{name}]'")
