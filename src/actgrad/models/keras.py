"""Where a Keras model holds its activations.

Three kinds of places: an attribute of a layer (`Dense(activation=...)`), a layer that is an
activation (`keras.layers.ReLU`), and a layer of ours. A layer that is an activation becomes a
`keras.layers.Activation` in place, so the graph around it and what is saved stay right.
"""

from __future__ import annotations

from collections.abc import Iterator

import keras

from actgrad.activation import Activation
from actgrad.errors import OverrideError
from actgrad.frameworks.keras import ActivationLayer
from actgrad.models.place import Place, Put, Undo, attribute, calls_by_name, keeping

_COMPILED = ("train_function", "test_function", "predict_function")


def places(model: keras.Model) -> Iterator[Place]:
    for layer in model._flatten_layers():
        if isinstance(layer, ActivationLayer):
            yield _ours(layer)
        elif isinstance(layer, (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)):
            yield _layer(layer)
        else:
            yield from _attributes(layer)


def _attributes(layer: keras.Layer) -> Iterator[Place]:
    for key, value in vars(layer).items():
        if key.startswith("_") or not callable(value) or isinstance(value, (type, keras.Layer)):
            continue
        home = getattr(value, "__module__", None) or ""
        if (
            key.endswith("activation")
            or isinstance(value, Activation)
            or home.startswith("keras.src.activations")
        ):
            name = getattr(value, "__name__", None) or type(value).__name__
            put = attribute(vars(layer), key)
            yield Place(f"{layer.name}.{key}", name, layer, value, value, put)


def _layer(layer: keras.Layer) -> Place:
    """keras.layers.ReLU and its kin: elementwise, without weights."""
    if isinstance(layer, keras.layers.ReLU):
        options = {n: getattr(layer, n) for n in ("negative_slope", "max_value", "threshold")}
        plain, own = {"negative_slope": 0.0, "max_value": None, "threshold": 0.0}, "relu"
    elif isinstance(layer, keras.layers.LeakyReLU):
        options, plain, own = {"negative_slope": layer.negative_slope}, {}, "leaky_relu"
    else:
        options, plain, own = {"alpha": layer.alpha}, {"alpha": 1.0}, "elu"
    original = getattr(keras.activations, own)
    if all(float(options[n] or 0) == float(plain[n] or 0) for n in plain) and plain:
        return Place(layer.name, own, layer, original, original, _becomes(layer))

    def function(x: object) -> object:
        return original(x, **options)

    shown = ", ".join(f"{name}={value}" for name, value in options.items())
    function.__name__ = own
    return Place(layer.name, f"{own}({shown})", layer, layer, function, _becomes(layer))


def _becomes(layer: keras.Layer) -> Put:
    def put(new: object) -> Undo:
        kind, take_out = type(layer), attribute(vars(layer), "activation")(new)
        object.__setattr__(layer, "__class__", keras.layers.Activation)

        def undo() -> None:
            object.__setattr__(layer, "__class__", kind)
            take_out()

        return undo

    return put


def _ours(layer: keras.Layer) -> Place:
    def put(new: object) -> Undo:
        kept = keeping(f"layer {layer.name!r}", layer.parameters, new)
        return attribute(vars(layer), "program")(kept.program)

    whole = Activation(layer.program)
    return Place(layer.name, whole.name, layer, held_by(layer), whole, put)


def held_by(layer: ActivationLayer) -> Activation:
    """The activation of a layer of ours, with those of its parameters that are numbers."""
    numbers = {n: v for n, v in layer.parameters.items() if isinstance(v, (int, float))}
    return Activation(layer.program)(**numbers)


def name_of(name: str) -> str:
    """The name that an alias stands for: "swish" is "silu"."""
    try:
        return str(keras.activations.get(name).__name__)
    except (ValueError, AttributeError):
        return name


def functional_name(old: object) -> None:
    """Calls of a function within a Keras model are out of reach."""


def accept(new: object) -> object:
    """What a layer takes as its activation."""
    if isinstance(new, (keras.Layer, type)):
        raise OverrideError(
            f"{new!r} is a layer, and its weights cannot join a model that is built\n"
            f"  Give a function, an activation, or the name of one."
        )
    return keras.activations.get(new)


def unreached(model: keras.Model, name: str) -> list[str]:
    """Functional calls of this name: they are fixed in the graph, or in somebody's code."""
    found = []
    spelt = name.replace("_", "")
    for layer in model._flatten_layers():
        for operation in getattr(layer, "operations", []):
            if not isinstance(operation, keras.Layer) and type(operation).__name__.lower() == spelt:
                found.append(f"`{operation.name}` in the graph of {layer.name!r}")
        kind = type(layer)
        theirs = not kind.__module__.startswith(("keras.", "actgrad."))
        if theirs and calls_by_name(kind.call, layer, name):
            found.append(f"`{kind.__name__}.call`")
    return found


def other(model: keras.Model) -> list[str]:
    """Layers among Keras' activations that have weights of their own, or mix the elements."""
    kinds = (keras.layers.PReLU, keras.layers.Softmax)
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, kinds)]
    return [f"{layer.name} ({type(layer).__name__})" for layer in layers]


def forget(model: keras.Model) -> None:
    """Drop what was compiled, so that the next step sees the model as it is."""
    for layer in model._flatten_layers():
        for name in _COMPILED:
            if getattr(layer, name, None) is not None:
                setattr(layer, name, None)
