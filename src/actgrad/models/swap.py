"""`override` and `replace`: another activation, or another derivative, in a model that is built."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, TypeVar

from actgrad.activation import Activation, activation
from actgrad.common.text import did_you_mean
from actgrad.common.types import Fields, Function
from actgrad.errors import CallError, DefinitionError, OverrideError, UnreachedWarning
from actgrad.models.place import Place, library_of

Model = TypeVar("Model")
Old = Any
"""A name, a function, an Activation, a type of layer, or a layer."""


@contextmanager
def override(
    model: Model,
    old: Old,
    new: object = None,
    *,
    derivative: object = None,
    surrogate: object = None,
    gradient: object = None,
) -> Iterator[Model]:
    """While the scope lasts, `model` has `new` wherever it had `old`; then all is as it was before.

    `model` is a Keras model or a PyTorch module. `old` is a name (`"relu"`), a function
    (`keras.activations.relu`, or the Python function of an activation of yours), an Activation, a
    type (`keras.layers.ReLU`), or one layer of the model. `new` is an Activation or whatever the
    framework itself takes there. With a rule in place of `new` (the same as those of `activation`),
    the function stays, and only its derivative is another. Guided backpropagation:

        with override(model, "relu", gradient=lambda x, grad: max(grad, 0) if x > 0 else 0):
            ...

    In a PyTorch model a name or a function also reaches functional calls while a module of the model
    runs: `F.relu(x)`, `torch.relu(x)`, `x.relu()` and their in-place forms, in helper functions too.
    Keras's functional calls are out of reach.

    Scopes nest. What Keras has compiled for the model is dropped on both ends, so a change takes
    effect at once; a `tf.function` or a `jax.jit` of your own around the model is not known here.
    Weights are not touched.

    Raises `OverrideError` if `old` is nowhere in the model, with a list of what there is; for a
    function of PyTorch that no module holds, at the end of the scope, if it was not called either.
    Warns `UnreachedWarning` about functional calls of that name that are out of reach.
    """
    rules = {"derivative": derivative, "surrogate": surrogate, "gradient": gradient}
    given: Fields = {name: rule for name, rule in rules.items() if rule is not None}
    if (new is not None) + len(given) != 1:
        raise DefinitionError(
            "override takes one of `new`, `derivative=`, `surrogate=` and `gradient=`, "
            f"and got {(new is not None) + len(given)}"
        )
    room = _room(model)
    swapped = None if given else room.accept(new)

    def choose(function: Function) -> object:
        return activation(function, **given) if given else swapped

    name = room.functional_name(old)
    with ExitStack() as stack:
        stack.callback(room.forget, model)
        if name is None:
            for place in _find(room, model, old):
                stack.callback(place.put(choose(place.function)))
            room.forget(model)
            yield model
        else:
            matching = [place for place in room.places(model) if _matches(room, place, old)]
            calls = stack.enter_context(room.overridden(model, name, matching, choose))
            yield model
            if not calls.reached:
                _not_found(list(room.places(model)), old, name, [], room.other(model))


def replace(model: Model, swaps: Mapping[Old, object]) -> Model:
    """Put `new` wherever `model` has `old`, for each `{old: new}`, for good. Returns the model.

    The names and the errors are those of `override`. The swaps happen at once, so that two
    activations can change places. A Keras layer such as `ReLU` becomes an `Activation` layer, and
    the model is saved as it now is.
    """
    room = _room(model)
    chosen: dict[tuple[int, str], tuple[Place, object]] = {}
    for old, new in swaps.items():
        value = room.accept(new)
        for place in _find(room, model, old):
            chosen.setdefault((id(place.owner), place.where), (place, value))
    with ExitStack() as undo:
        for place, value in chosen.values():
            undo.callback(place.put(value))
        undo.pop_all()
    room.forget(model)
    return model


def _room(model: object) -> ModuleType:
    library = library_of(model)
    if library is None:
        raise CallError(
            f"override and replace take a Keras model or a PyTorch module, and got {type(model).__name__}"
        )
    return importlib.import_module(f"actgrad.models.{library}")


def _find(room: ModuleType, model: object, old: Old) -> list[Place]:
    there = list(room.places(model))
    found = [place for place in there if _matches(room, place, old)]
    name = room.name_of(old) if isinstance(old, str) else getattr(old, "__name__", "").lower()
    unreached = room.unreached(model, name) if name else []
    if not found:
        _not_found(there, old, name, unreached, room.other(model))
    if unreached:
        warnings.warn(
            f"{name!r} is also called as a function, which cannot be swapped: {', '.join(unreached)}\n"
            f"  Those keep what they have. Make them layers (`Activation({name!r})`) to reach them.",
            UnreachedWarning,
            stacklevel=4,
        )
    return found


def _matches(room: ModuleType, place: Place, old: Old) -> bool:
    if isinstance(old, str):
        return place.called == room.name_of(old)
    if isinstance(old, type):
        main = place.where.rpartition(".")[2] != "recurrent_activation"
        return isinstance(place.owner, old) and main
    if isinstance(old, Activation):
        return isinstance(place.held, Activation) and place.held == old
    own = place.held.function if isinstance(place.held, Activation) else None
    return any(
        it is not None and it is old for it in (place.held, place.owner, own, place.function)
    )


def _not_found(
    there: list[Place], old: Old, name: str, unreached: list[str], other: list[str]
) -> None:
    names: dict[str, list[str]] = {}
    for place in there:
        names.setdefault(place.called, []).append(place.where)
    listed = "".join(f"\n    {called}: {', '.join(where)}" for called, where in names.items())
    shown = repr(old) if isinstance(old, (str, Activation)) else getattr(old, "__name__", repr(old))
    hint = did_you_mean(name, names.keys() - {name})
    raise OverrideError(
        f"the model has no activation {shown}{'; ' * bool(hint)}{hint}\n  It has{listed or ' none'}"
        + _out_of_reach("Called as a function", unreached)
        + _out_of_reach("Not functions of one number", other)
    )


def _out_of_reach(why: str, places: list[str]) -> str:
    return f"\n  {why}, and so out of reach: {', '.join(places)}" if places else ""
