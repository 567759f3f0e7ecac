"""A spiking network with thresholds that are learnt, beside the same one with fixed ones, on digits."""

from __future__ import annotations

import numpy as np
import torch
from data import batches, digits
from torch import nn

from actgrad import learnable, trainable

STEPS, HIDDEN, DECAY, EPOCHS, SEEDS = 8, 64, 0.8, 30, range(5)
RATE, RATE_OF_THRESHOLDS = 0.005, 0.001


class Spiking(nn.Module):
    """Leaky neurons that are reset by a spike; what is read out is the mean over the steps."""

    def __init__(self, learnt: bool) -> None:
        super().__init__()
        threshold = trainable(1.0, low=0.05, per_channel=True) if learnt else 1.0
        self.into, self.out = nn.Linear(64, HIDDEN), nn.Linear(HIDDEN, 10)
        self.spike = learnable.spike.module(threshold=threshold)
        self.spike(torch.zeros(1, HIDDEN))  # one threshold per neuron

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        current, voltage = self.into(x), torch.zeros(len(x), HIDDEN)
        total = 0.0
        for _ in range(STEPS):
            voltage = DECAY * voltage + current
            spikes = self.spike(voltage)
            voltage = voltage * (1 - spikes)
            total = total + self.out(spikes)
        return total / STEPS


def trained(learnt: bool, seed: int) -> tuple[float, np.ndarray]:
    """The test accuracy, and the thresholds."""
    torch.manual_seed(seed)
    x, y, test_x, test_y = digits(seed)
    model = Spiking(learnt)
    weights = [*model.into.parameters(), *model.out.parameters()]
    groups = [
        {"params": weights, "lr": RATE},
        {"params": list(model.spike.parameters()), "lr": RATE_OF_THRESHOLDS},
    ]
    optimizer = torch.optim.Adam(groups[: 1 + learnt])
    for epoch in range(EPOCHS):
        for rows in batches(len(x), 1000 * seed + epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        accuracy = (model(test_x).argmax(1) == test_y).double().mean().item()
    thresholds = model.spike.threshold.detach().numpy() if learnt else np.ones(HIDDEN)
    return accuracy, thresholds


def run() -> dict[str, list]:
    result: dict[str, list] = {"fixed": [], "learnt": [], "thresholds": []}
    for seed in SEEDS:
        result["fixed"].append(trained(False, seed)[0])
        accuracy, thresholds = trained(True, seed)
        result["learnt"].append(accuracy)
        result["thresholds"] += thresholds.tolist()
    for name in ("fixed", "learnt"):
        shown = ", ".join(f"{100 * a:.1f}" for a in result[name])
        print(f"spikes: {name:6} thresholds: {100 * np.mean(result[name]):.2f} % ({shown})")
    low, high = np.percentile(result["thresholds"], [5, 95])
    print(
        f"spikes: thresholds that were learnt: 90 % lie in [{low:.2f}, {high:.2f}]; they start at 1"
    )
    return result


def draw(axes, result) -> None:
    axes.hist(result["thresholds"], bins=30, color="#0072B2")
    axes.axvline(1.0, color="#D55E00")
    axes.set(title="Thresholds of 320 neurons, learnt from 1", xlabel="threshold", ylabel="neurons")
