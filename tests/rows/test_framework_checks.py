"""The frameworks' own checks of derivatives, of numbers, several inputs, rows and a trained table: gradcheck
and gradgradcheck of PyTorch, what applies of its opcheck, and check_grads of JAX to order 3 in both modes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from actgrad import activation
from tests.sample import exhaustive_but

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
test_util = pytest.importorskip("jax.test_util")
optests = pytest.importorskip("torch.testing._internal.optests")

POINTS = np.array([[0.31, -1.23, 0.87, 1.64], [-0.42, 2.15, -1.71, 0.08]])
TABLE = (0.5, -1.25, 2.0, 0.75)


def bump(x: Any, k: float = 0.7) -> Any:
    return math.tanh(k * x) * math.exp(-x * x)


def softmax(x: Any, t: float = 1.3) -> Any:
    powers = np.exp((x - np.max(x)) / t)
    return powers / np.sum(powers)


def normed(x: Any) -> Any:
    return (x - np.mean(x)) / np.sqrt(np.var(x) + 0.1)


def looked_up(x: Any, t: Any = TABLE) -> Any:
    return t[int(min(max(x + 2, 0), 3))] * math.sin(x)


def gate(x: Any, y: Any) -> Any:
    return x * math.tanh(y) if x > y else y * y / (1 + x * x)


def of_two() -> Callable[..., Any]:
    f = activation(gate)
    return lambda x, y: f(x, y)


CASES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "numbers": (lambda: activation(bump), {"k": 0.9}),
    "several inputs": (of_two, {"y": POINTS[0] * 1.1 - 0.2}),
    "rows": (lambda: activation(softmax, axis=-1), {"t": 1.1}),
    "rows without a parameter": (lambda: activation(normed, axis=-1), {}),
    "table": (lambda: activation(looked_up), {"t": np.array(TABLE)}),
}
cases = pytest.mark.parametrize("case", CASES)


def of_tensors(case: str) -> tuple[Callable[..., Any], list[Any]]:
    """An activation as a function of tensors alone, its parameters too, and what to call it with."""
    make, parameters = CASES[case]
    f = make()
    given = [torch.tensor(v, dtype=torch.float64) for v in (POINTS, *parameters.values())]
    given = [t.requires_grad_() for t in given]

    def call(x: Any, *values: Any) -> Any:
        return f(x, **dict(zip(parameters, values, strict=True)))

    return call, given


@cases
def test_gradcheck_and_gradgradcheck(case: str) -> None:
    call, given = of_tensors(case)
    assert torch.autograd.gradcheck(
        call, given, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )
    assert torch.autograd.gradgradcheck(
        call, given, check_batched_grad=True, check_fwd_over_rev=True, check_rev_over_rev=True
    )


@cases
def test_what_opcheck_asks_of_an_operator(case: str) -> None:
    """`torch.library.opcheck` takes registered operators alone. What it does with one, beside looking at how
    it is registered: it is traced on fake tensors with its gradients, in fixed shapes and in others."""
    call, given = of_tensors(case)
    for dynamic in (False, True):
        optests.aot_autograd_check(call, given, {}, dynamic=dynamic, check_gradients=True)


def test_opcheck_sees_what_is_other_when_traced() -> None:
    x = [torch.tensor(POINTS, requires_grad=True)]
    with pytest.raises(AssertionError):
        optests.aot_autograd_check(
            lambda x: x * (1 if type(x) is torch.Tensor else 2), x, {}, dynamic=False
        )


@pytest.mark.parametrize("order", exhaustive_but([2], [2, 3]))
@pytest.mark.parametrize("case", exhaustive_but(["numbers"], CASES))
@pytest.mark.usefixtures("float64")
def test_check_grads(case: str, order: int) -> None:
    make, parameters = CASES[case]
    f = make()

    def call(x: Any, *values: Any) -> Any:
        return f(x, **dict(zip(parameters, values, strict=True)))

    given = [jax.numpy.asarray(v, "float64") for v in (POINTS, *parameters.values())]
    test_util.check_grads(call, given, order=order, modes=("fwd", "rev"))


@pytest.mark.usefixtures("float64")
def test_the_checks_see_a_false_derivative() -> None:
    f = activation(lambda x: x * x, surrogate=lambda x: 3.0, name="false")
    with pytest.raises(AssertionError):
        test_util.check_grads(f, [jax.numpy.asarray(POINTS)], order=1, modes=("rev",))
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(f, [torch.tensor(POINTS, requires_grad=True)])
