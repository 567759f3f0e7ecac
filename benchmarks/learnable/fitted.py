"""A rational activation that starts as ReLU and is fitted to GELU on [-3, 3]."""

from __future__ import annotations

import torch

from actgrad import learnable, trainable

POINTS = 601


def run() -> dict[str, object]:
    x = torch.linspace(-3, 3, POINTS, dtype=torch.float64)
    target = torch.nn.functional.gelu(x)
    module = learnable.rational.module(numerator=trainable(), denominator=trainable()).double()
    before = module(x).detach()
    optimizer = torch.optim.LBFGS(
        module.parameters(),
        max_iter=2000,
        tolerance_grad=1e-12,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = ((module(x) - target) ** 2).mean()
        value.backward()
        return value

    optimizer.step(loss)
    after = module(x).detach()
    errors = [float((y - target).abs().max()) for y in (before, after)]
    print(f"fitted: largest error on [-3, 3]: {errors[0]:.2g} as it starts, {errors[1]:.2g} fitted")
    return {"x": x, "target": target, "before": before, "after": after, "errors": errors}


def draw(axes, result) -> None:
    x, target = result["x"], result["target"]
    for name, colour in (("before", "#D55E00"), ("after", "#0072B2")):
        axes.semilogy(x, (result[name] - target).abs() + 1e-9, color=colour, label=name)
    axes.axhline(1e-3, color="#777777", lw=1)
    axes.set(title="Rational activation, error to GELU", xlabel="x", ylabel="error", ylim=(1e-7, 1))
    axes.legend(["as it starts (ReLU)", "fitted"])
