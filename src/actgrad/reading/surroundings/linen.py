"""Modules of Flax Linen, which are given their weights: `module.apply(variables, x)`, `module.bind`.

While a function is read, a stand-in answers for the module: its methods run on the stand-in with symbols, and
`self.param` gives the value that the variables have under its name.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any

from actgrad.common.types import Fields
from actgrad.reading.reader import Environment
from actgrad.reading.refusal import changes_attribute, draws_random, refuse
from actgrad.reading.surroundings.origins import public
from actgrad.reading.surroundings.weights import is_any

KIND = "flax.linen.Module"


class Linen:
    """Stands in for a module, alone or as a part of another."""

    def __init__(
        self,
        environment: Environment,
        original: Any,
        variables: object = None,
        values: Fields | None = None,
    ) -> None:
        """`variables`: those that it was given; `values`: what stands in for its numbers, as in `numbers`."""
        vars(self).update(
            _environment=environment, _original=original, _given=variables is not None
        )
        vars(self).update(_values=values or {}, _path=(), _parts={}, _state="new", _count={})
        # Those of the whole module, whose part at `_path` this is.
        bound = variables is None and original.scope is not None
        vars(self)["_variables"] = original.variables if bound else variables

    def bind(self, variables: object, *_: object, **__: object) -> Linen:
        return Linen(self._environment, self._original, variables, self._values)

    def apply(
        self,
        variables: object,
        *args: object,
        rngs: object = None,
        method: Any = None,
        mutable: object = False,
        capture_intermediates: object = False,
        **kwargs: object,
    ) -> object:
        if mutable or capture_intermediates:
            refuse(
                f"{type(self._original).__name__!r} is applied with variables that it changes",
                "Leave `mutable=` and `capture_intermediates=` out: an activation keeps no state.",
            )
        bound = self.bind(variables)
        if isinstance(method, str):
            return getattr(bound, method)(*args, **kwargs)
        return bound(*args, **kwargs) if method is None else method(bound, *args, **kwargs)

    def init(self, *_: object, **__: object) -> object:
        draws_random(f"{type(self._original).__name__}.init")

    make_rng = init

    # What the methods of a module ask of it.

    def param(self, name: str, *_: object, **__: object) -> object:
        found = self._values.get(".".join((*self._path, name)))
        if found is not None:
            return found
        here = self._variables
        for key in ("params", *self._path, name):
            here = here[key] if here is not None and key in here else None
        if here is None:
            refuse(
                f"{type(self._original).__name__!r} has no value for its parameter {name!r}",
                "Give it: `module.bind(module.init(key, x))`, or `module.apply(variables, x)`.",
            )
        return self._environment.copy(here)

    def has_variable(self, collection: str, name: str) -> bool:
        here = self._variables or {}
        for key in (collection, *self._path, name):
            if key not in here:
                return False
            here = here[key]
        return True

    def is_initializing(self) -> bool:
        return False

    def is_mutable_collection(self, collection: str) -> bool:
        return False

    def sow(self, *_: object, **__: object) -> bool:
        return False

    @property
    def name(self) -> object:
        return self._path[-1] if self._path else self._original.name

    def __getattr__(self, name: str) -> Any:
        original, environment, parts = self._original, self._environment, self._parts
        if name in parts:
            return parts[name]
        if ".".join((*self._path, name)) in self._values:
            return self._values[".".join((*self._path, name))]
        fields = vars(original)
        if name in fields:
            parts[name] = self._adopted(environment.copy(fields[name]), name)
            return parts[name]
        static = inspect.getattr_static(type(original), name, None)
        if isinstance(static, property):
            return environment.copy(static.fget)(self)
        if isinstance(static, types.FunctionType):
            return types.MethodType(environment.read(static), self)
        if static is not None:
            return environment.copy(getattr(type(original), name))
        if self._state == "new" and not name.startswith("__"):
            vars(self)["_state"] = "setup"
            environment.read(type(original).setup)(self)
            vars(self)["_state"] = "ready"
            return getattr(self, name)
        raise AttributeError(f"{type(original).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        if self._state != "setup":
            changes_attribute(self._original, name)
        self._parts[name] = self._adopted(value, name)

    def _adopted(self, value: object, name: str) -> object:
        """A module, or a list or dict of them, as a part of this one."""
        if isinstance(value, (list, tuple)):
            return type(value)(self._adopted(part, f"{name}_{i}") for i, part in enumerate(value))
        if isinstance(value, dict):
            return {key: self._adopted(part, f"{name}_{key}") for key, part in value.items()}
        if isinstance(value, Linen) and not value._given:
            path = (*self._path, value._original.name or name)
            vars(value).update(_variables=self._variables, _values=self._values, _path=path)
        return value

    def __call__(self, *args: object, **kwargs: object) -> object:
        calling = self._environment.calling
        vars(self)["_count"] = {}
        calling.append(self)
        try:
            function = inspect.getattr_static(type(self._original), "__call__")
            return self._environment.read(function)(self, *args, **kwargs)
        finally:
            calling.pop()


class Class:
    """Stands in for the class of a module, or of a Keras layer, whose objects are stood in for."""

    def __init__(self, environment: Environment, kind: Any) -> None:
        self.environment, self.kind = environment, kind

    def __call__(self, *args: object, **kwargs: object) -> object:
        made = self.environment.copy(self.kind(*args, **kwargs))
        outer = self.environment.calling[-1] if self.environment.calling else None
        if isinstance(made, Linen) and outer is not None and outer._state != "setup":
            name, number = self.kind.__name__, outer._count.get(self.kind.__name__, 0)
            outer._count[name] = number + (made._original.name is None)
            outer._adopted(made, f"{name}_{number}")
        return made

    def __getattr__(self, name: str) -> object:
        return self.environment.read(inspect.getattr_static(self.kind, name))


def is_linen(value: object) -> bool:
    return is_any(value, (KIND,)) is not None


def is_linen_class(kind: type) -> bool:
    module = public(KIND)
    return module is not None and issubclass(kind, module) and kind is not module


def numbers(original: Any) -> Iterator[tuple[str, Any]]:
    """The numbers of a module: those that it was made with, and its parameters, if it is bound."""
    yield from ((n, v) for n, v in vars(original).items() if not n.startswith("_"))
    if original.scope is not None:
        yield from _leaves(original.variables.get("params", {}), ())


def _leaves(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name, part in tree.items():
        if isinstance(part, Mapping):
            yield from _leaves(part, (*path, name))
        else:
            yield ".".join((*path, name)), part
