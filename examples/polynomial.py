"""A trained ReLU network becomes a polynomial one, for encrypted inference, and is fine-tuned.

    python examples/polynomial.py

Batch normalisation before each activation holds its inputs together; the polynomial is made for the
interval in which they were seen.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from actgrad import activations, replace

relu = activations.relu
DEGREES = (2, 4, 6)


def build(keras):
    layers = [keras.Input((64,))]
    for width in (64, 64, 32):
        layers += [
            keras.layers.Dense(width, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.Activation(relu),
        ]
    return keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])


def learn(keras, model, data, epochs, rate):
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(*data, epochs=epochs, verbose=0)


def reach(keras, model, x):
    """Within which bounds nearly all inputs of the activations lie."""
    import numpy as np

    before = [la.output for la in model.layers if isinstance(la, keras.layers.BatchNormalization)]
    seen = keras.Model(model.inputs, before).predict(x, verbose=0)
    return max(float(np.quantile(abs(values), 0.999)) for values in seen)


def main():
    import keras
    from sklearn.datasets import load_digits

    keras.utils.set_random_seed(0)
    images, digit = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    train, test = (images[:1400], digit[:1400]), (images[1400:], digit[1400:])

    def accuracy(model):
        return model.evaluate(*test, verbose=0)[1]

    original = build(keras)
    learn(keras, original, train, epochs=15, rate=2e-3)
    bound = reach(keras, original, train[0])
    print(
        f"ReLU: test accuracy {accuracy(original):.1%}; inputs of the activations within ±{bound:.2f}"
    )
    print(f"{'degree':>6}  {'largest error':>13}  {'swapped':>8}  {'fine-tuned':>10}")
    for degree in DEGREES:
        model = keras.models.clone_model(original)
        model.set_weights(original.get_weights())
        near = relu.polynomial(degree, interval=(-bound, bound))
        replace(model, {relu: near})
        model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        swapped = accuracy(model)
        learn(keras, model, train, epochs=5, rate=5e-4)
        tuned = accuracy(model)
        print(f"{degree:>6}  {near.largest_error:>13.3f}  {swapped:>8.1%}  {tuned:>10.1%}")


if __name__ == "__main__":
    main()
