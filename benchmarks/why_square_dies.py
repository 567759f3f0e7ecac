"""The pictures of docs/why-square-dies.md, measured: python benchmarks/why_square_dies.py mnist.npz FOLDER

A minute on one core. When the plain network dies depends on last digits; that it dies does not.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import nn

from actgrad import Monitor, activation, init_

SQUARE = activation(lambda x: x**2, name="square")
RELU = activation(lambda x: max(x, 0), name="relu")
DEPTH, WIDTH, RATE, STEPS, SEED = 3, 128, 0.012, 3000, 1
COLOURS = {"square, plain": "#D55E00", "square, repaired": "#0072B2", "ReLU": "#777777"}


def network(f, repaired):
    torch.manual_seed(SEED)
    layers, n = [nn.Flatten()], 784
    for _ in range(DEPTH):
        linear = nn.Linear(n, WIDTH)
        nn.init.xavier_uniform_(linear.weight)
        if repaired:
            init_(linear.weight, f)
        nn.init.zeros_(linear.bias)
        layers += [linear, *([nn.LayerNorm(WIDTH)] * repaired), f.module()]
        n = WIDTH
    return nn.Sequential(*layers, nn.Linear(n, 10))


def train(f, repaired, data):
    x, y, x_test, y_test = data
    model = network(f, repaired)
    monitor = Monitor(model, every=5, terminal=False)
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    accuracies = []
    for step in range(STEPS):
        i = torch.randint(0, len(x), (64,))
        loss = nn.functional.cross_entropy(model(x[i]), y[i])
        optimizer.zero_grad()
        loss.backward()
        if repaired:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        monitor.step(loss)
        over = not math.isfinite(float(loss.detach()))
        if step % 25 == 0 or over:
            with torch.no_grad():
                right = (model.eval()(x_test).argmax(1) == y_test).float().mean()
            accuracies.append((step, float(right)))
            model.train()
        if over:
            break
    monitor.close()
    return monitor, accuracies


def spread(f, repaired, x):
    """By layer, untrained: the standard deviation over samples of the log of a sample's mean square."""
    found, h = [], x
    for module in network(f, repaired):
        if type(module).__name__ == "ActivationModule":
            found.append(float(h.square().mean(1).log().std()))
        h = module(h)
    return found


def figure(columns):
    made = Figure(figsize=(4.2 * columns, 3.6), layout="constrained")
    FigureCanvasAgg(made)
    panels = made.subplots(1, columns)
    for axes in panels:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return made, panels


def main(path, folder):
    torch.set_num_threads(1)
    with np.load(path) as file:
        x, y, x_test, y_test = (file[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    pictures = [torch.tensor(p / 255, dtype=torch.float32) for p in (x[:20000], x_test)]
    labels = [torch.tensor(p, dtype=torch.long) for p in (y[:20000], y_test)]
    data = (pictures[0], labels[0], pictures[1], labels[1])
    folder.mkdir(parents=True, exist_ok=True)
    runs = {
        "square, plain": train(SQUARE, False, data),
        "square, repaired": train(SQUARE, True, data),
        "ReLU": train(RELU, False, data),
    }

    made, (left, middle, right) = figure(3)
    for name, (_, accuracies) in runs.items():
        left.plot(*zip(*accuracies, strict=True), color=COLOURS[name], label=name, lw=1.4)
    share = float((data[3] == 0).float().mean())
    left.axhline(share, color="black", lw=0.8, ls=":", label=f"share of class 0: {share:.2%}")
    left.set(xlabel="step", ylim=(0, 1))
    left.set_title("test accuracy", loc="left", fontsize=10)
    left.legend(frameon=False, fontsize=8, loc="center right")
    monitor = runs["square, plain"][0]
    for layer in range(DEPTH):
        steps = [s.step for s in monitor.samples]
        rms = [s.layers[layer].rms for s in monitor.samples]
        middle.semilogy(steps, rms, label=f"layer {layer + 1}", lw=1.2)
    losses = [(step, loss) for step, loss in monitor.judge.losses if math.isfinite(loss)][-25:]
    right.semilogy(*zip(*losses, strict=True), "o-", ms=3, color=COLOURS["square, plain"])
    middle.set_title("plain square: rms of pre-activations", loc="left", fontsize=10)
    middle.legend(frameon=False, fontsize=8)
    right.set_title("plain square: loss of its last steps", loc="left", fontsize=10)
    middle.set_xlabel("step")
    right.set_xlabel("step")
    made.savefig(folder / "square_training.png", dpi=120)

    made, (left, right) = figure(2)
    layers = np.arange(1, DEPTH + 1)
    spreads = {
        "square, plain": spread(SQUARE, False, pictures[1][:2000]),
        "square, repaired": spread(SQUARE, True, pictures[1][:2000]),
        "ReLU": spread(RELU, False, pictures[1][:2000]),
    }
    for name, values in spreads.items():
        left.plot(layers, values, "o-", color=COLOURS[name], label=name)
    left.set(xlabel="layer", xticks=layers, ylim=(0, None))
    left.set_title("how far samples scatter: deviation of log size", loc="left", fontsize=10)
    left.legend(frameon=False, fontsize=8)
    for scale, colour in ((0.9, "#0072B2"), (1.0, "#777777"), (1.1, "#D55E00")):
        ahead = SQUARE.propagation().forecast(5, WIDTH, scale)
        middle, wide = (
            np.array(v) / np.log(10) for v in (ahead.log_variance, ahead.log_variance_spread)
        )
        at = np.arange(1, 6)
        right.fill_between(at, middle - wide, middle + wide, color=colour, alpha=0.15, lw=0)
        right.plot(at, middle, "o-", color=colour, label=f"weights × {scale:g}")
    right.set(xlabel="layer", xticks=np.arange(1, 6))
    right.yaxis.set_major_formatter(lambda value, _: f"$10^{{{value:g}}}$")
    right.set_title("forecast: variance by layer", loc="left", fontsize=10)
    right.legend(frameon=False, fontsize=8)
    made.savefig(folder / "square_spread.png", dpi=120)

    said = {
        "findings": [str(f) for f in monitor.findings],
        "spread": spreads,
        "best": {name: max(a for _, a in accuracies) for name, (_, accuracies) in runs.items()},
        "last": {name: accuracies[-1] for name, (_, accuracies) in runs.items()},
        "losses at the end": [loss for _, loss in monitor.judge.losses][-8:],
        "last rms": [[s.step, *(round(v.rms, 3) for v in s.layers)] for s in monitor.samples[-4:]],
        "false alarms": [
            str(f) for name in ("square, repaired", "ReLU") for f in runs[name][0].findings
        ],
    }
    print(json.dumps(said, indent=1))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
