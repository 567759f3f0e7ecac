"""What several entries of the catalogue share, of plain numbers."""

import math


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def softplus(x):
    return math.log(1 + math.exp(x))


def normal_cdf(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))
