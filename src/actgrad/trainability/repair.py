"""A Keras model, repaired: the same layers with what a plan chose."""

from __future__ import annotations

import keras

from actgrad.activation import Activation
from actgrad.errors import CallError
from actgrad.frameworks.keras import Boundary
from actgrad.trainability.initializers import initializer
from actgrad.trainability.monitor.causes import chains
from actgrad.trainability.monitor.keras import watched
from actgrad.trainability.stabilise import PENALTY, Plan, plan


def stabilise(
    model: keras.Model, learning_rate: float = 1e-3, *, foldable: bool = False
) -> tuple[keras.Model, Plan]:
    """A new model with the layers of `model`, repaired, and the plan with its reasons.

    Each dense or convolutional layer with an actgrad activation becomes the layer with weights of the
    right gain, the normalisation, and the activation. Weights begin anew. The plan's clipping and
    learning rate belong to the optimizer: `optimizer(plan)` is such an Adam.

    Raises `CallError` if no layer holds an actgrad activation.

        model, plan = stabilise(model)
        model.compile(optimizer(plan), loss)
        print(plan)
    """
    own = [place for place, _ in watched(model) if isinstance(place.function, Activation)]
    if not own:
        raise CallError(
            "no layer of this model has an actgrad activation: there is nothing to repair"
        )
    longest = max(chains(own), key=len)
    first = longest[0].function
    assert isinstance(first, Activation)
    chosen = plan(first, len(longest), learning_rate, foldable=foldable)

    def repaired(layer: keras.Layer) -> object:
        f = getattr(layer, "activation", None)
        if not isinstance(f, Activation) or not hasattr(layer, "kernel_initializer"):
            return type(layer).from_config(layer.get_config())
        return _repaired(layer, f, chosen)

    return keras.models.clone_model(model, clone_function=repaired), chosen


def optimizer(chosen: Plan) -> keras.Optimizer:
    """Adam, with the plan's learning rate and clipping."""
    return keras.optimizers.Adam(chosen.learning_rate, global_clipnorm=chosen.clip)


def _repaired(layer: keras.Layer, f: Activation, chosen: Plan) -> object:
    weights = type(layer).from_config({**layer.get_config(), "activation": "linear"})
    weights.kernel_initializer = initializer(f)
    if f.program == chosen.function.program or _scaled(f, chosen):
        f = chosen.function
    parts = [weights, *_between(layer, chosen)]
    if chosen.boundary:
        parts[-1].activity_regularizer = Boundary(chosen.boundary, PENALTY)
    parts.append(keras.layers.Activation(f))
    return keras.Sequential(parts, name=f"{layer.name}_stable")


def _scaled(f: Activation, chosen: Plan) -> bool:
    return chosen.function.name == f"{f.name}_scaled"


def _between(layer: object, chosen: Plan) -> list[object]:
    found: list[object] = []
    if chosen.normalisation == "batch":
        found.append(keras.layers.BatchNormalization(momentum=0.9))
    elif chosen.normalisation == "sample":
        dense = isinstance(layer, keras.layers.Dense)
        found.append(
            keras.layers.LayerNormalization()
            if dense
            else keras.layers.GroupNormalization(groups=1)
        )
    return found
