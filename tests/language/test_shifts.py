"""A maximum that is taken off again has no derivative, where that is proven, and only there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from actgrad import activation, rows
from actgrad.language import adjoint
from actgrad.language.expression import walk
from actgrad.language.shifts import idle
from tests.rows.functions import FUNCTIONS, SIZE
from tests.rows.functions import rows as sample


def powers(x: Any, t: float = 1.0) -> Any:
    return np.exp((x - np.max(x)) / t)


def shares(x: Any) -> Any:
    return powers(x) / np.sum(powers(x))


STAYS: dict[str, Callable[..., Any]] = {
    "softmax": lambda x, t=1.5: powers(x, t) / np.sum(powers(x, t)),
    "log-softmax": lambda x, t=1.5: (x - np.max(x)) / t - np.log(np.sum(powers(x, t))),
    "logsumexp": lambda x: np.max(x) + np.log(np.sum(powers(x))),
    "logsumexp, doubled": lambda x: 2 * np.max(x) + 2 * np.log(np.sum(powers(x))),
    "masked": lambda x: powers(x) * (x > 0) / np.sum(powers(x) * (x > 0)),
    "entropy": lambda x: -np.sum(shares(x) * np.log(shares(x))),
    "running": lambda x: np.cumsum(powers(x)[::-1]) / np.sum(powers(x)),
}
MOVES: dict[str, Callable[..., Any]] = {
    "apart": lambda x: x - np.max(x),
    "twice": lambda x: x - 2 * np.max(x) + np.max(x),
    "powers": powers,
    "sum of squares": lambda x: powers(x) * powers(x) / np.sum(powers(x)),
    "bounded": lambda x: np.tanh(x - np.max(x)) / np.sum(powers(x)),
    "added": lambda x: shares(x) + np.max(x),
    "half of it": lambda x: powers(x, 2.0) / np.sum(powers(x)),
    "log of one more": lambda x: (x - np.max(x)) - np.log1p(np.sum(powers(x))),
    "by the row": lambda x: powers(x, 1 + x * x) / np.sum(powers(x, 1 + x * x)),
}


@pytest.mark.parametrize(
    ("name", "stays"), [*((n, True) for n in STAYS), *((n, False) for n in MOVES)]
)
def test_it_is_found_where_it_is_so(name: str, stays: bool) -> None:
    f = activation((STAYS | MOVES)[name], axis=-1, name="f")
    nodes = walk(f.program.value)
    maxima = [node for node in nodes if node.op == "max"]
    found = idle(f.program.value, nodes)
    assert maxima
    assert bool(found) == stays
    assert f.check().verdict == "exact"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_without_it_the_gradient_is_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = sample(name, 3)
    with_it = activation(FUNCTIONS[name], axis=-1).program
    gradients = [with_it.vjp(by) for by in with_it.inputs]
    monkeypatch.setattr(adjoint, "idle", lambda root, nodes: set())
    without = activation(FUNCTIONS[name], axis=-1, name=f"{name}_").program
    for by, gradient in zip(with_it.inputs, gradients, strict=True):
        size = 1 if with_it.value.width is None else with_it.value.width.at(SIZE)
        above = np.random.default_rng(0).normal(size=(3, size))
        known = without.vjp(by).evaluate(*inputs, above)
        np.testing.assert_allclose(gradient.evaluate(*inputs, above), known, rtol=1e-9, atol=1e-12)


def test_of_a_long_row_the_largest_number_has_its_digits() -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    x, upstream = random.normal(size=(1, 70_000)), np.abs(random.normal(size=(1, 70_000)))
    x[0, 5] = 6.0
    known = torch.tensor(x, requires_grad=True)
    torch.log_softmax(known, -1).backward(torch.tensor(upstream))
    found = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    rows.log_softmax(found).backward(torch.tensor(upstream, dtype=torch.float32))
    assert abs(known.grad[0, 5]) > 100
    np.testing.assert_allclose(found.grad[0, 5], known.grad[0, 5], rtol=5e-7)
