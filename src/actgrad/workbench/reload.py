"""Whether a saved model is the same model in a fresh process that has actgrad and Keras, and nothing of
the user's."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from actgrad.workbench.data import Data
from actgrad.workbench.export import why_not
from actgrad.workbench.train import predict

if TYPE_CHECKING:
    import keras

_FRESH = """
import sys, numpy as np, actgrad, keras
model = keras.models.load_model(sys.argv[1])
data = np.load("data.npz")
predictions = model.predict(data["x"], batch_size=256, verbose=0)
model.train_on_batch(data["x"][:32], data["y"][:32])
weights = [keras.ops.convert_to_numpy(w) for w in model.trainable_variables]
np.savez("fresh.npz", predictions=predictions, **{f"w{i}": w for i, w in enumerate(weights)})
"""


def same_in_a_fresh_process(
    keras: ModuleType, model: keras.Model, path: Path, data: Data
) -> str | None:
    """None if predictions are identical and one more step of training goes to the same weights; else
    what is wrong. Trains `model` by that step."""
    predictions = predict(model, data)
    model.train_on_batch(data.x_test[:32], data.y_test[:32])
    weights = [keras.ops.convert_to_numpy(w) for w in model.trainable_variables]
    with tempfile.TemporaryDirectory() as empty:
        np.savez(Path(empty) / "data.npz", x=data.x_test, y=data.y_test)
        backend = {"KERAS_BACKEND": keras.config.backend()}
        why = why_not("-c", _FRESH, path.resolve(), env=backend, folder=Path(empty))
        if why is not None:
            return f"it could not be loaded: {why}"
        with np.load(Path(empty) / "fresh.npz") as fresh:
            if not np.array_equal(fresh["predictions"], predictions, equal_nan=True):
                return "its predictions differ"
            # Threads add up in any order there, so the last digits may differ.
            step = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
            for i, weight in enumerate(weights):
                if not np.allclose(
                    fresh[f"w{i}"], weight, rtol=1e-5, atol=1e-2 * step, equal_nan=True
                ):
                    return "its predictions are identical, but it learns differently"
    return None
