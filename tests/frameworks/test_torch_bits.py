"""PyTorch, large tensors: a derivative of two values keeps a bit for each number, and is the same."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.utils.checkpoint import checkpoint

from actgrad import Activation, activation, activations, surrogates
from actgrad.errors import UnfusedWarning
from actgrad.frameworks.torch import bits as torch_bits
from actgrad.frameworks.torch import fused as torch_fused

LARGE = 1 << 15
SIZE = LARGE + 77
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 6.0, 5e-324, 1e38, -1e38, math.inf, -math.inf, math.nan]

spiky = activation(
    lambda x: x % 1 if x % 1 <= 0.5 else 0.0,
    name="bits_spiky",
    derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0,
)
two_slopes = activation(lambda x: 1.25 * x if abs(x) < 1 else -0.3 * x, name="bits_two_slopes")


@pytest.fixture(autouse=True)
def at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_bits, "LARGE", LARGE)


def numbers(dtype: Any, size: int = SIZE) -> Any:
    x = 3 * torch.randn(size, dtype=torch.float64)
    x[: len(SPECIAL)] = torch.tensor(SPECIAL, dtype=torch.float64)
    x[-len(SPECIAL) :] = torch.tensor(SPECIAL, dtype=torch.float64)
    return x.to(dtype).requires_grad_()


def kept(f: Any, x: Any) -> tuple[Any, int]:
    """The value, and how many bytes autograd keeps for it."""
    sizes: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: sizes.append(t.numel() * t.itemsize) or t, lambda t: t
    ):
        return f(x), sum(sizes)


def in_pieces(f: Any, x: Any, upstream: Any) -> tuple[Any, Any]:
    """Value and gradient, so small that nothing is fused and no bit is kept."""
    found = []
    for part, up in zip(x.detach().split(LARGE // 4), upstream.split(LARGE // 4), strict=True):
        part.requires_grad_()
        value = f(part)
        found.append((value.detach(), torch.autograd.grad(value, part, up)[0]))
    values, gradients = zip(*found, strict=True)
    return torch.cat(values), torch.cat(gradients)


def catalogue() -> dict[str, Activation]:
    found = [getattr(room, name) for room in (activations, surrogates) for name in dir(room)]
    made = [f if isinstance(f, Activation) else f() for f in found if callable(f)]
    return {f.name: f for f in made if isinstance(f, Activation) and len(f.inputs) == 1}


def test_the_condition_tells_the_derivative() -> None:
    x = np.concatenate([np.random.default_rng(0).normal(size=1000) * 3, SPECIAL])
    found = set()
    for name, f in catalogue().items():
        program = f.program.closed
        two = torch_bits.two_values(program)
        if two:
            found.add(name)
            chosen = np.broadcast_to(two.condition.evaluate(x), x.shape)
            wanted = np.broadcast_to(program.partial(*program.inputs).evaluate(x), x.shape)
            np.testing.assert_array_equal(np.where(chosen, two.yes, two.no), wanted, err_msg=name)
    assert found >= {"relu", "leaky_relu", "hard_tanh", "relu6", "soft_shrink", "box", "ste_sign"}
    assert found.isdisjoint({"mish", "linear", "straight_through", "atan", "triangle"})


def test_many_conditions_that_meet_again_take_no_time() -> None:
    def stairs(x):
        sign = 1.0
        for edge in range(40):
            if abs(x) > edge:
                sign = -sign
        return sign * x

    def steps(x):
        slope = 0.0
        for edge in range(40):
            if x > edge:
                slope += 0.5
        return slope * x

    for function, expected in ((stairs, {1.0, -1.0}), (steps, None)):
        two = torch_bits.two_values(activation(function).program.closed)
        assert (two and {two.yes, two.no}) == expected


@pytest.mark.parametrize("size", [LARGE, SIZE])
@pytest.mark.parametrize("f", [spiky, two_slopes], ids=lambda f: f.name)
def test_value_and_gradient_to_the_bit_and_what_is_kept(f: Activation, size: int) -> None:
    x = numbers(torch.float32, size)
    upstream = numbers(torch.float32, size).detach().flip(0)
    value, remembered = kept(f, x)
    assert remembered <= size / 8 + 4 * torch_bits.WORDS + 8
    (gradient,) = torch.autograd.grad(value, x, upstream)
    wanted = in_pieces(f, x, upstream)
    for got, want in zip((value, gradient), wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=0, equal_nan=True)


def test_any_memory_order() -> None:
    x = torch.randn(2, 3, 80, 90).contiguous(memory_format=torch.channels_last).requires_grad_()
    for upstream in (torch.randn(2, 3, 80, 90), torch.ones(()).expand(x.shape)):
        value, size = kept(spiky, x)
        assert size < x.numel()
        (gradient,) = torch.autograd.grad(value, x, upstream)
        assert gradient.stride() == value.stride() == x.stride()
        flat = (t.flatten() for t in (x, upstream))
        for got, want in zip((value, gradient), in_pieces(spiky, *flat), strict=True):
            torch.testing.assert_close(got.flatten(), want, rtol=0, atol=0)
    gaps = torch.randn(2 * SIZE)[::2].requires_grad_()
    assert kept(spiky, gaps)[1] >= 4 * SIZE


def test_higher_orders_and_batches_of_gradients() -> None:
    x = numbers(torch.float32).detach().nan_to_num(1.0).clamp(-9, 9).requires_grad_()
    upstream = torch.randn(SIZE, requires_grad=True)
    value, _ = kept(two_slopes, x)
    (gradient,) = torch.autograd.grad(value, x, upstream, create_graph=True)
    slope, zero = torch.autograd.grad(gradient.sum(), (upstream, x))
    torch.testing.assert_close(gradient, upstream * slope)
    assert set(slope.unique().tolist()) == {1.25, torch.tensor(-0.3).item()}
    assert not zero.any()
    value, _ = kept(two_slopes, x)
    both = torch.stack([upstream, 2 * upstream]).detach()
    (batch,) = torch.autograd.grad(value, x, both, is_grads_batched=True)
    torch.testing.assert_close(batch, both * slope)


@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf"
)  # of `sin` too
def test_checkpointing_and_the_backward_of_a_graph_twice() -> None:
    x = numbers(torch.float32)
    wanted = in_pieces(spiky, x, torch.ones(SIZE))[1]
    for f in (spiky, lambda x: checkpoint(spiky, x, use_reentrant=False)):
        value = f(x)
        for _ in range(2):
            (gradient,) = torch.autograd.grad(value.sum(), x, retain_graph=True)
            torch.testing.assert_close(gradient, wanted, rtol=0, atol=0)
    x.grad = None
    with torch._dynamo.compiled_autograd._enable(torch.compile(backend="aot_eager")):
        spiky(x).sum().backward()
    torch.testing.assert_close(x.grad, wanted, rtol=0, atol=0)


def test_forward_mode_and_transforms_have_the_input() -> None:
    x = numbers(torch.float32).detach()
    wanted = in_pieces(spiky, x, torch.ones(SIZE))[1]
    torch.testing.assert_close(torch.func.jvp(spiky, (x,), (torch.ones(SIZE),))[1], wanted)
    torch.testing.assert_close(torch.func.grad(lambda x: spiky(x).sum())(x), wanted)
    x.requires_grad_()
    with torch.autograd.forward_ad.dual_level():
        spiky(torch.autograd.forward_ad.make_dual(x, torch.ones(SIZE))).sum().backward()
    torch.testing.assert_close(x.grad, wanted)


@pytest.mark.filterwarnings("ignore::actgrad.errors.DerivativeMismatchWarning")
@pytest.mark.parametrize(
    "f",
    [
        activation(lambda x: x * x if x > 0 else 0.0, name="a_slope"),
        activation(lambda x: max(-1.0, min(x, 1.0)) + max(x, 0.0), name="three_values"),
        activation(lambda x: max(x, 0.0), gradient=lambda x, up: up if up > 0 else 0.0),
        activation(lambda x: 3 * x, name="one_value"),
    ],
    ids=lambda f: f.name,
)
def test_other_derivatives_keep_the_input(f: Activation) -> None:
    assert kept(f, numbers(torch.float32))[1] >= 4 * SIZE


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_other_dtypes_keep_the_input(dtype: Any) -> None:
    assert kept(spiky, numbers(dtype))[1] == SIZE * dtype.itemsize


def test_small_tensors_keep_the_input() -> None:
    assert kept(spiky, numbers(torch.float32, LARGE - 1))[1] == 4 * (LARGE - 1)


def test_threads_wait_for_one_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    made, loop = [], torch_fused.loop

    def slow(flat: Any, *likes: Any) -> Any:
        made.append(flat)
        time.sleep(0.1)
        return loop(flat, *likes)

    monkeypatch.setattr(torch_fused, "loop", slow)
    monkeypatch.setattr(torch_fused, "_kernels", {})
    with ThreadPoolExecutor(4) as pool:
        sizes = set(pool.map(lambda _: kept(spiky, numbers(torch.float32))[1], range(4)))
    assert max(sizes) < SIZE
    assert len(made) == 2


def test_without_a_compiler_the_input_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(torch_fused, "loop", fails)
    monkeypatch.setattr(torch_fused, "_kernels", {})
    monkeypatch.setattr(torch_fused, "_off", False)
    x = numbers(torch.float32)
    with pytest.warns(UnfusedWarning, match="bits_spiky.*\n.*No working C") as said:
        value, size = kept(spiky, x)
    assert len(said) == 1
    assert size == 4 * SIZE
    (gradient,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(gradient, in_pieces(spiky, x, torch.ones(SIZE))[1], rtol=0, atol=0)
