"""Document D2: ReLU replaced by the square, why the network falls to 10%, and one that trains.

python examples/square.py
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from actgrad import activation


def d_square(x):
    return 2 * x


@activation(derivative=d_square)
def square(x):
    return x**2


def digits():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return x[:1400], y[:1400], x[1400:], y[1400:]


def network(activation, normalise):
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.Input((64,))]
    for _ in range(4):
        if normalise:
            layers.append(keras.layers.LayerNormalization())
        layers.append(keras.layers.Dense(64, activation=activation))
    model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
    sgd = keras.optimizers.SGD(0.05)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def spread(model, x):
    """Layer after layer: how far the sizes of the samples are apart, in log."""
    import numpy as np

    sizes = []
    for layer in model.layers[:-1]:
        x = np.asarray(layer(x), "float64")
        if "dense" in layer.name:
            sizes.append(np.log((x**2).mean(axis=1)).std())
    return "  ".join(f"{size:5.2f}" for size in sizes)


def main():
    print("predicted before training:", *square.propagation().warnings(depth=4), sep="\n  ")
    x, y, x_test, y_test = digits()
    for title, normalise in [("plain", False), ("each sample normalised", True)]:
        model = network(square, normalise)
        print(f"four squares, {title}")
        print(f"  spread between samples, layer by layer:  {spread(model, x)}")
        loss = model.fit(x, y, epochs=10, batch_size=64, verbose=0).history["loss"][-1]
        accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
        print(f"  after ten epochs:  loss {loss:.3f}, test accuracy {accuracy:.1%}")
    print(f"the share of the digit 0, which argmax gives for nan:  {(y_test == 0).mean():.1%}")


if __name__ == "__main__":
    main()
