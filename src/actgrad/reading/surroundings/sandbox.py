"""The surroundings in which a function is read: a copy of what it can reach, that answers for symbols.

`math.exp(symbol)` would ask the symbol for a plain float. So the function runs on a copy of its
globals and closure, in which known functions and builtins have their symbolic meaning, helper
functions and methods are themselves such copies, and everything that acts on the world refuses.
After each run the copies are compared with what they were: a function that changes them is impure.
"""

from __future__ import annotations

import abc
import array
import datetime
import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterable
from copy import copy as copy_of
from typing import Any

import numpy as np

from actgrad.common.types import Array, Fields
from actgrad.errors import ImpureError, MixingError, UnboundedError
from actgrad.reading.libraries import flow, lookups, names
from actgrad.reading.reader import unknown
from actgrad.reading.surroundings import inherited, objects, torch_distributions
from actgrad.reading.surroundings.impure import (
    IMPURE_MODULES,
    IMPURE_OBJECTS,
    Clock,
    Refusing,
    acts,
    impure,
)
from actgrad.reading.surroundings.library_code import Module, Opaque
from actgrad.reading.surroundings.linen import Class
from actgrad.reading.surroundings.origins import is_library, is_tensor, path_of, root_of
from actgrad.reading.surroundings.python_builtins import symbolic_builtins
from actgrad.reading.surroundings.snapshots import (
    LIBRARY_CONTAINERS,
    SNAPSHOT,
    attributes_of,
    changed_names,
    contents_of,
    own_names,
    same_items,
)
from actgrad.reading.surroundings.wrappers import is_wrapping_object, unwrap
from actgrad.reading.symbol import Symbol
from actgrad.reading.witnesses.native import names_in

_OWN = ("actgrad.activation.", "actgrad.language.", "actgrad.reading.", "actgrad.frameworks.")
_CLOCKS = (datetime.datetime, datetime.date)


