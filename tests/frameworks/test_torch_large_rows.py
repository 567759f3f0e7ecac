"""Large rows in PyTorch's eager mode: one loop for each length of a row, beside PyTorch's own softmax."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actgrad import rows

torch = pytest.importorskip("torch")

from actgrad.frameworks.torch import fused, rule


def inputs() -> dict[str, torch.Tensor]:
    """Rows of 256 numbers; as many rows as numbers first, which a compiler may take for one size."""
    drawn = torch.randn(300, 256, generator=torch.Generator().manual_seed(0))
    return {
        "as many": drawn[:256],
        "more": drawn,
        "two dimensions of them": drawn.reshape(2, 150, 256),
        "transposed": drawn.T.contiguous().T,
        "one row expanded": drawn[:1].expand(400, 256),
        "a slice": torch.cat([drawn, drawn], -1)[:, 100:356],
    }


def steps(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> list[torch.Tensor]:
    x = x.detach().requires_grad_()
    y = function(x)
    (by_x,) = torch.autograd.grad(y, x, torch.cos(torch.arange(y.shape[-1]) * 1.0).expand(y.shape))
    return [y, by_x]


def test_one_loop_serves_any_number_of_rows() -> None:
    softmax = rows.softmax
    for kind, x in inputs().items():
        for ours, theirs in zip(
            steps(softmax, x), steps(lambda x: torch.softmax(x, -1), x), strict=True
        ):
            torch.testing.assert_close(ours, theirs, msg=kind)
    loops = rule.plan(softmax.program).fused.loops
    assert [loop is not None for loop in loops.values()] == [True]


def test_one_long_row_and_many_lengths_run_unfused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "LENGTHS", 0)
    log_softmax = rows.log_softmax
    for shape in ((1, 70_000), (300, 255)):
        x = torch.linspace(-3, 3, shape[0] * shape[1]).reshape(shape)
        for ours, theirs in zip(
            steps(log_softmax, x), steps(lambda x: torch.log_softmax(x, -1), x), strict=True
        ):
            torch.testing.assert_close(ours, theirs)
    assert not rule.plan(log_softmax.program).fused.loops
