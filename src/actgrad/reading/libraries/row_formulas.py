"""What libraries compute of a row by a formula: shares, and rows that are standardised or normalised."""

from __future__ import annotations

from sys import modules
from typing import Any

from actgrad.common.types import Function
from actgrad.reading.libraries import formulas as elementwise
from actgrad.reading.libraries import meanings, row_numbers
from actgrad.reading.libraries.formulas import maximum, rsqrt
from actgrad.reading.libraries.meanings import Number, add, divide, multiply
from actgrad.reading.libraries.notation import formulas
from actgrad.reading.libraries.row_numbers import along, norm, total
from actgrad.reading.libraries.sizes import Size
from actgrad.reading.refusal import refuse


def _own(x: object, axis: object, name: str) -> object:
    """The row, along whose only axis this is."""
    along(axis, name)
    return x


def _whole(x: Any, shape: object, name: str) -> object:
    """The row, whose own shape this is."""
    shape = shape if isinstance(shape, (tuple, list)) else (shape,)
    if len(shape) != 1 or not isinstance(shape[0], Size) or shape[0].length != x.form:
        refuse(f"`{name}` over a shape of {shape}", "Give it the row's own: `(x.shape[-1],)`.")
    return x


def _scaled(x: object, weight: object, bias: object = None) -> Number:
    x = x if weight is None else multiply(x, weight)
    return x if bias is None else add(x, bias)


def _fuzz(epsilon: float | None) -> float:
    """Keras's own small number, which a user can set, where none is said."""
    return float(modules["keras"].config.epsilon()) if epsilon is None else epsilon


def _said(eps: object) -> object:
    if eps is None:
        refuse(
            "`rms_norm` without `eps`, which then depends on the dtype of the tensor",
            "Give it one: `F.rms_norm(x, (x.shape[-1],), eps=1e-6)`.",
        )
    return eps


def normalised_by_keras(
    x: object, axis: object = -1, order: object = 2, epsilon: float | None = None
) -> Number:
    held = _fuzz(epsilon)
    if order == 2:  # the square is held, and not the norm
        along(axis, "normalize")
        return multiply(x, rsqrt(maximum(total(multiply(x, x)), held**2)))
    return divide(x, maximum(norm(x, order, axis), held))


_FORMULAS = """
any_of(x, axis=None, keepdims=False) = largest(number(truth(x)), axis, keepdims) == 1.0
all_of(x, axis=None, keepdims=False) = smallest(number(truth(x)), axis, keepdims) == 1.0
argmin(x, axis=None, keepdims=False) = argmax(-whole(x, "argmin"), axis, keepdims)
spread_of(x, axis=None, keepdims=False) = largest(x, axis, keepdims) - smallest(x, axis, keepdims)
# Python's `math.dist`.
distance(x, y) = norm(x - y)
euclidean_norm(x, axis=None, keepdims=False) = norm(x, 2, axis, keepdims)
logmeanexp(x, axis=None, keepdims=False) = logsumexp(x, axis, keepdims) - log(length_of(x))

softmax(x, axis=-1) = _shares(exp(_below_largest(_own(x, axis, "softmax"))))
softmin(x, axis=-1) = softmax(-x, axis)
log_softmax(x, axis=-1) = _log_shares(_below_largest(_own(x, axis, "log_softmax")))
_below_largest(x) = x - stop_gradient(largest(x))
_shares(powers) = powers / total(powers)
_log_shares(logarithms) = logarithms - log(total(exp(logarithms)))

l2_normalised(x, axis=-1, epsilon=1e-12) =
    _own(x, axis, "l2_normalize") * rsqrt(maximum(total(x * x), epsilon))
standardised(x, axis=-1, epsilon=1e-5) =
    (_own(x, axis, "standardize") - mean(x)) * rsqrt(variance(x) + epsilon)
# PyTorch's `normalize`, whose axis is the second of a matrix if none is said.
normalised(x, p=2, axis=1, eps=1e-12) = x / maximum(norm(x, p, axis), eps)
# TensorFlow's: a row that is longer is as long as this.
clipped_by_norm(x, clip_norm, axes=None) =
    x * clip_norm / maximum(_root(total(x * x, axes, keepdims=True)), clip_norm)
layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5) =
    _scaled(standardised(_whole(x, normalized_shape, "layer_norm"), -1, eps), weight, bias)
rms_norm(x, normalized_shape, weight=None, eps=None) =
    _scaled(_by_mean_square(_whole(x, normalized_shape, "rms_norm"), _said(eps)), weight)
layer_normalization(x, gamma=None, beta=None, axis=-1, epsilon=None) =
    _scaled(standardised(x, axis, _fuzz(epsilon)), gamma, beta)
rms_normalization(x, scale=None, axis=-1, epsilon=None) =
    _scaled(_by_mean_square(_own(x, axis, "rms_normalization"), _fuzz(epsilon)), scale)
_by_mean_square(x, eps) = x * rsqrt(mean(x * x) + eps)
"""


def __getattr__(name: str) -> Function:
    """To a type checker, the names of the formulas."""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_KNOWN = {**vars(meanings), **vars(elementwise), **vars(row_numbers), **globals()}
globals().update(formulas(_FORMULAS, _KNOWN, __file__))
