"""The digits of scikit-learn, split by a seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def digits(seed: int) -> tuple[torch.Tensor, ...]:
    """Training images and classes, then those of the test: 1,297 and 500."""
    images, classes = load_digits(return_X_y=True)
    x, test_x, y, test_y = train_test_split(
        images / 16.0, classes, test_size=500, random_state=seed, stratify=classes
    )
    as_tensor = torch.from_numpy
    return (
        as_tensor(x.astype(np.float32)),
        as_tensor(y),
        as_tensor(test_x.astype(np.float32)),
        as_tensor(test_y),
    )


def batches(size: int, seed: int, batch: int = 64) -> Iterator[torch.Tensor]:
    order = torch.from_numpy(np.random.default_rng(seed).permutation(size))
    yield from order.split(batch)
