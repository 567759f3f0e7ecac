"""Document D4: a layer's activation with your derivative, and parameters that both share.

python examples/keras_derivative.py
"""

import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from actgrad import activation, trainable


def d_my_activation(x, p1, p2):
    return 1.0 if x > p1 else p2


@activation(derivative=d_my_activation)
def my_activation(x, p1=0.0, p2=0.1):
    return x - p1 if x > p1 else p2 * (x - p1)


def main():
    import keras
    import numpy as np
    from sklearn.datasets import load_digits

    keras.utils.set_random_seed(0)
    learnt = my_activation.layer(p1=trainable(0.0), p2=trainable(0.1, low=0.0, high=1.0))
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(128, activation=my_activation(p1=0.25, p2=0.05)),
            keras.layers.Dense(64),
            learnt,
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:1400], y[:1400], epochs=10, verbose=0)
    print(f"test accuracy {model.evaluate(x[1400:], y[1400:], verbose=0)[1]:.1%}")
    p1, p2 = (float(weight.numpy()) for weight in learnt.weights)
    print(f"learnt: p1 from 0 to {p1:.3f}, p2 from 0.1 to {p2:.3f}")

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        loaded = keras.models.load_model(path)
    same = np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    print(f"saved and loaded: {loaded.layers[0].activation}")
    print(f"the same predictions: {same}")


if __name__ == "__main__":
    main()
