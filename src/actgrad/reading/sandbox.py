"""The surroundings in which a function is read: a copy of what it can reach, that answers for symbols.

`math.exp(symbol)` would ask the symbol for a plain float. So the function runs on a copy of its
globals and closure, in which known functions and builtins have their symbolic meaning, helper
functions and methods are themselves such copies, and everything that acts on the world refuses.
After each run the copies are compared with what they were: a function that changes them is impure.
"""

from __future__ import annotations

import abc
import array
import builtins
import collections
import datetime
import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from copy import copy as copy_of
from typing import Any

import numpy as np

from actgrad.errors import ImpureError, MixingError, UnboundedError
from actgrad.reading import flow, lookups, meanings, names, objects
from actgrad.reading.refusal import HOST, refuse
from actgrad.reading.symbol import Symbol, is_symbolic, reader, unknown
from actgrad.reading.wrappers import unwrap

_IMPURE_BUILTINS = (
    "print",
    "input",
    "open",
    "exec",
    "eval",
    "breakpoint",
    "globals",
    "setattr",
    "delattr",
)
_IMPURE_MODULES = frozenset(
    {
        *("random", "time", "secrets", "uuid", "os", "io", "sys", "socket", "subprocess"),
        *("threading", "logging", "pathlib", "tempfile"),
    }
)
_IMPURE_NAMES = frozenset(
    [
        "rand",
        "randn",
        "randint",
        "rand_like",
        "randn_like",
        "normal",
        "bernoulli",
        "save",
        "load",
        "print",
    ]
)


_IMPURE_OBJECTS = (
    "random.", "_random.", "io.", "_io.", "os.", "posix.", "logging.", "socket.", "subprocess.",
    "pathlib.", "tempfile.", "numpy.random.",
)  # fmt: skip
_OWN = ("actgrad.activation.", "actgrad.language.", "actgrad.reading.", "actgrad.frameworks.")
_CLOCKS = (datetime.datetime, datetime.date)


