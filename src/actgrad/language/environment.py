"""The surroundings in which a function is read: a copy of what it can reach, that answers for symbols.

`math.exp(symbol)` would ask the symbol for a plain float. So the function runs on a copy of its
globals and closure, in which known functions and builtins have their symbolic meaning, helper
functions and methods are themselves such copies, and everything that acts on the world refuses.
After each run the copies are compared with what they were: a function that changes them is impure.
"""

from __future__ import annotations

import builtins
import functools
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from actgrad.errors import ImpureError
from actgrad.language import aliases, functions
from actgrad.language.symbol import HOST, Symbol, is_symbolic, reader, refuse

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
    ["random", "time", "secrets", "uuid", "os", "io", "sys", "socket", "subprocess", "datetime", "threading", "logging", "pathlib", "tempfile"]
)
_IMPURE_PATHS = frozenset(
    {"numpy.random", "jax.random", "keras.random", "tensorflow.random", "tf.random"}
)
_IMPURE_NAMES = frozenset(
    ["rand", "randn", "randint", "rand_like", "randn_like", "normal", "bernoulli", "save", "load", "print"]
)


class Environment:
    """Copies of whatever the function can reach, each made once, and what they looked like."""

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}
        self._originals: list[Any] = []
        self._globals: dict[int, dict[str, Any]] = {}
        self._checks: list[Callable[[], str | None]] = []
        self.uses_frameworks = False

    def check(self) -> None:
        """Refuse if the last run changed anything that outlives it."""
        for check in self._checks:
            changed = check()
            if changed:
                raise ImpureError(
                    f"the function changes {changed}, which outlives the call; "
                    f"it would happen once, while the function is read, and never again\n"
                    f"  Compute with local variables, and pass what varies as an input or a parameter. {HOST}"
                )

    def copy(self, value: Any) -> Any:
        """What stands in for a value while the function is read."""
        if value is None or isinstance(
            value, (int, float, complex, str, bytes, Symbol, np.generic)
        ):
            return value
        if id(value) not in self._copies:
            self._originals.append(value)
            # A placeholder ends the recursion where something refers to itself.
            self._copies[id(value)] = value
            self._copies[id(value)] = self._make(value)
        return self._copies[id(value)]

    def _make(self, value: Any) -> Any:
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
            return tuple(map(self.copy, value))
        if isinstance(value, np.ndarray):
            return self._array(value)
        known = aliases.meaning(value) if callable(value) else None
        if known is not None:
            return known
        value = unwrap(value)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.MethodType):
            return types.MethodType(self.copy(value.__func__), self.copy(value.__self__))
        if isinstance(value, functools.partial):
            keywords = {name: self.copy(item) for name, item in value.keywords.items()}
            return functools.partial(self.copy(value.func), *map(self.copy, value.args), **keywords)
        if (
            isinstance(value, (types.BuiltinFunctionType, np.ufunc))
            or _root(value) in aliases.ROOTS
        ):
            return self._opaque(value)
        return self._instance(value)

    # Functions and the names they see.

    def _function(self, function: types.FunctionType) -> Any:
        # Of the builtins none is written in Python; a function that `exec` defined says it is one.
        root = "" if _root(function) == "builtins" else _root(function)
        if root in _IMPURE_MODULES:
            return _impure(f"{root}.{function.__name__}")
        if root in aliases.ROOTS:
            return self._opaque(function)
        if root in sys.stdlib_module_names and root not in {"__main__", "this"}:
            return function
        if hasattr(function, "__actgrad_reads__"):
            return function
        cells = tuple(types.CellType() for _ in function.__closure__ or ())
        copy = types.FunctionType(
            function.__code__, self._namespace(function), function.__name__, None, cells or None
        )
        copy.__qualname__, copy.__module__ = function.__qualname__, function.__module__
        self._copies[id(function)] = copy
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
            cell.cell_contents = self.copy(content)
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
            namespace["__builtins__"] = _symbolic_builtins()
            self._checks.append(lambda: _changed_names(namespace))
            namespace[_SNAPSHOT] = {}
        namespace = self._globals[id(original)]
        snapshot = namespace[_SNAPSHOT]
        if not snapshot:
            snapshot.update({key: item for key, item in namespace.items() if key != _SNAPSHOT})
        for name in _names(function.__code__):
            if name in original and name != "__builtins__":
                namespace[name] = snapshot[name] = self.copy(original[name])
        return namespace

    # Things that functions hold.

    def _container(self, value: Any) -> Any:
        if isinstance(value, (set, bytearray)):
            copy = value.copy()
            self._checks.append(
                lambda: None if copy == value else f"a {type(value).__name__} that it refers to"
            )
            return copy
        copy = type(value)()
        self._copies[id(value)] = copy
        if isinstance(value, list):
            copy.extend(map(self.copy, value))
            before: Any = list(copy)
        else:
            copy.update({key: self.copy(item) for key, item in value.items()})
            before = dict(copy)
        self._checks.append(
            lambda: None if _same(copy, before) else f"a {type(value).__name__} that it refers to"
        )
        return copy

    def _array(self, value: np.ndarray[Any, Any]) -> Any:
        view = value.view()
        view.flags.writeable = False
        return view

    def _class(self, kind: type) -> Any:
        if kind in aliases.KINDS:
            return aliases.KINDS[kind]
        known = aliases.meaning(kind)
        if known is not None:
            return known
        if _root(kind) in sys.stdlib_module_names | aliases.ROOTS and _root(kind) != "__main__":
            return kind
        if type(kind) is not type or "__slots__" in vars(kind):
            return kind
        body = {
            name: self._member(item)
            for name, item in vars(kind).items()
            if isinstance(item, (types.FunctionType, staticmethod, classmethod, property))
        }
        shadow = type(kind.__name__, (kind,), {})
        shadow.__module__, shadow.__qualname__ = kind.__module__, kind.__qualname__
        self._copies[id(kind)] = shadow
        for name, item in body.items():
            setattr(shadow, name, item)
        return shadow

    def _member(self, item: Any) -> Any:
        if isinstance(item, (staticmethod, classmethod)):
            return type(item)(self.copy(item.__func__))
        if isinstance(item, property):
            return property(
                *(accessor and self.copy(accessor) for accessor in (item.fget, item.fset))
            )
        return self.copy(item)

    def _instance(self, value: Any) -> Any:
        """A user's object: a copy whose methods are read too, and whose attributes are watched."""
        if hasattr(type(value), "__actgrad_reads__") or not hasattr(value, "__dict__"):
            return value
        if _root(value) in sys.stdlib_module_names and _root(value) != "__main__":
            return value
        shadow = self.copy_with_bases(type(value))
        try:
            copy: Any = object.__new__(shadow)
        except TypeError:
            return value
        self._copies[id(value)] = copy
        vars(copy).update({name: self.copy(item) for name, item in vars(value).items()})
        before = dict(vars(copy))
        self._checks.append(
            lambda: (
                None if _same(vars(copy), before) else f"an attribute of its {type(value).__name__}"
            )
        )
        return copy

    def copy_with_bases(self, kind: type) -> type:
        """The class with the methods it inherits copied as well."""
        shadow = self.copy(kind)
        if shadow is not kind:
            for base in kind.__mro__[1:-1]:
                if _root(base) not in sys.stdlib_module_names or _root(base) == "__main__":
                    for name, item in vars(base).items():
                        if isinstance(item, types.FunctionType) and name not in vars(shadow):
                            setattr(shadow, name, self.copy(item))
        return shadow  # type: ignore[no-any-return]

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
        if _root(value) in _IMPURE_MODULES or _path(value).startswith(tuple(_IMPURE_PATHS)):
            return _impure(_path(value))

        def call(*args: Any, **kwargs: Any) -> Any:
            if is_symbolic(args) or is_symbolic(kwargs):
                refuse(
                    f"`{_path(value)}` is not among the operations that actgrad can read",
                    "The vocabulary is in actgrad.language.ops: compose the function of those. "
                    + HOST,
                )
            return value(*args, **kwargs)

        return call


