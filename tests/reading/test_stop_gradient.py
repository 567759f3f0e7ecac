"""`stop_gradient`, whatever a library calls it: the same number, with the derivative 0."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from actgrad import activation, from_json

STOPS: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "jax.lax": lambda lax: lambda x: x * x + lax.stop_gradient(lax.round(x) - x),
    "tensorflow": lambda tf: lambda x: x * x + tf.stop_gradient(tf.round(x) - x),
    "torch": lambda torch: lambda x: x * x + (torch.round(x) - x).detach(),
    "keras.ops": lambda ops: lambda x: x * x + ops.stop_gradient(ops.round(x) - x),
}


@pytest.mark.parametrize("path", STOPS)
def test_a_straight_through_estimator_is_kept(path):
    pytest.importorskip(path.partition(".")[0])
    f = activation(STOPS[path](pytest.importorskip(path)), name="f")
    for g in (f, from_json(f.to_json())):
        assert g(1.3) == pytest.approx(1.3 * 1.3 + 1 - 1.3)
        assert g.derivative(1.3) == pytest.approx(2.6)
        assert g.derivative.derivative(1.3) == 2
        assert g.exact_derivative(1.3) == pytest.approx(1.6)
        assert re.search(r"x \* x \+ stop_gradient\(.* - x\)", repr(g))


def test_nothing_is_learnt_through_it(recwarn):
    torch = pytest.importorskip("torch")
    f = activation(lambda x, slope=2.0: slope * x.detach() + slope, name="f")
    x = torch.tensor(3.0, requires_grad=True)
    slope = torch.tensor(2.0, requires_grad=True)
    f(x, slope=slope).backward()
    assert x.grad == 0
    assert slope.grad == 4
    assert [str(w.message)[:40] for w in recwarn] == ["the derivative of 'f' is zero almost eve"]
