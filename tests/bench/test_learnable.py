"""What docs/learnable.md says of a rational activation and of the KAN that it is timed beside."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "learnable"
torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def test_the_two_layers_of_splines_are_one_function() -> None:
    import kan

    torch.manual_seed(0)
    mine, theirs = kan.Splines(3, 2, 20), kan.EfficientKan(3, 2, 20)
    with torch.no_grad():
        theirs.base.copy_(mine.base.weight)
        theirs.weight.copy_(mine.splines.weight.reshape(2, 3, 23))
    x = (2 * torch.rand(50, 3) - 1).requires_grad_()
    torch.testing.assert_close(mine(x), theirs(x), rtol=1e-4, atol=1e-5)
    slopes = [torch.autograd.grad(layer(x).sum(), x)[0] for layer in (mine, theirs)]
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-3)


@pytest.mark.exhaustive
def test_a_rational_activation_is_fitted() -> None:
    import fitted

    assert fitted.run()["errors"][1] < 1e-3
