"""One place in a built model that holds an activation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from actgrad.activation import Activation
from actgrad.common.types import Fields, Function
from actgrad.errors import OverrideError

Undo = Callable[[], None]
Put = Callable[[object], Undo]


@dataclass(frozen=True)
class Place:
    where: str
    """For people: "dense_1.activation"."""
    called: str
    """The activation's name there."""
    owner: object
    """The layer or the module that holds it, or that it is."""
    held: object
    """The activation: an Activation, or the framework's own function or layer."""
    function: Function
    """What to read where only the derivative is swapped."""
    put: Put
    """Puts another one in, and returns what brings the old one back."""


def library_of(model: object) -> Literal["keras", "torch"] | None:
    """Whose model it is. A Keras layer on PyTorch is a PyTorch module too."""
    keras, torch = (sys.modules.get(name) for name in ("keras", "torch"))
    if keras is not None and isinstance(model, keras.Layer):
        return "keras"
    return "torch" if torch is not None and isinstance(model, torch.nn.Module) else None


def attribute(attributes: Fields, key: str) -> Put:
    """`put` for an entry of an object's own dictionary, which may have none."""

    def put(new: object) -> Undo:
        old = {key: attributes[key]} if key in attributes else {}
        attributes[key] = new

        def undo() -> None:
            attributes.update(old)  # in its own place: modules have an order
            if not old:
                del attributes[key]

        return undo

    return put


def keeping(what: str, names: Collection[str], new: object) -> Activation:
    """The activation for a layer that has parameters of its own. Raises `OverrideError` if one is lost."""
    if not isinstance(new, Activation) or not set(names) <= new.parameters.keys():
        raise OverrideError(
            f"the {what} has the parameters {sorted(names)}, and what is to replace its activation is "
            f"{new!r}\n  Give an activation with the same parameters, or build the {what.split()[0]} anew."
        )
    return new


def calls_by_name(function: object, owner: object, name: str) -> bool:
    """Whether a method's code mentions `name` other than as an attribute of its object."""
    code = getattr(function, "__code__", None)
    return code is not None and name in code.co_names and not hasattr(owner, name)
