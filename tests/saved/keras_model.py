"""A Keras model in every form in which it is kept; written, or opened and trained by one step.

Run as a process of its own: `write FOLDER` or `open FOLDER`, under the backend of KERAS_BACKEND. What is
opened sees actgrad, and not the user's functions.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

import actgrad

FORMS = ("keras", "weights", "h5", "json", "config")


def network() -> Any:
    """A step with a surrogate, parameters learnt, frozen and bounded, and a second input."""
    step = actgrad.activation(
        lambda x, k=2.0: 1.0 if x >= 0 else 0.0,
        surrogate=lambda x, k: k / (1 + (k * x) * (k * x)),
        name="step",
    )
    swish = actgrad.activation(lambda x, b=1.0: x / (1 + math.exp(-b * x)), name="swish")
    gate = actgrad.activation(lambda a, b, c=0.5: a * b + c * a, name="gate")
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, activation=step)(inputs)
    x = swish.layer(b=actgrad.trainable(1.5, low=1.49, high=1.51, per_channel=True))(x)
    x = keras.layers.Dense(4, activation=swish(b=0.25))(x)
    x = gate.layer(c=0.75)([x, keras.layers.Dense(4)(inputs)])
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def data() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    return random.normal(size=(5, 3)).astype("f"), random.normal(size=(5, 2)).astype("f")


def written(folder: Path) -> None:
    keras.utils.set_random_seed(1)
    model = network()
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(folder / "model.h5")
    (folder / "model.json").write_text(model.to_json())
    (folder / "config.json").write_text(json.dumps(keras.saving.serialize_keras_object(model)))
    np.savez(folder / "wanted.npz", **answers(model))


def opened(folder: Path, form: str) -> Any:
    if form == "keras":
        return keras.saving.load_model(folder / "model.keras", safe_mode=True)
    if form == "h5":
        return keras.saving.load_model(folder / "model.h5", compile=False, safe_mode=True)
    if form == "config":
        config = json.loads((folder / "config.json").read_text())
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    else:
        model = keras.models.model_from_json((folder / "model.json").read_text())
    model.load_weights(folder / "model.weights.h5")
    return model


def answers(model: Any) -> dict[str, Any]:
    """The predictions, the weights, and what one step of gradient descent makes of them."""
    x, t = data()
    found = {"value": model.predict(x, verbose=0)}
    before = [np.array(w) for w in model.get_weights()]
    model.compile(
        keras.optimizers.SGD(1.0), "mse", jit_compile=False
    )  # seconds of XLA for one step
    model.train_on_batch(x, t)
    for i, (old, new) in enumerate(zip(before, model.get_weights(), strict=True)):
        found[f"w{i}"], found[f"step{i}"] = old, np.array(new) - old
    return found


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "write":
        written(folder)
        return
    for form in FORMS:
        np.savez(folder / f"{form}.npz", **answers(opened(folder, form)))
    assert actgrad.__name__ in sys.modules


if __name__ == "__main__":
    main()