_SNAPSHOT = "__actgrad_snapshot__"


def _changed_names(namespace: dict[str, Any]) -> str | None:
    before = namespace[_SNAPSHOT]
    for name, value in namespace.items():
        if name != _SNAPSHOT and before.get(name, namespace) is not value:
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
    module = getattr(value, "__module__", None)
    if not isinstance(module, str):
        module = type(value).__module__
    return module.partition(".")[0]


def _path(value: Any) -> str:
    module = getattr(value, "__module__", None)
    return f"{module}.{value.__name__}" if module else getattr(value, "__name__", repr(value))


def unwrap(function: Any) -> Any:
    """The Python function inside what libraries wrap around one."""
    for attribute in ("pyfunc", "py_func", "python_function", "_torchdynamo_orig_callable"):
        inner = vars(function).get(attribute) if hasattr(function, "__dict__") else None
        inner = inner or (getattr(function, attribute, None) if attribute == "py_func" else None)
        if callable(inner):
            return unwrap(inner)
    if (
        isinstance(function, functools._lru_cache_wrapper)
        or type(function).__name__ == "PjitFunction"
    ):
        return unwrap(function.__wrapped__)
    return function


class _Module:
    """A module whose functions stand in for symbols as well; looked into only as far as it is used."""

    def __init__(self, environment: Environment, module: types.ModuleType) -> None:
        self.__dict__["_environment"], self.__dict__["_module"] = environment, module

    def __getattr__(self, name: str) -> Any:
        path = self._module.__name__
        root = path.partition(".")[0]
        value = getattr(self._module, name)
        if root in aliases.ROOTS and root not in {"numpy", "math", "scipy", "builtins"}:
            self._environment.uses_frameworks = True
        if callable(value) and (
            root in _IMPURE_MODULES
            or any(path.startswith(impure) for impure in _IMPURE_PATHS)
            or (root in aliases.ROOTS and name in _IMPURE_NAMES)
        ):
            return _impure(f"{path}.{name}")
        return self._environment.copy(value)

    def __setattr__(self, name: str, value: Any) -> None:
        _impure(f"{self._module.__name__}.{name} = ...")()


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
        return aliases.KINDS[bool if args[0].expr.boolean else float]
    return type(*args)


def _symbolic_pow(base: Any, exponent: Any, modulus: Any = None) -> Any:
    if modulus is not None:
        return pow(base, exponent, modulus)
    if isinstance(base, Symbol) or isinstance(exponent, Symbol):
        return base**exponent
    try:
        return base**exponent
    except ArithmeticError:
        return functions.power(base, exponent)


@functools.cache
def _symbolic_builtins() -> dict[str, Any]:
    changed: dict[str, Any] = {
        name: aliases.meaning(getattr(builtins, name))
        for name in ("abs", "max", "min", "any", "all", "round")
    }
    changed.update({kind.__name__: stand_in for kind, stand_in in aliases.KINDS.items()})
    changed.update(range=_symbolic_range, type=_symbolic_type, pow=_symbolic_pow)
    changed.update({name: _impure(name) for name in _IMPURE_BUILTINS})
    return vars(builtins) | changed
