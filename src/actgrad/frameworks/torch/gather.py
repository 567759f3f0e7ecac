"""How PyTorch reads a table. `f.source("torch")` prints this code where there is one."""

import torch


def lookup(table, index, nan):
    """The entries of a table, whose further dimensions broadcast with the index."""
    table = torch.as_tensor(table, dtype=index.dtype, device=index.device)
    last = table.shape[0] - 1
    at = index.clamp(0, last).long().clamp(0, last)  # no integer holds 1e19, and nan is none
    if table.dim() > 1:
        size = table[0].numel()
        at = at * size + torch.arange(size, device=table.device).reshape(table.shape[1:])
    found = table.reshape(-1)[at]
    return torch.where(index == index, found, torch.nan) if nan else found


def still(x):
    """Without its derivative, in a dtype that counts exactly."""
    if not isinstance(x, torch.Tensor):
        return x
    return x.detach().to(torch.promote_types(x.dtype, torch.float32))
