"""What a trained digit classifier looks at: plain gradient, deconvolution, guided backpropagation.

    python examples/saliency.py            writes saliency.png

The model is trained with the built-in ReLU; afterwards only ReLU's rule is another, inside a scope.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from actgrad import override

RULES = {
    "gradient": None,
    "deconvolution": lambda x, upstream: max(upstream, 0),
    "guided backpropagation": lambda x, upstream: max(upstream, 0) if x > 0 else 0,
}


def trained():
    import keras
    from sklearn.datasets import load_digits

    keras.utils.set_random_seed(0)
    images, digit = load_digits(return_X_y=True)
    images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    model.fit(images[:1400], digit[:1400], epochs=12, verbose=0)
    print(f"test accuracy {model.evaluate(images[1400:], digit[1400:], verbose=0)[1]:.1%}")
    return model, images[1400:], digit[1400:]


def saliency(model, x, digit):
    """The gradient of the logit of its own digit, by each pixel."""
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logit = tf.gather(model(x), digit, axis=1, batch_dims=1)
    return tape.gradient(logit, x).numpy()


def maps(model, x, digit):
    found = {}
    for name, rule in RULES.items():
        if rule is None:
            found[name] = saliency(model, x, digit)
        else:
            with override(model, "relu", gradient=rule):
                found[name] = saliency(model, x, digit)
    return found


def draw(x, found, path):
    from matplotlib.figure import Figure

    rows = {"image": x, **found}
    figure = Figure(figsize=(1.5 * len(x), 1.55 * len(rows)), dpi=120, layout="constrained")
    axes = figure.subplots(len(rows), len(x))
    for row, (name, pictures) in zip(axes, rows.items(), strict=True):
        for ax, picture in zip(row, pictures, strict=True):
            reach = abs(picture).max()
            style = {"cmap": "gray_r", "vmin": 0} if name == "image" else {"cmap": "RdBu_r"}
            ax.imshow(picture[..., 0], **{"vmin": -reach, "vmax": reach, **style})
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(name.replace(" ", "\n"), fontsize=11)
    figure.savefig(path)


def main(path="saliency.png"):
    import numpy as np

    model, images, digits = trained()
    chosen = [int(np.flatnonzero(digits == d)[0]) for d in range(8)]
    x, digit = images[chosen], digits[chosen]
    found = maps(model, x, digit)
    for name, picture in found.items():
        ink = abs(picture[x > 0.25]).sum() / abs(picture).sum()
        print(
            f"{name:24} {ink:.0%} of it on the strokes, {(picture < 0).mean():.0%} of it negative"
        )
    print(f"afterwards as before: {np.array_equal(saliency(model, x, digit), found['gradient'])}")
    draw(x, found, path)
    print(f"drawn: {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
