"""Document D3: a step that learns, and the gradient of a built model changed inside a scope.

python examples/heaviside.py
actgrad check examples/heaviside.py:heaviside
"""

import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from actgrad import activation, override


def d_sigmoid(x):
    s = 1 / (1 + math.exp(-x))
    return s * (1 - s)


def triangle(x):
    return max(0, 1 - abs(x))


@activation(surrogate=d_sigmoid)
def heaviside(x):
    return 1.0 if x >= 0 else 0.0


def main():
    import keras
    import tensorflow as tf
    from sklearn.datasets import load_digits

    x = tf.constant([-2.0, -0.5, 0.0, 0.5])
    model = keras.Sequential([keras.Input((4,)), keras.layers.Activation(heaviside)])

    def show(title):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x[None])
        print(f"{title:24} {y.numpy()[0]}  {tape.gradient(y, x).numpy().round(4)}")

    print(f"{'x = ' + str(x.numpy()):24} {'value':15}  gradient")
    show("sigmoid's derivative")
    with override(model, heaviside, surrogate=triangle):
        show("triangle, in a scope")
    show("after the scope")

    data, digit = load_digits(return_X_y=True)
    data = (data / 16).astype("float32")
    for rule in (d_sigmoid, triangle):
        step = activation(heaviside, surrogate=rule)
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(64, activation=step) for _ in range(2)]
        model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(data[:1400], digit[:1400], epochs=20, verbose=0)
        accuracy = model.evaluate(data[1400:], digit[1400:], verbose=0)[1]
        print(f"two layers of steps, learnt with {rule.__name__}: test accuracy {accuracy:.1%}")


if __name__ == "__main__":
    main()