class Environment:
    """Copies of whatever the function can reach, each made once, and what they looked like."""

    def __init__(self) -> None:
        self.copies: dict[int, Any] = {}
        self._originals: list[object] = []
        self._names: dict[int, str | None] = {}
        self._globals: dict[int, dict[str, object]] = {}
        self._checks: list[Callable[[], str | None]] = []
        self._builtins = symbolic_builtins() | {
            "__import__": self._import,
            "super": functools.partial(inherited.symbolic_super, self),
        }
        self.weights: dict[tuple[int, str], object] = {}
        """What stands in for a weight, by its owner and its name."""
        self.calls = 0
        """How many modules are being called, one within the other."""
        self.calling: list[Any] = []
        """The Linen modules among them."""

    def _import(self, *args: Any, **kwargs: Any) -> object:
        return self.copy(__import__(*args, **kwargs))

    def original(self, kind: Any) -> object:
        """The class of the user's that something stands in for."""
        return next((o for o in self._originals if self.copies.get(id(o)) is kind), kind)

    def changed(self) -> str | None:
        """What the last run changed that outlives it, put back as it was where that is simple."""
        return next(filter(None, [check() for check in self._checks]), None)

    def copy(self, value: object, name: str | None = None) -> Any:
        """What stands in for a value (that messages call by this name) while the function is read."""
        if value is None or isinstance(
            value, (int, float, complex, str, bytes, Symbol, np.generic)
        ):
            return value
        if id(value) not in self.copies:
            self._originals.append(value)
            self._names[id(value)] = name
            # A placeholder ends the recursion where something refers to itself.
            self.copies[id(value)] = value
            self.copies[id(value)] = self._make(value)
        return self.copies[id(value)]

    def _called(self, value: object) -> str:
        name = self._names.get(id(value))
        kind = type(value).__name__
        return f"the {kind} {name!r}" if name else f"a {kind} that it refers to"

    def read(self, function: Any) -> Any:
        """A copy of a function that is run with symbols, also if a library has written it."""
        function = inspect.unwrap(function)
        if isinstance(function, types.FunctionType):
            return self._copied(function)
        return self.copy(function)

    def _make(self, value: object) -> object:
        if is_wrapping_object(value):
            return self.copy(unwrap(value))
        if not callable(value) or names.meaning(value) is None:
            stand_in = objects.stand_in(self, value, self._names.get(id(value)))
            if stand_in is None:
                stand_in = torch_distributions.stand_in(self, value)
            if stand_in is not None:
                return stand_in
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.ModuleType):
            return Module(self, value)
        if type(value) in (list, dict, set, bytearray):
            return self._container(value)
        if type(value) is tuple:
            return lookups.table(tuple(map(self.copy, value)))
        if isinstance(value, array.array):
            return lookups.table(tuple(value))
        if isinstance(value, np.ndarray):
            return self._array(value)
        switch = names.meaning(type(value))
        if isinstance(switch, type) and issubclass(switch, flow.Detached):
            return switch(getattr(value, "mode", None))
        if is_tensor(value):
            return lookups.constant_tensor(value)
        known = names.meaning(value) if callable(value) else None
        if known is not None:
            return known
        inner = unwrap(value)
        if inner is not value:
            return self.copy(inner)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.MethodType):
            owner = self.copy(value.__self__)
            if isinstance(owner, flow.Detached):
                return getattr(owner, value.__name__)
            return types.MethodType(self.copy(value.__func__), owner)
        if isinstance(value, functools.partial):
            keywords = {name: self.copy(item) for name, item in value.keywords.items()}
            return functools.partial(self.copy(value.func), *map(self.copy, value.args), **keywords)
        owner = getattr(value, "__self__", None)
        if isinstance(value, types.BuiltinFunctionType) and not isinstance(owner, types.ModuleType):
            return self._builtin_method(value, owner)
        if isinstance(value, (np.ufunc, types.BuiltinFunctionType)):
            return self._opaque(value)
        if root_of(value) in names.ROOTS and not path_of(type(value)).startswith(IMPURE_OBJECTS):
            return self._opaque(value)
        return self._instance(value)

    # Functions and the names they see.

    def _function(self, function: types.FunctionType) -> object:
        # Of the builtins none is written in Python; a function that `exec` defined says it is one.
        root = "" if root_of(function) == "builtins" else root_of(function)
        if root in IMPURE_MODULES:
            return impure(f"{root}.{function.__name__}")
        if root in names.ROOTS:
            return self._followed(function)
        if root in sys.stdlib_module_names and root not in {"__main__", "this"}:
            return function
        if path_of(function).startswith(_OWN):
            return function
        return self._copied(function)

    def _followed(self, function: types.FunctionType) -> object:
        """A library's function that has no meaning of its own: its Python code is read like a user's,
        and what stops the reading is told as a refusal of this function."""
        path = names.public_name(function)
        if acts(path):
            return impure(path)
        copies: list[Any] = []

        def call(*args: object, **kwargs: object) -> Any:
            if not names.stands_in(args, kwargs):
                made = function(*args, **kwargs)
                # `keras.activations.get("silu")` is called with symbols; `jax.jacrev(g)` cannot be.
                plain = isinstance(made, types.FunctionType) and not hasattr(made, "__wrapped__")
                return self.copy(made) if plain else made
            if not copies:
                copies.append(self._copied(function))
            try:
                return copies[0](*args, **kwargs)
            except (ImpureError, MixingError, UnboundedError):
                raise
            except Exception as error:
                unknown(path, error)

        call.__name__ = function.__name__
        return call

    def _copied(self, function: types.FunctionType) -> types.FunctionType:
        cells = tuple(types.CellType() for _ in function.__closure__ or ())
        copy = types.FunctionType(
            function.__code__, self._namespace(function), function.__name__, None, cells or None
        )
        copy.__qualname__, copy.__module__ = function.__qualname__, function.__module__
        self.copies[id(function)] = copy
        self._fill(copy.__globals__, function)
        copy.__dict__.update(self.copy(dict(vars(function))))
        attribute = f"an attribute of the function {function.__name__!r}"
        self._watch(attribute, lambda: dict(vars(copy)))
        copy.__defaults__ = self.copy(function.__defaults__)
        copy.__kwdefaults__ = (
            {name: self.copy(item) for name, item in function.__kwdefaults__.items()}
            if function.__kwdefaults__
            else None
        )
        for name, cell, original in zip(
            function.__code__.co_freevars, cells, function.__closure__ or (), strict=True
        ):
            try:
                content = original.cell_contents
            except ValueError:  # an empty cell: a name bound later
                continue
            cell.cell_contents = self.copy(content, name)
            self._watch_cell(name, cell)
        return copy

    def _watch(self, name: str, held: Callable[[], object]) -> None:
        """Look, after each run, whether what is held here is still the same."""
        before = held()
        self._checks.append(lambda: None if same_items(held(), before) else name)

    def _watch_cell(self, name: str, cell: types.CellType) -> None:
        before = cell.cell_contents

        def changed() -> str | None:
            if cell.cell_contents is before:
                return None
            cell.cell_contents = before
            return f"{name!r} of the enclosing function"

        self._checks.append(changed)

    def _namespace(self, function: types.FunctionType) -> dict[str, object]:
        original = function.__globals__
        if id(original) not in self._globals:
            self._originals.append(original)
            self._globals[id(original)] = namespace = dict(original)
            namespace["__builtins__"] = self._builtins
            self._checks.append(lambda: changed_names(namespace))
            namespace[SNAPSHOT] = {}
        return self._globals[id(original)]

    def _fill(self, namespace: Fields, function: types.FunctionType) -> None:
        """Put in copies of the names that the function mentions."""
        original = function.__globals__
        snapshot = namespace[SNAPSHOT]
        if not snapshot:
            snapshot.update({key: item for key, item in namespace.items() if key != SNAPSHOT})
        for name in names_in(function.__code__):
            if name in original and name != "__builtins__":
                namespace[name] = snapshot[name] = self.copy(original[name], name)

    # Things that functions hold.

    def _container(self, value: Any) -> object:
        if isinstance(value, (set, bytearray)):
            copy = value.copy()
            self._checks.append(lambda: None if copy == value else self._called(value))
            return copy
        copy = type(lookups.table(value))()
        self.copies[id(value)] = copy
        if isinstance(value, list):
            copy.extend(map(self.copy, value))
        else:
            copy.update({key: self.copy(item) for key, item in value.items()})
        self._watch(self._called(value), lambda: contents_of(copy))
        return copy

    def _array(self, value: Array) -> object:
        view = value.view(lookups.Table) if value.ndim == 1 else value.view()
        view.flags.writeable = False
        return view

    def _class(self, kind: type) -> object:
        """A user's class again, on copies of its bases and with copies of its methods."""
        if kind in names.KINDS:
            return names.KINDS[kind]
        known = names.meaning(kind)
        if known is not None:
            return known
        if kind in _CLOCKS:
            return Clock(kind)
        if objects.is_layer(kind):
            return Class(self, kind)
        if (
            is_library(kind)
            or not (type(kind) in (type, abc.ABCMeta) or root_of(type(kind)) == "haiku")
            or path_of(kind).startswith(_OWN)
        ):
            return kind
        bases = tuple(base if is_library(base) else self.copy(base) for base in kind.__bases__)
        body = {
            name: item
            for name, item in vars(kind).items()
            if name not in {"__dict__", "__weakref__", "__init_subclass__"}
            and not isinstance(item, types.MemberDescriptorType)
        }
        shadow = type(kind)(kind.__name__, bases, body)
        self.copies[id(kind)] = shadow
        for name, item in body.items():
            if name == "__call__" or not name.startswith("__") or isinstance(item, _METHODS):
                setattr(shadow, name, self.member(item))
        self._watch(f"the class {kind.__name__}", lambda: own_names(shadow))
        return shadow

    def member(self, item: object) -> object:
        if isinstance(item, (staticmethod, classmethod)):
            return type(item)(self.copy(item.__func__))
        if isinstance(item, property):
            return property(
                *(accessor and self.copy(accessor) for accessor in (item.fget, item.fset))
            )
        if isinstance(item, functools.cached_property):
            return _Cached(self.copy(item.func))
        copy = self.copy(item)
        # `act = math.tanh` in a class body is no method, so what stands in for it must not be one.
        binds = isinstance(copy, types.FunctionType) and not isinstance(item, types.FunctionType)
        return staticmethod(copy) if binds else copy

    def _instance(self, value: Any) -> object:
        """A user's object: a copy whose methods are read too, and whose attributes are watched."""
        kind = type(value)
        interpolant = lookups.stand_in(value)
        if interpolant is not None:
            return interpolant
        if path_of(kind).startswith(IMPURE_OBJECTS) and not isinstance(value, tuple):
            return Refusing(path_of(kind))
        if kind in LIBRARY_CONTAINERS:
            return self._watched(copy_of(value), value)
        if is_library(kind) or any(path_of(base).startswith(_OWN) for base in kind.__mro__):
            return value
        shadow = self.copy(kind)
        if shadow is kind:
            return value
        base: Any = next((base for base in _FILLED if isinstance(value, base)), object)
        if base is tuple:
            return tuple.__new__(shadow, map(self.copy, value))
        try:
            copy = base.__new__(shadow)
        except TypeError:
            return value
        self.copies[id(value)] = copy
        if base is not object:
            _FILLED[base](copy, value)
        for name, item in attributes_of(value).items():
            object.__setattr__(copy, name, self.copy(item))
        return self._watched(copy, value)

    def _watched(self, copy: object, value: object) -> object:
        self._watch(self._called(value), lambda: attributes_of(copy))
        if isinstance(value, Iterable):
            self._watch(self._called(value), lambda: contents_of(copy))
        return copy

    def _builtin_method(self, method: Any, owner: object) -> object:
        """A method of a C object that was taken off it, as in `from random import random`."""
        if type(owner).__module__ == "pybind11_builtins":
            return self._opaque(method)
        copy = self.copy(owner)
        # A function that a library has bound with pybind11 is a method of an object without attributes.
        own = None if copy is owner else getattr(copy, method.__name__, None)
        return self._opaque(method) if own is None else own

    def _opaque(self, value: object) -> object:
        """Software that cannot be followed: plain arguments pass, symbols are refused."""
        if isinstance(value, types.BuiltinFunctionType) and root_of(value) in {
            "builtins",
            "_operator",
            "_functools",
        }:
            return value
        if not callable(value):
            return value
        path = names.public_name(value)
        if acts(path) or acts(path_of(value)):
            return impure(path)
        return Opaque(self, value)


_METHODS = (types.FunctionType, staticmethod, classmethod, property, functools.cached_property)
_FILLED: dict[type, Callable[..., object]] = {
    tuple: tuple.__init__,
    list: list.extend,
    dict: dict.update,
    set: set.update,
}


class _Cached:
    """A `functools.cached_property` while a function is read: what was kept before is used, and nothing
    is kept."""

    def __init__(self, function: Callable[[object], object]) -> None:
        self.function = function

    def __get__(self, instance: object, owner: object = None) -> object:
        return self if instance is None else self.function(instance)
