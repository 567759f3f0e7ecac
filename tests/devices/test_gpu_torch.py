"""PyTorch on a GPU: `make test-gpu`."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from actgrad import activation, trainable
from actgrad.frameworks.torch import fused, rule

pytestmark = pytest.mark.gpu

swish = activation(lambda x, beta=1.0: x / (1 + math.exp(-beta * x)), name="gpu_swish")
SEVEN = activation(lambda x: x * x, name="gpu_seven", surrogate=7)
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def both(f: Any, x: Any, **parameters: Any) -> tuple[Any, Any]:
    x = x.detach().requires_grad_()
    y = f(x, **parameters)
    return y.detach(), torch.autograd.grad(y.sum(), x)[0]


@pytest.mark.parametrize("size", [1000, fused.LARGE, fused.LARGE + 17])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_value_and_gradient_are_those_of_the_cpu(dtype: Any, size: int) -> None:
    x = torch.randn(size).to(dtype)
    for beta in (1.0, 2.5):
        got, want = both(swish, x.cuda(), beta=beta), both(swish, x.double(), beta=beta)
        assert [t.dtype for t in got] == [dtype] * 2
        for a, b in zip(got, want, strict=True):
            torch.testing.assert_close(
                a.cpu(), b.to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=1e-6
            )


def test_a_large_call_is_fused_and_nothing_waits_for_the_device() -> None:
    x = torch.randn(1 << 20, device="cuda", requires_grad=True)
    upstream = torch.ones_like(x)
    torch.autograd.grad(swish(x), x, upstream)
    loops = rule.plan(swish.program).fused.loops
    assert any(key[0][0].type == "cuda" and loop for key, loop in loops.items())
    before = torch.cuda.memory_allocated()
    torch.cuda.set_sync_debug_mode("error")
    try:
        y = swish(x, beta=1.25)
        (gradient,) = torch.autograd.grad(y, x, upstream)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.cuda.memory_allocated() - before == y.nbytes + gradient.nbytes


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_compiled_and_autocast(dtype: Any) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), SEVEN.module()).cuda()
    x = torch.randn(32, 64, device="cuda")
    with torch.autocast("cuda", dtype=dtype):
        for f in (model, torch.compile(model, fullgraph=True)):
            model.zero_grad()
            y = f(x)
            assert y.dtype == dtype
            y.float().sum().backward()
            torch.testing.assert_close(
                model[0].bias.grad, torch.full((64,), 7.0 * 32, device="cuda")
            )


def test_a_learnt_parameter_and_transforms() -> None:
    module = swish.module(beta=trainable(1.5)).cuda()
    x = torch.randn(16, device="cuda")
    module(x).sum().backward()
    assert module.beta.grad.device.type == "cuda"
    slopes = torch.vmap(torch.func.grad(SEVEN))(x)
    assert slopes.tolist() == [7.0] * 16
