"""The arguments of an activation, as tensors; what is not taken is refused with the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from actgrad.errors import CallError, DtypeError
from actgrad.frameworks.dtypes import way_out
from actgrad.language.program import Program


def arguments(
    program: Program, inputs: Sequence[Any], parameters: Mapping[str, Any]
) -> Sequence[Tensor]:
    """Inputs before parameters, as tensors. Half types compute with parameters in float32."""
    like, dtype = _common(program, inputs)
    working = torch.float32 if dtype.itemsize == 2 else dtype
    return [as_tensor(x, dtype, like) for x in inputs] + [
        as_tensor(parameters.get(name, value), working, like) for name, value in program.parameters
    ]


def _common(program: Program, inputs: Sequence[Any]) -> tuple[Tensor, torch.dtype]:
    """A tensor of the inputs' device, and their common dtype."""
    like = dtype = None
    for x in inputs:
        if isinstance(x, Tensor):
            kind = x.dtype
            if not kind.is_floating_point or kind.itemsize == 1 or x.layout is not torch.strided:
                raise _refused(program.name, x)
            like = x if like is None or like.dim() == 0 else like
            dtype = kind if dtype is None else torch.promote_types(dtype, kind)
    if like is None:
        kinds = ", ".join(type(x).__name__ for x in inputs)
        raise CallError(f"{program.name!r} takes tensors here, and got {kinds}")
    return like, dtype


def _refused(name: str, x: Tensor) -> Exception:
    if x.layout is not torch.strided:
        return CallError(
            f"{name!r} got a tensor of layout {x.layout}, and takes dense (strided) ones\n"
            f"  Convert it first: `x.to_dense()`, or apply it to `x.values()` if it keeps zero."
        )
    dtype = str(x.dtype).removeprefix("torch.")
    join = "torch.complex(re(z.real, z.imag), im(z.real, z.imag))"
    return DtypeError(
        f"{name!r} got a tensor of dtype {x.dtype}; it takes float16, bfloat16, float32 and float64\n"
        f"  {way_out(dtype, 'x.float()', join)}"
    )


def as_tensor(x: Any, dtype: torch.dtype, like: Tensor) -> Tensor:
    """A tensor, a number, an array, or a list of these."""
    if isinstance(x, Tensor):
        return x if x.dtype is dtype else x.to(dtype)
    if isinstance(x, (int, float)):
        if is_dynamo_compiling():
            return like.new_ones((), dtype=dtype) * x  # `new_full` would compile anew for every x
        if like.device.type in ("cpu", "cuda"):  # a number of the CPU goes with either
            return torch.tensor(x, dtype=dtype, device="cpu")
        return like.new_full((), x, dtype=dtype)
    if isinstance(x, (list, tuple)) and any(isinstance(each, Tensor) for each in x):
        return torch.stack([as_tensor(each, dtype, like) for each in x])
    return torch.as_tensor(np.asarray(x, np.float64), dtype=dtype, device=like.device)
