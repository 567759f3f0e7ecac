"""Parameters of functions of a row that have a number for each place: where they may, and where one number
has to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch

from actgrad import activation
from actgrad.errors import CallError, TraceError


def filled_with(x, a=1.0):
    return x * np.cumsum(np.full(len(x), a))


def test_a_number_for_each_place_fills_a_row_as_it_is() -> None:
    f = activation(filled_with, axis=-1)
    x = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    numbers = np.array([1.0, 2.0, -3.0])
    np.testing.assert_allclose(f(x, a=numbers), [filled_with(row, numbers) for row in x])
    tensor = torch.tensor(numbers, requires_grad=True)
    f(torch.tensor(x), a=tensor).sum().backward()
    np.testing.assert_allclose(tensor.grad, x[:, ::-1].cumsum(-1)[:, ::-1].sum(0))
    inner = torch.tensor(x, requires_grad=True)
    activation(lambda x: f(x, a=x), axis=-1)(inner).sum().backward()
    slopes = [np.cumsum(row) + np.cumsum(row[::-1])[::-1] for row in x]
    np.testing.assert_allclose(inner.grad, slopes)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, a=1.0: np.concatenate([x, [a]])[: len(x)],
        lambda x, a=1.0: x * np.sum(np.concatenate([x, [a]])),
        lambda x, a=1.0: np.diff(x, prepend=a),
        lambda x, a=1.0: np.pad(x, 1, constant_values=a)[2:],
        lambda x, a=1.0: x + np.sum(np.full(2 * len(x), a)),
    ],
)
def test_a_parameter_that_is_put_into_a_row_is_one_number(function: Any) -> None:
    f = activation(function, axis=-1, name="f")
    x = np.arange(3.0)
    np.testing.assert_allclose(f(x, a=2.0), function(x, 2.0))
    with pytest.raises(CallError, match="puts it into a row as one number\n  Give one number"):
        f(x, a=np.ones(3))
    with pytest.raises(TraceError, match="'f' got a row for a parameter, and puts it into a row"):
        activation(lambda x: f(x, a=x), axis=-1)


@pytest.mark.parametrize(
    ("function", "way_out"),
    [
        (lambda x, a=1.0: x[: len(x) // 2 + 1] * a, "It takes rows of the lengths 1, 2."),
        (lambda x, a=1.0: np.concatenate([x, x]) * a, "Give one number for each parameter."),
    ],
)
@pytest.mark.parametrize("array", [np.ones, torch.ones, tf.ones])
def test_a_parameter_as_long_as_the_input_has_to_fit_its_parts(
    array: Any, function: Any, way_out: str
) -> None:
    f = activation(function, axis=-1, name="f")
    with pytest.raises(CallError, match=f"combines rows of the lengths .*\n  {way_out}"):
        f(array(3), a=array(3))