class Environment:
    """Copies of whatever the function can reach, each made once, and what they looked like."""

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}
        self._originals: list[Any] = []
        self._names: dict[int, str | None] = {}
        self._globals: dict[int, dict[str, Any]] = {}
        self._checks: list[Callable[[], str | None]] = []
        self._builtins = _symbolic_builtins() | {"__import__": self._import}
        self.uses_frameworks = False

    def _import(self, *args: Any, **kwargs: Any) -> Any:
        return self.copy(__import__(*args, **kwargs))

    def changed(self) -> str | None:
        """What the last run changed that outlives it, put back as it was where that is simple."""
        return next(filter(None, [check() for check in self._checks]), None)

    def copy(self, value: Any, name: str | None = None) -> Any:
        """What stands in for a value (that messages call by this name) while the function is read."""
        if value is None or isinstance(
            value, (int, float, complex, str, bytes, Symbol, np.generic)
        ):
            return value
        if id(value) not in self._copies:
            self._originals.append(value)
            self._names[id(value)] = name
            # A placeholder ends the recursion where something refers to itself.
            self._copies[id(value)] = value
            self._copies[id(value)] = self._make(value)
        return self._copies[id(value)]

    def _called(self, value: Any) -> str:
        name = self._names.get(id(value))
        kind = type(value).__name__
        return f"the {kind} {name!r}" if name else f"a {kind} that it refers to"

    def read(self, function: Any) -> Any:
        """A copy of a function that is run with symbols, also if a library has written it."""
        function = inspect.unwrap(function)
        if isinstance(function, types.FunctionType):
            return self._copied(function)
        return self.copy(function)

    def _make(self, value: Any) -> Any:
        if not callable(value) or names.meaning(value) is None:
            stand_in = objects.stand_in(self, value, self._names.get(id(value)))
            if stand_in is not None:
                return stand_in
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.ModuleType):
            return _Module(self, value)
        if isinstance(value, (list, dict, set, bytearray)) and type(value) in (
            list,
            dict,
            set,
            bytearray,
        ):
            return self._container(value)
        if isinstance(value, tuple) and type(value) is tuple:
            return lookups.table(tuple(map(self.copy, value)))
        if isinstance(value, np.ndarray):
            return self._array(value)
        switch = names.meaning(type(value))
        if isinstance(switch, type) and issubclass(switch, flow.Detached):
            return switch(getattr(value, "mode", None))
        if _is_tensor(value):
            self.uses_frameworks = True
            return lookups.constant_tensor(value)
        known = names.meaning(value) if callable(value) else None
        if known is not None:
            self.uses_frameworks |= names.takes_tensors(value)
            return known
        value = unwrap(value)
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
        if _root(value) in names.ROOTS and not _path(type(value)).startswith(_IMPURE_OBJECTS):
            return self._opaque(value)
        return self._instance(value)

    # Functions and the names they see.

    def _function(self, function: types.FunctionType) -> Any:
        # Of the builtins none is written in Python; a function that `exec` defined says it is one.
        root = "" if _root(function) == "builtins" else _root(function)
        if root in _IMPURE_MODULES:
            return _impure(f"{root}.{function.__name__}")
        if root in names.ROOTS:
            return self._followed(function)
        if root in sys.stdlib_module_names and root not in {"__main__", "this"}:
            return function
        if hasattr(function, "__actgrad_reads__") or _path(function).startswith(_OWN):
            return function
        return self._copied(function)

    def _followed(self, function: types.FunctionType) -> Any:
        """A library's function that has no meaning of its own: its Python code is read like a user's,
        and what stops the reading is told as a refusal of this function."""
        path = names.public_name(function)
        if _draws(path):
            return _impure(path)
        copies: list[Any] = []

        def call(*args: Any, **kwargs: Any) -> Any:
            if not names.stands_in(args, kwargs):
                return function(*args, **kwargs)
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
        self._copies[id(function)] = copy
        self._fill(copy.__globals__, function)
        copy.__dict__.update(self.copy(dict(vars(function))))
        attributes = dict(vars(copy))
        self._checks.append(
            lambda: (
                None
                if _same(vars(copy), attributes)
                else f"an attribute of the function {function.__name__!r}"
            )
        )
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

    def _watch_cell(self, name: str, cell: types.CellType) -> None:
        before = cell.cell_contents

        def changed() -> str | None:
            if cell.cell_contents is before:
                return None
            cell.cell_contents = before
            return f"{name!r} of the enclosing function"

        self._checks.append(changed)

    def _namespace(self, function: types.FunctionType) -> dict[str, Any]:
        original = function.__globals__
        if id(original) not in self._globals:
            self._originals.append(original)
            self._globals[id(original)] = namespace = dict(original)
            namespace["__builtins__"] = self._builtins
            self._checks.append(lambda: _changed_names(namespace))
            namespace[_SNAPSHOT] = {}
        return self._globals[id(original)]

    def _fill(self, namespace: dict[str, Any], function: types.FunctionType) -> None:
        """Put in copies of the names that the function mentions."""
        original = function.__globals__
        snapshot = namespace[_SNAPSHOT]
        if not snapshot:
            snapshot.update({key: item for key, item in namespace.items() if key != _SNAPSHOT})
        for name in _names(function.__code__):
            if name in original and name != "__builtins__":
                namespace[name] = snapshot[name] = self.copy(original[name], name)

    # Things that functions hold.

    def _container(self, value: Any) -> Any:
        if isinstance(value, (set, bytearray)):
            copy = value.copy()
            self._checks.append(lambda: None if copy == value else self._called(value))
            return copy
        copy = type(lookups.table(value))()
        self._copies[id(value)] = copy
        if isinstance(value, list):
            copy.extend(map(self.copy, value))
            before: Any = list(copy)
        else:
            copy.update({key: self.copy(item) for key, item in value.items()})
            before = dict(copy)
        self._checks.append(lambda: None if _same(copy, before) else self._called(value))
        return copy

    def _array(self, value: np.ndarray[Any, Any]) -> Any:
        view = (
            value.view(lookups.Table) if value.ndim == 1 and value.dtype != object else value.view()
        )
        view.flags.writeable = False
        return view

    def _class(self, kind: type) -> Any:
        """A user's class again, on copies of its bases and with copies of its methods."""
        if kind in names.KINDS:
            return names.KINDS[kind]
        known = names.meaning(kind)
        if known is not None:
            return known
        if kind in _CLOCKS:
            return _Clock(kind)
        if (
            _is_library(kind)
            or type(kind) not in (type, abc.ABCMeta)
            or _path(kind).startswith(_OWN)
        ):
            return kind
        bases = tuple(base if _is_library(base) else self.copy(base) for base in kind.__bases__)
        body = {
            name: item
            for name, item in vars(kind).items()
            if name not in {"__dict__", "__weakref__", "__init_subclass__"}
            and not isinstance(item, types.MemberDescriptorType)
        }
        shadow = type(kind)(kind.__name__, bases, body)
        self._copies[id(kind)] = shadow
        for name, item in body.items():
            if not name.startswith("__") or isinstance(item, _METHODS):
                setattr(shadow, name, self._member(item))
        before = _own_names(shadow)
        self._checks.append(
            lambda: None if _same(_own_names(shadow), before) else f"the class {kind.__name__}"
        )
        return shadow

    def _member(self, item: Any) -> Any:
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

    def _instance(self, value: Any) -> Any:
        """A user's object: a copy whose methods are read too, and whose attributes are watched."""
        kind = type(value)
        interpolant = lookups.stand_in(value)
        if interpolant is not None:
            return interpolant
        if _path(kind).startswith(_IMPURE_OBJECTS) and not isinstance(value, tuple):
            return _Refusing(_path(kind))
        if kind in _LIBRARY_CONTAINERS:
            return self._watched(copy_of(value), value)
        if hasattr(kind, "__actgrad_reads__") or _is_library(kind):
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
        self._copies[id(value)] = copy
        if base is not object:
            _FILLED[base](copy, value)
        for name, item in _attributes(value).items():
            object.__setattr__(copy, name, self.copy(item))
        return self._watched(copy, value)

    def _watched(self, copy: Any, value: Any) -> Any:
        name = self._called(value)
        parts = [_attributes] + [_contents] * isinstance(value, Iterable)
        before = [part(copy) for part in parts]
        self._checks.append(
            lambda: (
                None
                if all(_same(part(copy), old) for part, old in zip(parts, before, strict=True))
                else name
            )
        )
        return copy

    def _builtin_method(self, method: Any, owner: Any) -> Any:
        """A method of a C object that was taken off it, as in `from random import random`."""
        if type(owner).__module__ == "pybind11_builtins":
            return self._opaque(method)
        copy = self.copy(owner)
        # A function that a library has bound with pybind11 is a method of an object without attributes.
        own = None if copy is owner else getattr(copy, method.__name__, None)
        return self._opaque(method) if own is None else own

    def _opaque(self, value: Any) -> Any:
        """Software that cannot be followed: plain arguments pass, symbols are refused."""
        if isinstance(value, types.BuiltinFunctionType) and _root(value) in {
            "builtins",
            "_operator",
            "_functools",
        }:
            return value
        if not callable(value):
            return value
        path = names.public_name(value)
        if _root(value) in _IMPURE_MODULES or _draws(path) or _draws(_path(value)):
            return _impure(path)
        return _Opaque(self, value)


