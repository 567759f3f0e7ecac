"""The learnt quantiser beside other libraries' own, in value and in every gradient."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from actgrad import learnable, trainable

torch = pytest.importorskip("torch")

X = np.linspace(-2.93713, 3.07317, 401)  # on no tie and no end of the range
STEP = 0.17


def by_torch(x: Any, step: Any, zero: int, low: int, high: int, scale: float) -> Any:
    point = torch.tensor([float(zero)])
    fake = torch._fake_quantize_learnable_per_tensor_affine  # what its learnable observer calls
    return fake(x, step, point, low, high, scale)


def by_brevitas(x: Any, step: Any, zero: int, low: int, high: int, scale: float) -> Any:
    from brevitas.core import quant

    bits = torch.tensor(float((high - low + 1).bit_length() - 1))
    own = quant.IntQuant(False, low < 0, torch.nn.Identity())
    # It has no scale for the gradient: that is what LSQ does with the step before.
    scaled = step * scale + (step - step * scale).detach()
    return own(scaled, torch.tensor(float(zero)), bits, x)


CASES = list(itertools.product([(-8, 7), (0, 15), (-2, 1)], [1.0, 0.25]))


@pytest.mark.parametrize(("ends", "scale"), CASES)
def test_lsq_beside_torch(ends: tuple[int, int], scale: float) -> None:
    check_lsq(by_torch, *ends, scale)


def test_lsq_beside_brevitas() -> None:
    pytest.importorskip("brevitas")
    for ends, scale in CASES:
        check_lsq(by_brevitas, *ends, scale)


def check_lsq(library: Any, low: int, high: int, scale: float) -> None:
    # Both take up to half a step beyond the ends for inside, as they look at the rounded number.
    beyond = np.maximum(X / STEP - high, low - X / STEP)
    x = X[(beyond <= 0) | (beyond > 0.5)]
    upstream = torch.linspace(-1, 2, len(x))
    theirs = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    step = torch.tensor([STEP], requires_grad=True)
    wanted = library(theirs, step, 0, low, high, scale)
    wanted.backward(upstream)
    module = learnable.lsq.module(
        step=trainable(STEP), low=float(low), high=float(high), scale=scale
    )
    ours = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    found = module(ours)
    found.backward(upstream)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(module.step.grad.sum(), step.grad.sum(), rtol=1e-4, atol=1e-4)
