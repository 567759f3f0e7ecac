"""What PyTorch's distributions draw is refused by its name; their other methods are read, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from actgrad import activation
from actgrad.errors import ImpureError, TraceError

torch = pytest.importorskip("torch")
D = torch.distributions
NORMAL = D.Normal(0.5, 2.0)

READ = {
    "cdf": lambda x: x * NORMAL.cdf(x),
    "a law that reads its own code": lambda x: x * D.Gamma(2.0, 4.0).mean,
}


@pytest.mark.parametrize("name", READ)
def test_densities_are_read(name: str) -> None:
    function = READ[name]
    x = torch.linspace(-4, 4, 33, dtype=torch.float64, requires_grad=True)
    own, ours = function(x), activation(function)(x)
    torch.testing.assert_close(ours, own, rtol=1e-7, atol=1e-7)
    slopes = [torch.autograd.grad(y.sum(), x)[0] for y in (ours, own)]
    torch.testing.assert_close(*slopes, rtol=1e-7, atol=1e-7)


DRAW: dict[str, tuple[Any, str]] = {
    "sample": (lambda x: x * NORMAL.sample(), "Normal.sample"),
    "of a new one": (lambda x: x * D.Bernoulli(0.5).sample(x.shape), "Bernoulli.sample"),
    "of the input": (lambda x: D.Normal(x, 1.0).rsample(), "Normal.rsample"),
    "in a condition": (lambda x: x if D.Normal(0.0, 1.0).sample() > 0 else -x, "Normal.sample"),
}


@pytest.mark.parametrize("name", DRAW)
def test_samplers_are_refused_by_what_they_are(name: str) -> None:
    function, sampler = DRAW[name]
    with pytest.raises(ImpureError) as caught:
        activation(function)
    assert f"`torch.distributions.{sampler}` draws a random number" in str(caught.value)
    assert "as in `def f(x, noise): ...`" in str(caught.value)


def test_a_parameter_that_depends_on_the_input_is_refused() -> None:
    with pytest.raises(TraceError, match="with a parameter that depends on the input"):
        activation(lambda x: D.Gamma(torch.exp(x), 1.0).log_prob(torch.tensor(1.0)))


def test_a_tensor_that_learns_is_not_baked_in() -> None:
    scale = torch.tensor(2.0, requires_grad=True)
    learnt = D.Normal(1.0, scale * 1.0)
    with pytest.raises(TraceError, match="uses the weight 'scale'"):
        activation(lambda x: x * scale)
    with pytest.raises(TraceError, match="uses the weight 'scale'"):
        activation(lambda x: learnt.log_prob(x))
