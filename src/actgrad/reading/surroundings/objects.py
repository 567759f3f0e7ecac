"""Objects as functions: a PyTorch module by its `forward`, a Keras layer by its `call`, Flax NNX and
Equinox modules by their `__call__`.

While a function is read, a stand-in answers for the object: its methods run on the stand-in with symbols.
Passed to `activation` directly, the object's weights and number attributes become parameters.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NoReturn, TypeVar

from actgrad.common.types import Fields, Function
from actgrad.errors import DefinitionError, TraceError
from actgrad.reading.derivatives import custom
from actgrad.reading.libraries import distributions
from actgrad.reading.reader import Environment
from actgrad.reading.refusal import changes_attribute, refuse, user_line
from actgrad.reading.surroundings import many_digits
from actgrad.reading.surroundings.library_code import KerasBackend, is_keras_backend
from actgrad.reading.surroundings.linen import KIND, Linen, is_linen, is_linen_class, numbers
from actgrad.reading.surroundings.origins import public
from actgrad.reading.surroundings.weights import in_place_of, is_any, is_weight, number_of

Item = TypeVar("Item")

_KINDS = {
    "torch.nn.Module": "forward",
    "keras.layers.Layer": "call",
    "flax.nnx.Module": "__call__",
    KIND: "__call__",
    "equinox.Module": "__call__",
}
"""The classes of objects that are read, and the method that is their function."""


def method_of(value: object) -> str | None:
    """The name of the method that is the function of this object, if it is one that is read so."""
    if isinstance(value, (type, types.FunctionType)):
        return None
    kind = is_any(value, _KINDS)
    return _KINDS[kind] if kind else None


def is_layer(kind: type) -> bool:
    """Whether it is the class of a Keras layer or a Linen module, whose own call takes tensors alone."""
    layer = public("keras.layers.Layer")
    return (layer is not None and issubclass(kind, layer)) or is_linen_class(kind)


def _stand_in(environment: Environment, original: object, values: Fields | None) -> Any:
    if is_linen(original):
        return Linen(environment, original, values=values)
    _refuse_compiled(original)
    return Object(environment, original, "", values)


def _refuse_compiled(module: Any) -> None:
    if is_any(module, ("torch.jit.ScriptModule",)):
        refuse(
            f"a module that `torch.jit` has compiled ({module.original_name}), whose Python is gone",
            "Use the module itself, before it is compiled.",
        )


class Object:
    """Stands in for a module or a layer."""

    def __init__(
        self, environment: Environment, original: object, path: str, values: Fields | None
    ) -> None:
        """`values`: what stands in for the numbers, by their path; None where they stay as they are."""
        vars(self).update(_environment=environment, _original=original, _path=path, _values=values)

    def __getattr__(self, name: str) -> Any:
        original, environment = self._original, self._environment
        path = f"{self._path}.{name}" if self._path else name
        values: Fields | None = self._values
        if values is not None and path in values:
            return in_place_of(getattr(original, name), values[path])
        static = inspect.getattr_static(type(original), name, None)
        if (
            isinstance(static, property)
            and static.fget is not None
            and getattr(original, "built", True)
            and not is_weight_of(original, name)
        ):
            return environment.copy(static.fget)(self)
        try:
            value = getattr(original, name)
        except AttributeError:
            if name.startswith("__") or getattr(original, "built", True):
                raise
            refuse(
                f"the layer {type(original).__name__!r} has no {name!r} before it is built",
                "Build it first: `layer.build((None, 1))`, or call it on an input.",
            )
        if isinstance(value, types.MethodType) and value.__self__ is original:
            return types.MethodType(environment.read(value.__func__), self)
        if is_weight(value):
            known = environment.weights.get((id(original), name))
            if known is not None:
                return in_place_of(value, known)
            _captured(name, value, original if environment.calls else None)
        if method_of(value):
            return Object(environment, value, path, values)
        return environment.copy(value)

    def __setattr__(self, name: str, value: object) -> None:
        changes_attribute(self._original, name)

    def __call__(self, *args: object, **kwargs: object) -> object:
        self._environment.calls += 1
        try:
            return self._called(*args, **kwargs)
        finally:
            self._environment.calls -= 1

    def _called(self, *args: object, **kwargs: object) -> object:
        name = method_of(self._original)
        assert name is not None
        if _does_nothing(self._original):
            return args[0]
        if is_any(self._original, ["keras.Sequential"]):
            return functools.reduce(lambda x, layer: layer(x), self._layers(), args[0])
        _refuse_channels(self._original)
        if name == "__call__":
            return self._environment.read(_own_call(self._original))(self, *args, **kwargs)
        return getattr(self, name)(*args, **kwargs)

    def _items(self) -> list[object]:
        """What is in a list of modules or weights, whose names are their numbers."""
        return [getattr(self, str(i)) for i in range(len(self._original))]

    def _layers(self) -> list[Any]:
        """The layers of a `keras.Sequential`."""
        original = self._original
        path = f"{self._path}.layers" if self._path else "layers"
        return [
            Object(self._environment, layer, f"{path}.{i}", self._values)
            for i, layer in enumerate(original.layers)
        ]

    def __iter__(self) -> Iterator[object]:
        return iter(self._original if hasattr(self._original, "keys") else self._items())

    def __getitem__(self, key: Any) -> object:
        return getattr(self, key) if isinstance(key, str) else self._items()[key]

    def keys(self) -> Collection[str]:
        return self._original.keys()

    def values(self) -> list[object]:
        return [self[key] for key in self.keys()]

    def items(self) -> list[tuple[object, object]]:
        return [(key, self[key]) for key in self.keys()]

    def __len__(self) -> int:
        return len(self._original)

    def __bool__(self) -> bool:
        return bool(self._original)


def is_weight_of(original: object, name: str) -> bool:
    """Whether an attribute is a weight, though its class has it as a property."""
    try:
        return is_weight(getattr(original, name))
    except Exception:  # whatever a user's property raises: it is run again, and read
        return False


def _does_nothing(module: Any) -> bool:
    """Whether it is a dropout that is not in training."""
    kinds = (
        "Dropout",
        "Dropout1d",
        "Dropout2d",
        "Dropout3d",
        "AlphaDropout",
        "FeatureAlphaDropout",
    )
    return bool(is_any(module, [f"torch.nn.{kind}" for kind in kinds]) and not module.training)


def _refuse_channels(module: Any) -> None:
    if is_any(module, ("torch.nn.PReLU",)) and module.weight.numel() > 1:
        refuse(
            "a `PReLU` with one slope for each channel needs to know which axis is the channels'",
            "Use one slope: `activation(torch.nn.PReLU())`; then "
            "`.module(weight=trainable(0.25, per_channel=True))` learns one for each channel.",
        )


class WeightError(TraceError):
    """A function uses a weight: the attribute `name` of an `owner` that it calls, or without one a weight
    that it captures itself."""

    owner: object = None
    name: str = ""


def _captured(name: str, value: object, owner: object = None) -> NoReturn:
    error = WeightError(
        f"the function uses the weight {name!r} ({type(value).__module__.partition('.')[0]}."
        f"{type(value).__name__}), whose value would be read once, and never learnt\n{user_line()}\n"
        f"  Make it a parameter, `def f(x, {_identifier(name)}=...)`, and learn it with "
        f"`.module({_identifier(name)}=trainable(...))` or `.layer(...)`; or pass the whole module to "
        f"`activation`, whose weights, also those in an `nn.ParameterList`, become parameters."
    )
    error.owner, error.name = owner, name
    raise error


def _identifier(name: str) -> str:
    return name if name.isidentifier() else "w"


def stand_in(environment: Environment, value: object, name: str | None = None) -> object:
    """What stands in for an object or a weight while a function is read, or None."""
    if isinstance(value, (Adapter, custom.Applied, custom.Half)):
        return value.copied(environment)
    if isinstance(value, types.ModuleType):
        return None
    if is_keras_backend(value):
        return KerasBackend(environment, value)
    if method_of(value):
        return _stand_in(environment, value, None)
    if isinstance(value, types.MethodType) and method_of(value.__self__):
        return getattr(environment.copy(value.__self__), value.__name__)
    if is_weight(value):
        shown = name or getattr(value, "name", None)
        _captured(shown if isinstance(shown, str) else "w", value)
    found = distributions.stand_in(environment, value)
    if found is None:
        found = many_digits.stand_in(value)
    return custom.stand_in(environment, value) if found is None else found


# An object passed to `activation`.


class Adapter:
    """A function made of an object: the arguments of its method, and a parameter for each number."""

    def __init__(self, original: Any, method: str) -> None:
        self.original = original
        self.defined_by: object = getattr(original, method)
        """The code that a message shows."""
        self.__name__ = getattr(type(original), "__name__", "module")
        self.__doc__ = type(original).__doc__
        call = method == "__call__"
        bound = inspect.signature(
            functools.partial(_own_call(original), original) if call else self.defined_by
        )
        own = [
            p
            for p in bound.parameters.values()
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name != "key"
        ] or [inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        taken = {p.name for p in own}
        values = dict(_numbers(original, ""))
        self.paths = {n: p for n, p in _named(values).items() if n not in taken}
        """The path of each parameter within the object."""
        self.__signature__ = inspect.Signature(
            [
                *own,
                *(
                    inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=values[path])
                    for n, path in self.paths.items()
                ),
            ]
        )

    def __call__(self, *args: object, **kwargs: object) -> object:
        """The object itself, with the values that it has."""
        rest = {name: value for name, value in kwargs.items() if name not in self.paths}
        return self.original(*args, **rest)

    def copied(self, environment: Environment) -> Function:
        def call(*args: object, **kwargs: object) -> object:
            values = {path: kwargs.pop(name) for name, path in self.paths.items() if name in kwargs}
            return _stand_in(environment, self.original, values)(*args, **kwargs)

        call.__name__ = self.__name__
        call.__dict__["defined_by"] = self.defined_by
        return call


class WithWeights(Adapter):
    """A function that calls modules or layers, with a parameter for each weight that it uses there."""

    weights: dict[str, tuple[object, str]]
    """The owner of each parameter, and its attribute there."""

    def __init__(
        self, function: object, signature: inspect.Signature, owner: object, name: str
    ) -> None:
        earlier = function if isinstance(function, WithWeights) else None
        self.original = self.defined_by = earlier.original if earlier else function
        self.__name__ = getattr(self.original, "__name__", type(self.original).__name__)
        self.__doc__ = self.original.__doc__
        taken = signature.parameters
        base = name if name.isidentifier() else f"w_{name}"
        numbered = (f"{base}_{i}" for i in range(2, len(taken) + 3))
        parameter = next(n for n in (base, *numbered) if n not in taken)
        self.weights = {**(earlier.weights if earlier else {}), parameter: (owner, name)}
        self.paths = dict.fromkeys(self.weights, name)
        value = number_of(getattr(owner, name))
        own = [
            *taken.values(),
            inspect.Parameter(parameter, inspect.Parameter.KEYWORD_ONLY, default=value),
        ]
        self.__signature__ = signature.replace(parameters=own)

    def copied(self, environment: Environment) -> Function:
        function = environment.copy(self.original)

        def call(*args: object, **kwargs: object) -> object:
            for parameter, (owner, name) in self.weights.items():
                environment.weights[id(owner), name] = kwargs.pop(parameter)
            return function(*args, **kwargs)

        call.__name__ = self.__name__
        call.__dict__["defined_by"] = self.original
        return call


def with_weight(function: Any, error: WeightError) -> WithWeights | None:
    """The function with one more of its modules' weights as a parameter, if it can be one."""
    if error.owner is None:
        return None
    known = function.weights.values() if isinstance(function, WithWeights) else ()
    if isinstance(function, Adapter) and not known:
        return None
    if any(owner is error.owner and name == error.name for owner, name in known):
        return None  # it is the rule that uses it
    if number_of(getattr(error.owner, error.name)) is None:
        return None
    return WithWeights(function, inspect.signature(function), error.owner, error.name)


