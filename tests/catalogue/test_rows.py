"""The catalogue of rows against the libraries that are known for each, in value and gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
import torch.nn.functional as F

from actgrad import activation, rows
from actgrad.catalogue.rows import ENTRIES
from actgrad.language.expression import as_row, const, make, var
from actgrad.language.length import N
from actgrad.study.row_check import check_rows


def _halves(gate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def gated(x: Any) -> Any:
        a, b = x.chunk(2, -1)
        return a * gate(b)

    return gated


KNOWN: dict[str, Callable[[Any], Any]] = {
    "softmax": lambda x: F.softmax(x, -1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "softmax_one": lambda x: F.softmax(torch.cat([x, torch.zeros_like(x[:, :1])], -1), -1)[:, :-1],
    "glu": lambda x: F.glu(x, -1),
    "bilinear": _halves(lambda b: b),
    "reglu": _halves(F.relu),
    "geglu": _halves(lambda b: F.gelu(b, approximate="tanh")),
    "swiglu": _halves(F.silu),
    "maxout": lambda x: x.reshape(len(x), -1, 2).amax(-1),
    "crelu": lambda x: torch.cat([F.relu(x), F.relu(-x)], -1),
    "group_sort_2": lambda x: torch.stack(x.chunk(2, -1), -1).sort(-1)[0].mT.flatten(-2),
    "full_sort": lambda x: x.sort(-1)[0],
    "k_winners": lambda x: torch.zeros_like(x).scatter(-1, x.topk(2).indices, x.topk(2).values),
    "squash": lambda x: x.norm(dim=-1, keepdim=True) * x / (1 + x.norm(dim=-1, keepdim=True) ** 2),
    "rms_norm": lambda x: F.rms_norm(x, x.shape[-1:], eps=1e-6),
    "layer_norm": lambda x: F.layer_norm(x, x.shape[-1:]),
    "l2_normalise": lambda x: F.normalize(x, dim=-1),
}


@pytest.mark.parametrize("name", KNOWN)
def test_value_and_gradient_are_those_of_pytorch(name: str) -> None:
    random = np.random.default_rng(3)
    x = torch.tensor(random.normal(size=(7, 8)) * 2, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    own, known = getattr(rows, name)(x), KNOWN[name](y)
    np.testing.assert_allclose(own.detach(), known.detach(), rtol=1e-6, atol=1e-7)
    upstream = torch.tensor(random.normal(size=own.shape))
    own.backward(upstream)
    known.backward(upstream)
    np.testing.assert_allclose(x.grad, y.grad, rtol=1e-5, atol=1e-6)


def _threshold(x: Any, power: float) -> float:
    """By halving: where max(x - t, 0)^power sums to one."""
    low, high = x.max() - 1, x.max()
    for _ in range(200):
        middle = (low + high) / 2
        if np.sum(np.maximum(x - middle, 0) ** power) > 1:
            low = middle
        else:
            high = middle
    return float(low)


@pytest.mark.parametrize(("name", "power", "scale"), [("sparsemax", 1, 1.0), ("entmax15", 2, 0.5)])
def test_sparse_ones_solve_their_equation(name: str, power: int, scale: float) -> None:
    x = np.random.default_rng(5).normal(size=(20, 7)) * 2
    expected = np.stack(
        [np.maximum(row * scale - _threshold(row * scale, power), 0) ** power for row in x]
    )
    f = getattr(rows, name)
    np.testing.assert_allclose(f(x), expected, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(f(x + 100.0), f(x), rtol=1e-8, atol=1e-9)
    assert (f(x) == 0).any()
    matrix = jax.vmap(jax.jacrev(f))(x.astype(np.float32))
    support = np.sqrt(expected) if power == 2 else (expected > 0).astype(float)
    share = support / support.sum(-1, keepdims=True)
    known = support[:, :, None] * (np.eye(7) - share[:, None, :])
    np.testing.assert_allclose(matrix, known, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["sparsemax", "entmax15"])
def test_sparse_ones_beside_entmax(name: str) -> None:
    entmax = pytest.importorskip("entmax")
    random = np.random.default_rng(7)
    x = torch.tensor(
        random.normal(size=(30, 50)) * random.uniform(0.01, 10, (30, 1)), requires_grad=True
    )
    upstream = torch.tensor(random.normal(size=x.shape))
    own, known = getattr(rows, name)(x), getattr(entmax, name)(x, -1)
    torch.testing.assert_close(own, known, rtol=1e-9, atol=1e-11)
    gradients = [torch.autograd.grad(y, x, upstream)[0] for y in (own, known)]
    torch.testing.assert_close(*gradients, rtol=1e-7, atol=1e-9)


KINDS: dict[str, Any] = {
    "geometric": lambda n: -(1.05 ** -np.arange(float(n))),
    "slow": lambda n: -((np.arange(float(n)) / n) ** 8),
    "ties": lambda n: np.round(np.random.default_rng(n).normal(size=n), 1),
    "far": lambda n: np.random.default_rng(n).standard_cauchy(n) * 1e6,
    "flat": lambda n: np.zeros(n),
    "masked": lambda n: np.where(np.arange(n) % 3, np.arange(n) / n, -np.inf),
}


@pytest.mark.parametrize("n", [2, 30, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_sparsemax_of_odd_rows(kind: str, n: int) -> None:
    x = KINDS[kind](n)
    z = np.sort(x.astype(np.longdouble) - x.max())[::-1]
    sums = np.cumsum(z) - 1
    k = np.sum(z * np.arange(1, n + 1) > sums)
    expected = np.maximum(x.astype(np.longdouble) - x.max() - sums[k - 1] / k, 0)
    np.testing.assert_allclose(rows.sparsemax(x), expected, rtol=1e-9, atol=1e-13)


def test_straight_through_has_the_derivative_of_softmax() -> None:
    random = np.random.default_rng(1)
    x, noise = (torch.tensor(random.normal(size=(5, 6))) for _ in range(2))
    x.requires_grad_()
    hard = rows.gumbel_softmax(x, noise=noise, temperature=0.7)
    assert (hard.sum(-1) == 1).all()
    assert ((hard == 0) | (hard == 1)).all()
    assert (hard.argmax(-1) == (x + noise).argmax(-1)).all()
    upstream = torch.tensor(random.normal(size=hard.shape))
    (own,) = torch.autograd.grad(hard, x, upstream)
    (known,) = torch.autograd.grad(F.softmax((x + noise) / 0.7, -1), x, upstream)
    np.testing.assert_allclose(own, known, rtol=1e-9, atol=1e-11)
    (own,) = torch.autograd.grad(rows.hardmax(x), x, upstream)
    (known,) = torch.autograd.grad(F.softmax(x, -1), x, upstream)
    np.testing.assert_allclose(own, known, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ENTRIES)
def test_check_says_what_each_is(name: str) -> None:
    verdict = getattr(rows, name).check().verdict
    declared = name in ("hardmax", "gumbel_softmax")
    assert verdict == ("surrogate (declared)" if declared else "exact")


def test_check_finds_a_wrong_gradient() -> None:
    wrong = activation(
        lambda x: x / np.sum(np.abs(x)),
        axis=-1,
        name="wrong",
        gradient=lambda x, upstream: upstream,
    ).check()
    assert wrong.verdict == "surrogate (declared)"
    assert wrong.inputs[0].different > 100
    program = rows.softmax.program
    bent = make("given", program.value, var("x", N), as_row(const(2.0), N))
    assert check_rows(replace(program, value=bent), None).verdict == "surrogate (declared)"
    claimed = replace(program, value=bent, kind="derivative")
    assert check_rows(claimed, None).verdict == "WRONG"