_METHODS = (types.FunctionType, staticmethod, classmethod, property, functools.cached_property)
_FILLED: dict[type, Callable[..., Any]] = {
    tuple: tuple.__init__,
    list: list.extend,
    dict: dict.update,
    set: set.update,
}
_LIBRARY_CONTAINERS = (
    collections.deque,
    collections.defaultdict,
    collections.OrderedDict,
    collections.Counter,
    array.array,
)


_TENSORS = frozenset({"torch", "tensorflow", "jax", "jaxlib"})


def _is_tensor(value: Any) -> bool:
    """Whether it is a constant array of a tensor library."""
    return _root(type(value)) in _TENSORS and hasattr(value, "shape") and hasattr(value, "dtype")


def _is_library(kind: type) -> bool:
    root = _root(kind)
    return root != "__main__" and (root in sys.stdlib_module_names or root in names.ROOTS)


def _own_names(kind: type) -> dict[str, Any]:
    return {name: item for name, item in vars(kind).items() if not name.startswith(("__", "_abc_"))}


class _Cached:
    """A `functools.cached_property` while a function is read: what was kept before is used, and nothing
    is kept."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else self.function(instance)


def _attributes(value: Any) -> dict[str, Any]:
    """What an object holds, in its `__dict__` and in its slots."""
    slots = {
        name: getattr(value, name)
        for kind in type(value).__mro__
        for name, item in vars(kind).items()
        if isinstance(item, types.MemberDescriptorType)
        and not _is_library(kind)
        and hasattr(value, name)
    }
    return slots | getattr(value, "__dict__", {})


def _contents(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(value)
    return list(value) if isinstance(value, (list, tuple, set, *_LIBRARY_CONTAINERS)) else []


_SNAPSHOT = "__actgrad_snapshot__"
# Python writes the second of these when a warning is given.
_NOT_THE_USERS = frozenset({_SNAPSHOT, "__warningregistry__"})


def _changed_names(namespace: dict[str, Any]) -> str | None:
    before = namespace[_SNAPSHOT]
    for name, value in namespace.items():
        if name not in _NOT_THE_USERS and before.get(name, namespace) is not value:
            if name in before:
                namespace[name] = before[name]
            return f"the global variable {name!r}"
    return None


def _same(now: Any, before: Any) -> bool:
    if len(now) != len(before):
        return False
    if isinstance(now, dict):
        return all(key in before and before[key] is item for key, item in now.items())
    return all(a is b for a, b in zip(now, before, strict=True))


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for item in code.co_consts:
        if isinstance(item, types.CodeType):
            yield from _names(item)


def _root(value: Any) -> str:
    """The top module in which a value is at home; a function where it was written, whatever it
    says that it wraps."""
    if isinstance(value, types.FunctionType):
        return str(value.__globals__.get("__name__") or "").partition(".")[0]
    module = getattr(value, "__module__", None)
    if not isinstance(module, str):
        module = type(value).__module__
    return module.partition(".")[0]


def _path(value: Any) -> str:
    module = getattr(value, "__module__", None)
    name = getattr(value, "__name__", None) or type(value).__name__
    return f"{module}.{name}" if module else name


def _draws(path: str) -> bool:
    """Whether a library's function draws random numbers, by its module or its name."""
    root, *folders = path.split(".")
    if root not in names.ROOTS or not folders:
        return False
    name = folders.pop()
    random = any(part == "random" or part.endswith("random_ops") for part in folders)
    return random or name in _IMPURE_NAMES


