"""What PyTorch's compilers must not look into, as one operator: a Python function on the host, and a program
that would be too large for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import count
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from actgrad.errors import HostError

OfTensors = Callable[..., Tensor]

_functions: WeakValueDictionary[int, OfTensors] = WeakValueDictionary()
"""By a number that is given once, which is all that a compiled graph holds. What calls it keeps them."""

_numbers = count()


def operator(function: Callable[..., float]) -> OfTensors:
    """A Python function of numbers, called on the host CPU."""

    def on_host(*tensors: Tensor) -> Tensor:
        arrays = [tensor.detach().cpu().numpy() for tensor in tensors]
        result = np.vectorize(function, otypes=[np.float64])(*arrays)
        return torch.as_tensor(np.asarray(result), dtype=tensors[0].dtype, device=tensors[0].device)

    return opaque(on_host)


def opaque(function: OfTensors) -> OfTensors:
    """An elementwise function of tensors, whose result has the dtype of the first."""
    number = next(_numbers)
    _functions[number] = function
    return partial(_call, _operator(), number, function)


def _call(run: OfTensors, number: int, _kept: OfTensors, *tensors: Tensor) -> Tensor:
    return run(number, list(tensors))


@cache
def _operator() -> OfTensors:
    """One operator for all functions: torch.compile leaves it as it is, and knows its shape."""

    def call(key: int, args: list[Tensor]) -> Tensor:
        function = _functions.get(key)
        if function is None:
            raise HostError(
                "a graph calls an activation that is gone\n"
                "  Keep the activation, or the module that has it, as long as the graph."
            )
        return function(*args)

    def shape(key: int, args: list[Tensor]) -> Tensor:
        return args[0].new_empty(torch.broadcast_shapes(*(arg.shape for arg in args)))

    # The schema is inferred from annotations, which are text in this file.
    for function in (call, shape):
        function.__annotations__ = {"key": int, "args": list[Tensor], "return": Tensor}
    made = torch.library.custom_op("actgrad::opaque", call, mutates_args=())
    made.register_fake(shape)
    return made
