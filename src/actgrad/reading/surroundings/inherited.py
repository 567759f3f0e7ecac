"""`super()` while a function is read: a module's stand-in finds the methods of its class's bases."""

from __future__ import annotations

import sys
import types
from typing import Any

from actgrad.reading.surroundings.objects import Object


class Inherited:
    """What `super()` is in a method of a module: the attributes of the classes after `kind`."""

    def __init__(self, kind: type, module: Object) -> None:
        self._kind, self._module = kind, module

    def __getattr__(self, name: str) -> Any:
        module = self._module
        original = module._original
        order = type(original).__mro__
        for base in order[order.index(self._kind) + 1 :]:
            if name in vars(base):
                item = vars(base)[name]
                break
        else:
            raise AttributeError(f"'super' object has no attribute {name!r}")
        if isinstance(item, property):
            return module._environment.copy(item.fget)(module)
        function = getattr(item, "method", item)  # Equinox wraps the methods of its modules
        if isinstance(function, types.FunctionType):
            return types.MethodType(module._environment.read(function), module)
        return module._environment.copy(getattr(super(self._kind, original), name))


def symbolic_super(environment: Any, *args: object) -> object:
    """`super`, whose first argument may be what stands in for a class, and the second for a module."""
    if not args:
        frame = sys._getframe(1)
        names = frame.f_code.co_varnames
        args = frame.f_locals["__class__"], frame.f_locals[names[0]]
    kind, *rest = args
    if rest and isinstance(rest[0], Object):
        return Inherited(environment.original(kind), rest[0])
    return super(*args)
