"""LSQ at 2, 3 and 4 bits: steps that are learnt, beside the same steps fixed, on digits.

Weights and activations are quantised. Steps start as in the paper, from a network trained in float32.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from data import batches, digits
from torch import nn

from actgrad import learnable, trainable

HIDDEN, EPOCHS, TUNED, BITS, SEEDS = 32, 30, 20, (2, 3, 4), range(5)


def quantiser(values: torch.Tensor, bits: int, signed: bool, learnt: bool) -> nn.Module:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    step = 2 * values.abs().mean().item() / high**0.5
    scale = 1 / (values[0].numel() if not signed else values.numel() * 1.0) ** 0.5 / high**0.5
    start = trainable(step, low=1e-6) if learnt else step
    return learnable.lsq.module(step=start, low=low, high=high, scale=scale)


class Quantised(nn.Module):
    """A trained network of two layers, its weights and the inputs of both layers quantised."""

    def __init__(self, model: nn.Sequential, x: torch.Tensor, bits: int, learnt: bool) -> None:
        super().__init__()
        self.first, self.second = copy.deepcopy(model[0]), copy.deepcopy(model[2])
        with torch.no_grad():
            hidden = model[:2](x)
        self.of_weights = nn.ModuleList(
            quantiser(layer.weight.detach(), bits, True, learnt)
            for layer in (self.first, self.second)
        )
        self.of_inputs = nn.ModuleList(quantiser(v, bits, False, learnt) for v in (x, hidden))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer, of_weight, of_input in zip(
            (self.first, self.second), self.of_weights, self.of_inputs, strict=True
        ):
            x = nn.functional.linear(of_input(x), of_weight(layer.weight), layer.bias)
            x = torch.relu(x) if layer is self.first else x
        return x


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int, seed: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for epoch in range(epochs):
        for rows in batches(len(x), 1000 * seed + epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()


def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    with torch.no_grad():
        return (model(x).argmax(1) == y).double().mean().item()


def run() -> dict[str, dict[int, list[float]]]:
    result: dict = {"float32": [], "fixed": {b: [] for b in BITS}, "learnt": {b: [] for b in BITS}}
    for seed in SEEDS:
        torch.manual_seed(seed)
        x, y, test_x, test_y = digits(seed)
        model = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
        train(model, x, y, EPOCHS, seed)
        result["float32"].append(accuracy(model, test_x, test_y))
        for bits in BITS:
            for name in ("fixed", "learnt"):
                small = Quantised(model, x, bits, name == "learnt")
                train(small, x, y, TUNED, seed)
                result[name][bits].append(accuracy(small, test_x, test_y))
    print(f"quantisers: float32: {100 * np.mean(result['float32']):.2f} %")
    for bits in BITS:
        fixed, learnt = (result[name][bits] for name in ("fixed", "learnt"))
        better = sum(a > b for a, b in zip(learnt, fixed, strict=True))
        print(
            f"quantisers: {bits} bits: steps fixed {100 * np.mean(fixed):.2f} %, "
            f"learnt {100 * np.mean(learnt):.2f} % (higher in {better} of {len(fixed)} seeds)"
        )
    return result


def draw(axes, result) -> None:
    for name, colour, marker in (("fixed", "#D55E00", "s"), ("learnt", "#0072B2", "o")):
        means = [100 * np.mean(result[name][b]) for b in BITS]
        axes.plot(BITS, means, marker=marker, color=colour, label=f"steps {name}")
        for bits in BITS:
            axes.plot(
                [bits] * len(SEEDS), [100 * a for a in result[name][bits]], ".", color=colour, ms=4
            )
    axes.axhline(100 * np.mean(result["float32"]), color="#777777", lw=1, label="float32")
    axes.set(title="LSQ on digits", xlabel="bits", ylabel="test accuracy, %", xticks=BITS)
    axes.legend()
