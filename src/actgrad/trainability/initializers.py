"""First weights that keep the size of what passes: normal, of standard deviation g_f / √fan_in.

g_f = (E f(Z)²)^-1/2 is the forward gain of the activation that stands after the weights.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from actgrad.activation import Activation, activation
from actgrad.common.types import Fields, Function
from actgrad.errors import CallError
from actgrad.frameworks.names import not_installed

if TYPE_CHECKING:
    import torch


def initializer(f: Activation | Function, framework: str = "keras", **parameters: object) -> object:
    """First weights with which `f` keeps the variance: N(0, g_f² / fan_in).

    `f` is an activation (or a Python function) of one input; keyword arguments are its parameter
    values. With `framework="keras"` a `keras.initializers.VarianceScaling`, which is saved with the
    model; with `"jax"` a function `init(key, shape, dtype)` as those of `jax.nn.initializers`. Both
    take a convolution's fan-in right. For PyTorch, `init_(weight, f)`.

    Raises `CallError` if no gain keeps the variance, and `MissingFrameworkError`.

    Source: He et al. 2015 (arXiv 1502.01852), with the activation's own second moment.

    >>> from actgrad import activation
    >>> square = activation(lambda x: x**2, name="square")
    >>> init = initializer(square, framework="jax")
    """
    variance = _gain(f, parameters) ** 2
    try:
        if framework == "keras":
            import keras

            return keras.initializers.VarianceScaling(variance, "fan_in", "untruncated_normal")
        if framework == "jax":
            import jax

            return jax.nn.initializers.variance_scaling(variance, "fan_in", "normal")
    except ModuleNotFoundError as error:
        raise not_installed(framework) from error
    hint = "for PyTorch there is actgrad.init_(weight, f)" if framework == "torch" else ""
    raise CallError(f"framework={framework!r}: {hint or 'there are keras and jax'}")


def init_(
    weight: torch.Tensor,
    f: Activation | Function,
    generator: torch.Generator | None = None,
    **parameters: object,
) -> torch.Tensor:
    """Fill a PyTorch weight, in place, with N(0, g_f² / fan_in), and return it.

    The fan-in is that of `torch.nn.Linear` and `ConvNd`: everything but the first dimension, so a
    grouped convolution is right, and a transposed one (its weight is the other way round) is not.

    Raises `CallError` for a weight of fewer than two dimensions, or if no gain keeps the variance.
    """
    import torch

    if weight.dim() < 2:
        raise CallError(
            f"a weight of shape {tuple(weight.shape)} has no fan-in: init_ takes the weights of layers, "
            f"of two dimensions or more\n  A bias begins at 0: `torch.nn.init.zeros_(bias)`."
        )
    fan_in = weight[0].numel()
    deviation = _gain(f, parameters) / math.sqrt(fan_in)
    return torch.nn.init.normal_(weight, 0.0, deviation, generator=generator)


def _gain(f: Activation | Function, parameters: Fields) -> float:
    if not isinstance(f, Activation):
        f = activation(f)
    found = f.propagation(**parameters)
    if not 0 < found.gain < math.inf:
        raise CallError(
            f"no weights keep the variance through {f.name!r}: E f(Z)² is {found.second_moment:.4g}"
        )
    return float(found.gain)
