"""What the examples beside this one train: a step that learns, and scikit-learn's digits."""

import numpy as np

from actgrad import activation


def triangle(x):
    return max(0, 1 - abs(x))


@activation(surrogate=triangle)
def heaviside(x):
    return 1.0 if x >= 0 else 0.0


def digits():
    """Images and labels to train on, and images and labels to test on.

    Batches of 64 divide both: JAX splits no batch that its devices do not divide.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    return images[:1408], labels[:1408], images[1408:1792], labels[1408:1792]
