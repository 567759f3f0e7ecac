"""Stand-ins for modules and for library functions whose code cannot be followed."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

from actgrad.reading.libraries import names
from actgrad.reading.reader import Environment, unknown
from actgrad.reading.surroundings.impure import acts, impure
from actgrad.reading.surroundings.origins import root_of


class Module:
    """A module whose functions stand in for symbols as well; looked into only as far as it is used."""

    def __init__(self, environment: Environment, module: types.ModuleType) -> None:
        self.__dict__["_environment"], self.__dict__["_module"] = environment, module

    def __getattr__(self, name: str) -> Any:
        path = f"{self._module.__name__}.{name}"
        value = getattr(self._module, name)
        if callable(value) and acts(path):
            return impure(path)
        return self._environment.copy(value)

    def __setattr__(self, name: str, value: object) -> None:
        impure(f"{self._module.__name__}.{name} = ...")()


class Opaque:
    """A library's function, or an object that can be called, whose code cannot be followed."""

    def __init__(self, environment: Environment, value: Callable[..., object]) -> None:
        self._environment, self._value = environment, value
        self.__name__ = getattr(value, "__name__", None) or type(value).__name__

    def __call__(self, *args: object, **kwargs: object) -> Any:
        kwargs = names.like_input(root_of(self._value), args, kwargs)
        if names.stands_in(args, kwargs):
            names.refuse_tokens(args, kwargs)
            unknown(names.public_name(self._value))
        return self._value(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._environment.copy(getattr(self._value, name))


class KerasBackend:
    """What Keras's preprocessing layers call `self.backend`: functions of the backend at work, which
    `keras.ops` offers under the same names."""

    def __init__(self, environment: Environment, original: object) -> None:
        self._environment, self._original = environment, original

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in ("core", "numpy", "nn", "math"):
            return self
        own = getattr(sys.modules["keras"].ops, name, None)
        return self._environment.copy(getattr(self._original, name) if own is None else own)


def is_keras_backend(value: object) -> bool:
    kind = type(value)
    return kind.__name__ == "DynamicBackend" and kind.__module__.startswith("keras.")
