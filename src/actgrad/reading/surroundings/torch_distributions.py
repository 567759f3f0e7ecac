"""The distributions of PyTorch that `distributions` has no law for: their own code is read."""

from __future__ import annotations

from typing import Any

from actgrad.reading.libraries import names
from actgrad.reading.libraries.mixing import DRAW
from actgrad.reading.reader import Environment
from actgrad.reading.refusal import refuse
from actgrad.reading.surroundings.objects import Object
from actgrad.reading.surroundings.origins import public


def stand_in(environment: Environment, value: object) -> object:
    """What stands in for a distribution or a class of them, or None."""
    base = public("torch.distributions.Distribution")
    if base is None:
        return None
    if isinstance(value, type):
        return _Class(environment, value) if issubclass(value, base) else None
    return _Distribution(environment, value, "", {}) if isinstance(value, base) else None


def _path(kind: type) -> str:
    return f"torch.distributions.{kind.__name__}"


class _Distribution(Object):
    """A distribution whose parameters are constants."""

    def __getattr__(self, name: str) -> object:
        if name in DRAW:
            return names.drawing(f"{_path(type(self._original))}.{name}")
        if name == "_validate_args":
            return False  # it would ask whether the input is a tensor
        return super().__getattr__(name)


class _OfInput:
    """A distribution with a parameter that depends on the input."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in DRAW:
            return names.drawing(f"{self._path}.{name}")
        refuse(
            f"`{self._path}` with a parameter that depends on the input",
            f"Write out what `{name}` computes of it.",
        )


class _Class:
    """A class of distributions."""

    def __init__(self, environment: Environment, kind: type) -> None:
        self._environment, self._kind = environment, kind
        self.__name__ = kind.__name__

    def __call__(self, *args: object, **kwargs: object) -> Any:
        if names.stands_in(args, kwargs):
            return _OfInput(_path(self._kind))
        return self._environment.copy(self._kind(*args, **kwargs))

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._environment.copy(getattr(self._kind, name))
