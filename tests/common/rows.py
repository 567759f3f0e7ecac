"""A data set that defines an activation where it is read, and calls it on a large row."""

from __future__ import annotations

import torch

from actgrad import activation


class Rows(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> torch.Tensor:
        f = activation(lambda x, k=1.0 + i: k * x if x > 0 else x / 4, name=f"row_{i}")
        x = torch.linspace(-2, 2, 100_001, requires_grad=True)
        y = f(x)
        y.sum().backward()
        return torch.stack([y.detach(), x.grad])
