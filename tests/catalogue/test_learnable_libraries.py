"""What is learnt beside other libraries' own, in value and in every gradient."""

from __future__ import annotations

import importlib.util
import itertools
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actgrad import activations, learnable, trainable

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


def check_smooth(f: Any, values: dict[str, Any], theirs: Any) -> None:
    """Value and gradient by the input and by each parameter, in float64."""
    x = torch.tensor(X, requires_grad=True)
    own = {
        name: torch.tensor(v, dtype=torch.float64, requires_grad=True) for name, v in values.items()
    }
    known = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values.values()]
    other = x.detach().clone().requires_grad_()
    result, expected = f(x, **own), theirs(other, *known)
    upstream = torch.cos(3 * x.detach())
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)
    found = torch.autograd.grad(result, [x, *own.values()], upstream)
    slopes = torch.autograd.grad(expected, [other, *known], upstream)
    for mine, slope in zip(found, slopes, strict=True):
        torch.testing.assert_close(mine, slope, rtol=1e-9, atol=1e-11)


def test_the_rational_beside_rational_activations() -> None:
    functions = pytest.importorskip("rational.torch.rational_pytorch_functions")
    values = learnable.rational.program.settings
    check_smooth(
        learnable.rational,
        dict(values),
        lambda x, above, below: functions.Rational_PYTORCH_B_F(x, above, below, True),
    )


def test_snake_beside_torch_snake() -> None:
    snake = pytest.importorskip("snake.activations")
    check_smooth(activations.snake, {"a": 1.7}, snake.SnakeFunction.apply)


def test_acon_beside_yolov5() -> None:
    yolov5 = importlib.util.find_spec("yolov5")
    if yolov5 is None:
        pytest.skip("yolov5 is not installed")
    # That file alone: the package reads pictures.
    file = Path(str(yolov5.origin)).parent / "utils" / "activations.py"
    acon = runpy.run_path(str(file))["AconC"](1)

    def call(x: Any, *values: Any) -> Any:
        shaped = (v.reshape(1, 1, 1, 1) for v in values)
        given = dict(zip(("p1", "p2", "beta"), shaped, strict=True))
        return torch.func.functional_call(acon, given, (x[:, None, None, None],))[:, 0, 0, 0]

    check_smooth(learnable.acon, {"p1": 1.2, "p2": -0.3, "beta": 0.8}, call)


def test_dyt_beside_x_transformers() -> None:
    theirs = pytest.importorskip("x_transformers.x_transformers").DynamicTanh(1)

    def call(x: Any, *values: Any) -> Any:
        names = ("pre_tanh_scale", "gamma", "beta")
        given = {name: v.reshape(v.shape or (1,)) for name, v in zip(names, values, strict=True)}
        return torch.func.functional_call(theirs, given, (x[:, None],))[:, 0]

    check_smooth(learnable.dyt, {"alpha": 0.7, "weight": 1.3, "bias": -0.2}, call)
