"""What PyTorch's compilers must not look into, as one operator: a Python function on the host, and a program
that would be too large for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

_functions: dict[int, Callable[..., torch.Tensor]] = {}
"""By identity; kept, as a compiled graph holds only the number."""


def operator(function: Callable[..., float]) -> Callable[..., torch.Tensor]:
    """A Python function of numbers, called on the host CPU."""

    def on_host(*tensors: torch.Tensor) -> torch.Tensor:
        arrays = [tensor.detach().cpu().numpy() for tensor in tensors]
        result = np.vectorize(function, otypes=[np.float64])(*arrays)
        return torch.as_tensor(np.asarray(result), dtype=tensors[0].dtype, device=tensors[0].device)

    return opaque(on_host)


def opaque(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """An elementwise function of tensors, whose result has the dtype of the first."""
    key = id(function)
    _functions[key] = function
    run = _operator()
    return lambda *tensors: run(key, list(tensors))


@cache
def _operator() -> Any:
    """One operator for all functions: torch.compile leaves it as it is, and knows its shape."""

    def call(key: int, args: list[torch.Tensor]) -> torch.Tensor:
        return _functions[key](*args)

    def shape(key: int, args: list[torch.Tensor]) -> torch.Tensor:
        return args[0].new_empty(torch.broadcast_shapes(*(arg.shape for arg in args)))

    # The schema is inferred from annotations, which are text in this file.
    for function in (call, shape):
        function.__annotations__ = {
            "key": int,
            "args": list[torch.Tensor],
            "return": torch.Tensor,
        }
    made = torch.library.custom_op("actgrad::opaque", call, mutates_args=())
    made.register_fake(shape)
    return made
