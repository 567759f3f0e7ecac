"""A healthy, a diverging and a rolled back training under one Keras backend, in a process of its own;
what the monitors found is printed as JSON."""

import json

import keras
import numpy as np
from sklearn.datasets import load_digits

from actgrad import activation
from actgrad.trainability.monitor import Monitor

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
SQUARE = activation(lambda x: x**2, name="square")


def trained(f, depth, rate, epochs=2, normalise=False, layer=False, **options):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((64,))]
    for _ in range(depth):
        if normalise:
            layers.append(keras.layers.LayerNormalization())
        layers.append(keras.layers.Dense(64, activation=None if layer else f))
        if layer:
            layers.append(f.layer())
    model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    monitor = Monitor(model, X, Y, every=10, terminal=False, **options)
    before = [vars(layer).get("activation") for layer in model.layers]
    history = model.fit(X, Y, batch_size=64, epochs=epochs, verbose=0, callbacks=[monitor]).history
    sample = monitor.samples[-1]
    return {
        "cause": monitor.cause,
        "findings": [[f.cause, f.step, f.certain, f.layer] for f in monitor.findings],
        "loss": repr(history["loss"][-1]),
        "epochs": len(history["loss"]),
        "layers": len(sample.layers),
        "rms": [layer.rms for layer in monitor.samples[0].layers],
        "gradients": [layer.gradient for layer in monitor.samples[0].layers],
        "finite": all(np.isfinite(w).all() for w in model.get_weights()),
        "rate": float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
        "untouched": before == [vars(layer).get("activation") for layer in model.layers],
    }


relu = activation(lambda x: max(x, 0), name="relu")
found = {
    "healthy": trained("relu", 3, 0.05),
    "as layers": trained(relu, 3, 0.05, layer=True),
    "normalised": trained(SQUARE, 4, 0.05, normalise=True),
    "diverging": trained(SQUARE, 4, 0.2, on_failure="stop", epochs=4),
    "rolled back": trained(SQUARE, 3, 0.3, on_failure="roll back", epochs=2),
}
print(json.dumps(found))