class _Module:
    """A module whose functions stand in for symbols as well; looked into only as far as it is used."""

    __actgrad_reads__ = True

    def __init__(self, environment: Environment, module: types.ModuleType) -> None:
        self.__dict__["_environment"], self.__dict__["_module"] = environment, module

    def __getattr__(self, name: str) -> Any:
        path = self._module.__name__
        root = path.partition(".")[0]
        value = getattr(self._module, name)
        if root in names.ROOTS and root not in {"numpy", "math", "scipy", "builtins"}:
            self._environment.uses_frameworks = True
        if callable(value) and (root in _IMPURE_MODULES or _draws(f"{path}.{name}")):
            return _impure(f"{path}.{name}")
        return self._environment.copy(value)

    def __setattr__(self, name: str, value: Any) -> None:
        _impure(f"{self._module.__name__}.{name} = ...")()


class _Opaque:
    """A library's function, or an object that can be called, whose code cannot be followed."""

    __actgrad_reads__ = True

    def __init__(self, environment: Environment, value: Any) -> None:
        self._environment, self._value = environment, value
        self.__name__ = getattr(value, "__name__", None) or type(value).__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if names.stands_in(args, kwargs):
            unknown(names.public_name(self._value))
        return self._value(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._environment.copy(getattr(self._value, name))


class _Refusing:
    """Stands for an object that acts on the world."""

    __actgrad_reads__ = True

    def __init__(self, path: str) -> None:
        self.__dict__["_path"] = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in {"__enter__", "__getitem__", "__call__"}:
            raise AttributeError(name)
        return _impure(f"{self._path}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        _impure(self._path)()

    __enter__ = __iter__ = __getitem__ = __call__


class _Clock:
    """Stands for `datetime` and `date`, which tell the time."""

    __actgrad_reads__ = True

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._kind, name)
        return (
            _impure(f"{self._kind.__name__}.{name}")
            if name in {"now", "today", "utcnow"}
            else found
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._kind(*args, **kwargs)


def _impure(name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        refuse(
            f"`{name}` does more than compute a number, and would act once, while the function is read, "
            f"and never again",
            "Pass what varies as an input or a parameter. " + HOST,
            ImpureError,
        )

    return call


def _symbolic_range(*bounds: Any) -> Iterator[Any] | range:
    """`range`, also up to a symbolic bound: one decision per turn."""
    if not is_symbolic(bounds):
        return range(*bounds)
    for bound in bounds:
        if isinstance(bound, Symbol):
            reader().settle(bound.expr)
    start, stop, step = (0, bounds[0], 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    if isinstance(step, Symbol):
        refuse("`range` with a symbolic step cannot be read", "Use a step that is a plain number.")
    return _count(start, stop, step)


def _count(start: Any, stop: Any, step: int) -> Iterator[Any]:
    while (start < stop) if step > 0 else (start > stop):
        yield start
        start = start + step


def _symbolic_type(*args: Any) -> Any:
    if len(args) == 1 and isinstance(args[0], Symbol):
        return names.KINDS[bool if args[0].expr.boolean else float]
    return type(*args)


def _symbolic_pow(base: Any, exponent: Any, modulus: Any = None) -> Any:
    if modulus is not None:
        return pow(base, exponent, modulus)
    if isinstance(base, Symbol) or isinstance(exponent, Symbol):
        return base**exponent
    try:
        return base**exponent
    except ArithmeticError:
        return meanings.power(base, exponent)


@functools.cache
def _symbolic_builtins() -> dict[str, Any]:
    changed: dict[str, Any] = {
        name: names.meaning(getattr(builtins, name))
        for name in ("abs", "max", "min", "any", "all", "round", "sum")
    }
    changed.update({kind.__name__: stand_in for kind, stand_in in names.KINDS.items()})
    changed.update(range=_symbolic_range, type=_symbolic_type, pow=_symbolic_pow)
    changed.update({name: _impure(name) for name in _IMPURE_BUILTINS})
    return vars(builtins) | changed
