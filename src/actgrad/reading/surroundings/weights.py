"""The numbers of an object: its weights, constant tensors and plain numbers."""

from __future__ import annotations

import types
from typing import Any, NoReturn

import numpy as np

from actgrad.common.types import Array
from actgrad.errors import ImpureError
from actgrad.reading.refusal import refuse
from actgrad.reading.surroundings.origins import public
from actgrad.reading.symbol import Symbol

_WEIGHTS = (
    "torch.nn.Parameter",
    "tensorflow.Variable",
    "keras.Variable",
    "flax.nnx.Variable",
)


def is_any(value: Any, paths: Any) -> str | None:
    for path in paths:
        kind = public(path)
        if isinstance(kind, type) and isinstance(value, kind):
            return str(path)
    return None


def is_weight(value: Any) -> bool:
    """Whether it is a number that a framework trains."""
    if isinstance(value, (type, types.FunctionType)):
        return False
    if is_any(value, _WEIGHTS):
        return True
    # Or a PyTorch tensor through which a gradient would flow to a weight.
    return bool(is_any(value, ("torch.Tensor",)) and value.requires_grad)


def _array(value: Any) -> Array | None:
    """The numbers of a weight, a constant tensor, or a plain number."""
    if isinstance(value, (bool, str, bytes, complex)) or value is None:
        return None
    if isinstance(value, (int, float, np.generic, np.ndarray)):
        return np.asarray(value)
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return None
    if hasattr(value, "detach"):
        value = value.detach().cpu().double()
    elif type(value).__module__.startswith("flax"):
        value = value[...]
    elif hasattr(value, "value") and not callable(value.value):
        value = value.value
    try:
        array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    except Exception:  # a tensor of another library that has no numbers now (a placeholder)
        return None
    return array if array.dtype.kind in "iuf" or "float" in str(array.dtype) else None


def number_of(value: object) -> object:
    """A parameter's value: a float, or an array of several."""
    if type(value) is int:
        return value
    array = _array(value)
    if array is None or not array.size:
        return None
    return float(array.reshape(-1)[0]) if array.size == 1 else array.astype(np.float64)


class Weight(Symbol):
    """A PyTorch weight of one number: `weight[0]` is all of it, and `weight.item()` a plain number, through
    which no gradient flows."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> object:
        parts = key if isinstance(key, tuple) else (key,)
        if all(type(part) is int and part in (0, -1) for part in parts):
            return Symbol(self.expr, self.form)
        return super().__getitem__(key)

    @property
    def data(self) -> Symbol:
        return Weight(super().data.expr, self.form)

    @data.setter
    def data(self, value: object) -> NoReturn:
        refuse(
            "the function writes into its own weight, so it is not a function of its arguments alone",
            "Compute with a local variable, as in `a = self.a.clamp(0, 1)`.",
            ImpureError,
        )

    def item(self) -> Symbol:
        return super().data


def in_place_of(weight: Any, value: Any) -> Any:
    """The symbol of a weight."""
    is_tensor = isinstance(value, Symbol) and is_any(weight, ("torch.Tensor",))
    return Weight(value.expr, value.form) if is_tensor else value
