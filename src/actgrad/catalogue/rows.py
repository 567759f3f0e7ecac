"""Functions of a row of the literature, in the library's own language: NumPy over the row `x`.

`actgrad.rows.softmax` is an activation like one that you write with `activation(axis=-1)`; it is read when
it is first used. `rows.softmax(x, axis=1)` takes the rows along another axis.

>>> import numpy as np
>>> from actgrad import rows
>>> rows.sparsemax(np.array([[1.0, 0.8, -1.0]])).round(2)
array([[0.6, 0.4, 0. ]])
>>> rows.glu(np.ones((2, 6))).shape
(2, 3)
"""

import numpy as np

from actgrad.catalogue.entry import Catalogue, served

ENTRIES = Catalogue(axis=-1)
_add = ENTRIES.add


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def _softmax(x):
    powers = np.exp(x - np.max(x))
    return powers / np.sum(powers)


def _hard(x):
    return np.where(np.arange(len(x)) == np.argmax(x), 1.0, 0.0)


# Rows that sum to one.


@_add("Bridle 1990")
def softmax(x, temperature=1.0):
    """exp(x / t) / sum exp(x / t)"""
    powers = np.exp((x - np.max(x)) / temperature)
    return powers / np.sum(powers)


@_add("Bridle 1990")
def log_softmax(x, temperature=1.0):
    """x / t - log sum exp(x / t)"""
    apart = (x - np.max(x)) / temperature
    return apart - np.log(np.sum(np.exp(apart)))


@_add("Martins & Astudillo 2016, From softmax to sparsemax")
def sparsemax(x):
    """max(x - t, 0), which sums to one: the nearest point of the simplex"""
    x = x - np.max(x)
    t = -1.0
    # Newton's method; a sort takes several times as long. It ends when no number falls below t any more: in
    # 20,000 rows of many kinds after 10 steps at most. After k steps the sum of n numbers is off by
    # n**2 / 4**k at most.
    for _ in range(20):
        t = (np.sum(np.where(x > t, x, 0)) - 1) / np.sum(np.where(x > t, 1, 0))
    return np.maximum(x - t, 0)


@_add("Peters, Niculae & Martins 2019, Sparse sequence-to-sequence models")
def entmax15(x):
    """max(x / 2 - t, 0)^2, which sums to one"""
    z = np.sort((x - np.max(x)) / 2)[::-1]
    k = np.arange(len(x)) + 1
    mean, square = np.cumsum(z) / k, np.cumsum(z * z) / k
    t = mean - np.sqrt(np.maximum((1 - k * (square - mean * mean)) / k, 1e-20))
    size = np.sum(np.where(t <= z, 1, 0))
    return np.maximum((x - np.max(x)) / 2 - np.sum(np.where(k == size, t, 0)), 0) ** 2


@_add("Miller 2023, Attention is off by one")
def softmax_one(x):
    """exp(x) / (1 + sum exp(x)), which may sum to less"""
    top = np.maximum(np.max(x), 0)
    powers = np.exp(x - top)
    return powers / (np.exp(-top) + np.sum(powers))


@_add("Bengio, Léonard & Courville 2013 (straight through)", rule=_softmax)
def hardmax(x):
    """1 at the first largest, 0 elsewhere; the derivative of softmax"""
    return _hard(x)


@_add(
    "Jang, Gu & Poole 2017; Maddison, Mnih & Teh 2017",
    rule=lambda x, noise, temperature: _softmax((x + noise) / temperature),
)
def gumbel_softmax(x, noise=0.0, temperature=1.0):
    """1 at the largest of x + noise, for Gumbel noise; the derivative of softmax((x + noise) / t)"""
    return _hard(x + noise)


# Gates, which halve the row.


@_add("Dauphin, Fan, Auli & Grangier 2017")
def glu(x):
    """a sigmoid(b), of the halves a and b"""
    a, b = np.split(x, 2)
    return a * _sigmoid(b)


@_add("Shazeer 2020, GLU variants improve transformer")
def bilinear(x):
    """a b, of the halves a and b"""
    a, b = np.split(x, 2)
    return a * b


@_add("Shazeer 2020, GLU variants improve transformer")
def reglu(x):
    """a max(b, 0), of the halves a and b"""
    a, b = np.split(x, 2)
    return a * np.where(b > 0, b, 0)


@_add("Shazeer 2020, GLU variants improve transformer")
def geglu(x):
    """a gelu(b), of the halves a and b, with the tanh form of gelu"""
    a, b = np.split(x, 2)
    return a * _gelu(b)


@_add("Shazeer 2020, GLU variants improve transformer")
def swiglu(x):
    """a b sigmoid(b), of the halves a and b"""
    a, b = np.split(x, 2)
    return a * b * _sigmoid(b)


@_add("Goodfellow et al. 2013, Maxout networks")
def maxout(x):
    """the larger of each pair of neighbours"""
    return np.where(x[::2] >= x[1::2], x[::2], x[1::2])


@_add("Shang, Sohn, Almeida & Lee 2016, Concatenated rectified linear units")
def crelu(x):
    """max(x, 0), then max(-x, 0): a row twice as long"""
    return np.concatenate([np.where(x > 0, x, 0), np.where(x < 0, -x, 0)])


# Sorting.


@_add("Anil, Lucas & Grosse 2019, Sorting out Lipschitz function approximation")
def group_sort_2(x):
    """each pair of the two halves in order: the smaller ones, then the larger ones"""
    a, b = np.split(x, 2)
    return np.concatenate([np.where(a <= b, a, b), np.where(a <= b, b, a)])


@_add("Anil, Lucas & Grosse 2019, Sorting out Lipschitz function approximation")
def full_sort(x):
    """the row in ascending order"""
    return np.sort(x)


@_add("Makhzani & Frey 2013, k-sparse autoencoders; Ahmad & Scheinkman 2019")
def k_winners(x, k=2):
    """x where it is among the k largest, else 0"""
    return np.where(x >= np.sort(x)[-k], x, 0)


# Norms.


@_add("Sabour, Frosst & Hinton 2017, Dynamic routing between capsules")
def squash(x, eps=1e-7):
    """|x|^2 / (1 + |x|^2) x / |x|"""
    square = np.sum(x * x)
    return square / (1 + square) * x / np.sqrt(square + eps)


@_add("Zhang & Sennrich 2019, Root mean square layer normalization")
def rms_norm(x, gain=1.0, eps=1e-6):
    """gain x / sqrt(mean x^2 + eps)"""
    return gain * x / np.sqrt(np.mean(x * x) + eps)


@_add("Ba, Kiros & Hinton 2016, Layer normalization")
def layer_norm(x, gain=1.0, offset=0.0, eps=1e-5):
    """gain (x - mean) / sqrt(variance + eps) + offset"""
    apart = x - np.mean(x)
    return gain * apart / np.sqrt(np.mean(apart * apart) + eps) + offset


@_add("textbook")
def l2_normalise(x, eps=1e-12):
    """x / max(|x|, eps)"""
    square = np.sum(x * x)
    return x / np.sqrt(np.where(square > eps * eps, square, eps * eps))


__getattr__, __dir__ = served(ENTRIES, "the catalogue of rows has no", globals())