def _own_call(original: object) -> Function:
    """The `__call__` of an object's class, without what Equinox and Flax put around it."""
    function = inspect.getattr_static(type(original), "__call__")
    return inspect.unwrap(getattr(function, "method", function))


def _numbers(original: object, path: str) -> Iterator[tuple[str, object]]:
    """The numbers of an object and of the objects in it, by their paths."""
    for name, value in numbers(original) if is_linen(original) else _members(original):
        at = f"{path}.{name}" if path else name
        if method_of(value):
            yield from _numbers(value, at)
            continue
        found = number_of(value)
        if found is not None:
            yield at, found


def _members(original: Any) -> Iterator[tuple[str, object]]:
    kind = is_any(original, _KINDS)
    own = dict(vars(original)) if hasattr(original, "__dict__") else {}
    if kind == "torch.nn.Module":
        yield from original.named_parameters(recurse=False)
        yield from original.named_children()
    own = {n: v for n, v in own.items() if not n.startswith("_") and not n.endswith("_hooks")}
    yield from own.items()


def _named(numbers: Fields) -> dict[str, str]:
    """A parameter's name for each path: that of the attribute, where it is the only one."""
    # The weights of a list have numbers for names: `self.a[0]` is `a_0`.
    last = ["_".join(path.split(".")[-2 if path[-1].isdigit() else -1 :]) for path in numbers]
    names: dict[str, str] = {}
    for path, name in zip(numbers, last, strict=True):
        if not name.isidentifier():
            continue
        parent = path.rpartition(".")[0].replace(".", "_")
        names[name if last.count(name) == 1 else f"{name}_{parent}"] = path
    return names


def adapted(function: Any) -> Any:
    """What `activation` reads in the place of an object; any other function as it is."""
    method = method_of(function)
    if method:
        _refuse_compiled(function)
        return Adapter(function, method)
    owner = getattr(function, "__self__", None)
    if isinstance(function, types.MethodType) and function.__name__ == method_of(owner):
        return adapted(owner)
    if is_weight(function):
        raise DefinitionError(
            "activation takes a function, and got a weight\n  Pass the module that uses it."
        )
    if type(function).__module__ == "numba.np.ufunc.gufunc":
        raise DefinitionError(
            f"{function.__name__!r} is a `guvectorize` kernel, which writes its result into an argument\n"
            f"  Return it instead: a plain function, or one under `numba.vectorize` or `numba.njit`."
        )
    return custom.adapted(function)


def used(
    parameters: Iterable[tuple[str, Item]], function: object, mentioned: set[str]
) -> tuple[tuple[str, Item], ...]:
    """The parameters of an object that its function mentions."""
    if not isinstance(function, Adapter):
        return tuple(parameters)
    return tuple((n, v) for n, v in parameters if n in mentioned or n not in function.paths)
