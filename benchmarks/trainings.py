"""Trainings on real data: the square repaired, Heaviside with surrogates in and out of scale, spiky.

    python benchmarks/trainings.py --data FOLDER --output docs/trainings

FOLDER has mnist.npz and fashion_mnist.npz (x_train, y_train, x_test, y_test); `--data digits` takes
the embedded digits instead, enlarged, for a quick look. Each finished run is one line of runs.jsonl in
the output folder: started again, the script does what is missing. Tables:

a  CryptoNets' network with x ** 2 on MNIST, normalisation foldable into the weights
b  the square in four dense layers on MNIST: plain as in the document, and repaired
c  Heaviside in three dense layers, five surrogates, scaled by c and not, MNIST and Fashion-MNIST
d  spiky in an MLP and in a CNN, beside ReLU
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from actgrad import activation, init_, surrogates
from actgrad.study.stabilise import plan

SQUARE = activation(lambda x: x**2, name="square")
RELU = activation(lambda x: max(x, 0), name="relu")


@activation(derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0)
def spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


SURROGATES = {
    "straight through": surrogates.box(),
    "triangle": surrogates.triangle(alpha=1.0),
    "atan": surrogates.atan(),
    "sigmoid": surrogates.sigmoid(slope=25.0),
    "fast sigmoid": surrogates.fast_sigmoid(slope=100.0),
}


@dataclass(frozen=True)
class Job:
    table: str
    row: str
    data: str
    network: str
    activation: str
    repair: str = "plain"
    """plain: Glorot, nothing else; sample, batch: the plan's normalisation; gain: the gain alone."""
    optimizer: str = "adam"
    rate: float = 1e-3
    epochs: int = 15
    shifts: int = 0
    """Training pictures are moved by up to so many pixels."""


def jobs() -> list[Job]:
    found = [
        Job("a", "CryptoNets, x²", "mnist", "cryptonets", "square", "batch", epochs=30, shifts=1),
        Job("b", "plain", "mnist", "mlp 4", "square", optimizer="sgd", rate=0.05),
        Job("b", "repaired", "mnist", "mlp 4", "square", "sample"),
        Job("b", "ReLU", "mnist", "mlp 4", "relu"),
    ]
    for data in ("mnist", "fashion_mnist"):
        for name in SURROGATES:
            for scale in ("scaled", "unscaled"):
                row = f"{name}, {scale}"
                step = f"{name}/{scale}"
                # Not Adam, which takes the gradient's scale away by itself.
                found.append(Job("c", row, data, "mlp 3", step, "batch", "sgd", 0.1, epochs=20))
    for network in ("mlp 1", "cnn"):
        for name in ("spiky", "relu"):
            row = f"{name}, {network}"
            found.append(Job("d", row, "mnist", network, name, rate=3e-4, epochs=10))
    return found


def function(name: str):
    if "/" in name:
        surrogate, scale = name.split("/")
        step = SURROGATES[surrogate]
        return step.scaled() if scale == "scaled" else step
    return {"square": SQUARE, "relu": RELU, "spiky": spiky}[name]


def network(job: Job) -> nn.Sequential:
    f = function(job.activation)

    def hidden(layer: nn.Module, features: int) -> list[nn.Module]:
        nn.init.zeros_(layer.bias)
        if job.repair == "plain":
            nn.init.xavier_uniform_(layer.weight)
        else:
            init_(layer.weight, f)
        picture = isinstance(layer, nn.Conv2d)
        norms = {
            "batch": nn.BatchNorm2d if picture else nn.BatchNorm1d,
            "sample": (lambda n: nn.GroupNorm(1, n)) if picture else nn.LayerNorm,
        }
        between = [norms[job.repair](features)] if job.repair in norms else []
        return [layer, *between, f.module()]

    if job.network == "cryptonets":
        layers = [nn.ZeroPad2d((1, 0, 1, 0)), *hidden(nn.Conv2d(1, 5, 5, 2), 5), nn.Flatten()]
        layers += [*hidden(nn.Linear(845, 100), 100), nn.Linear(100, 10)]
    elif job.network == "cnn":
        layers = [*hidden(nn.Conv2d(1, 32, 3, padding=1), 32), nn.MaxPool2d(2)]
        layers += [*hidden(nn.Conv2d(32, 64, 3, padding=1), 64), nn.MaxPool2d(2), nn.Flatten()]
        layers += [*hidden(nn.Linear(3136, 128), 128), nn.Linear(128, 10)]
    else:
        layers, sizes = [nn.Flatten()], [784, *[512] * int(job.network.split()[1])]
        for n, m in pairwise(sizes):
            layers += hidden(nn.Linear(n, m), m)
        layers.append(nn.Linear(sizes[-1], 10))
    return nn.Sequential(*layers)


def load(folder: str, name: str, most: int | None) -> tuple[torch.Tensor, ...]:
    if folder == "digits":
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        x = np.kron(x.reshape(-1, 8, 8) * (255 / 16), np.ones((3, 3)))
        x = np.pad(x, ((0, 0), (2, 2), (2, 2)))
        parts = [x[:1400], y[:1400], x[1400:], y[1400:]]
    else:
        with np.load(Path(folder) / f"{name}.npz") as file:
            parts = [file[key] for key in ("x_train", "y_train", "x_test", "y_test")]
    x, y, x_test, y_test = parts
    pictures = [torch.tensor(p[:most] / 255, dtype=torch.float32)[:, None] for p in (x, x_test)]
    labels = [torch.tensor(p[:most], dtype=torch.long) for p in (y, y_test)]
    return pictures[0], labels[0], pictures[1], labels[1]


def train(job: Job, seed: int, data: tuple[torch.Tensor, ...], epochs: int, device: str) -> dict:
    torch.manual_seed(seed)
    model = network(job).to(device)
    x, y, x_test, y_test = (part.to(device) for part in data)
    f = function(job.activation)
    depth = sum(type(m).__name__ == "ActivationModule" for m in model)
    chosen = plan(f, depth, job.rate, foldable=job.repair == "batch")
    repaired = job.repair != "plain"
    clip, penalty = (chosen.clip, chosen.boundary) if repaired else (None, None)
    beyond: list[torch.Tensor] = []
    if penalty:
        for module in model:
            if type(module).__name__ == "ActivationModule":
                module.register_forward_pre_hook(
                    lambda _, h: beyond.append((h[0].abs() - penalty).clamp(min=0).square().mean())
                )
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[job.optimizer]
    optimizer = kind(model.parameters(), job.rate)
    batch = 64
    steps = epochs * math.ceil(len(x) / batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps) if repaired else None
    curve, broke, start = [], None, time.perf_counter()
    for epoch in range(epochs):
        model.train()
        for i in torch.randperm(len(x), device=device).split(batch):
            if len(i) < 2:
                continue
            pictures = x[i]
            if job.shifts:
                moves = np.random.default_rng([seed, epoch, int(i[0])]).integers(
                    -job.shifts, job.shifts + 1, 2
                )
                pictures = pictures.roll(tuple(map(int, moves)), (2, 3))
            beyond.clear()
            loss = nn.functional.cross_entropy(model(pictures), y[i])
            loss = loss + 1e-2 * sum(beyond) if beyond else loss
            optimizer.zero_grad()
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            if schedule:
                schedule.step()
        if not math.isfinite(float(loss.detach())):
            broke = epoch + 1
        model.eval()
        with torch.no_grad():
            right = [
                (model(a).argmax(1) == b).sum()
                for a, b in zip(x_test.split(1000), y_test.split(1000), strict=True)
            ]
        curve.append(float(sum(right)) / len(x_test))
        if broke:
            break
    return {
        "accuracy": curve[-1],
        "curve": curve,
        "not finite in epoch": broke,
        "seconds": time.perf_counter() - start,
    }


def tables(rows: list[dict]) -> str:
    groups = defaultdict(list)
    for row in rows:
        groups[row["table"], row["data"], row["row"]].append(row)
    lines, last = [], None
    for (table, data, name), runs in sorted(groups.items(), key=lambda item: item[0][:2]):
        if (table, data) != last:
            lines += [
                "",
                f"### ({table}) {data}",
                "",
                "| | test accuracy | finite |",
                "|---|---|---|",
            ]
            last = (table, data)
        accuracies = [100 * run["accuracy"] for run in runs]
        spread = f" ± {np.std(accuracies, ddof=1):.2f}" if len(runs) > 1 else ""
        finite = sum(run["not finite in epoch"] is None for run in runs)
        lines.append(f"| {name} | {np.mean(accuracies):.2f}{spread} % | {finite} of {len(runs)} |")
    return "\n".join(lines).strip() + "\n"


def draw(rows: list[dict], table: str, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mine = [row for row in rows if row["table"] == table]
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    names = list(dict.fromkeys((row["data"], row["row"]) for row in mine))
    for i, key in enumerate(names):
        for run in (row for row in mine if (row["data"], row["row"]) == key):
            curve = run["curve"]
            first = run["seed"] == 0
            label = ", ".join(key[::-1]) if first else None
            axes.plot(range(1, len(curve) + 1), curve, color=f"C{i % 10}", lw=1, label=label)
            if run["not finite in epoch"]:
                axes.plot(len(curve), curve[-1], "x", color=f"C{i % 10}", ms=9, mew=2)
    axes.set(xlabel="epoch", ylabel="test accuracy (a cross: no longer finite)")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=130)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="a folder, or 'digits'")
    parser.add_argument("--output", type=Path, default=Path("runs/trainings"))
    parser.add_argument("--tables", default="abcd")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, help="instead of each table's own number")
    parser.add_argument("--most", type=int, help="at most so many pictures")
    given = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    given.output.mkdir(parents=True, exist_ok=True)
    log = given.output / "runs.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    rows = [json.loads(line) for line in lines]
    settings = {"source": Path(given.data).name, "most": given.most}
    done = {json.dumps(row["run"], sort_keys=True) for row in rows}
    for job in jobs():
        if job.table not in given.tables:
            continue
        data = load(given.data, job.data, given.most)
        epochs = given.epochs or job.epochs
        for seed in range(given.seeds):
            run = {**dataclasses.asdict(job), "epochs": epochs, "seed": seed, **settings}
            if json.dumps(run, sort_keys=True) in done:
                continue
            result = train(job, seed, data, epochs, device)
            row = {"run": run, **{k: run[k] for k in ("table", "row", "data", "seed")}, **result}
            rows.append(row)
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(
                f"({job.table}) {job.data}, {job.row}, seed {seed}: {100 * row['accuracy']:.2f} %"
            )
    command = f"python benchmarks/trainings.py --data {settings['source']} --tables {given.tables}"
    command += f" --seeds {given.seeds}" + (f" --epochs {given.epochs}" if given.epochs else "")
    text = f"# Trainings\n\n`{command}`\n\n{tables(rows)}"
    (given.output / "README.md").write_text(text, encoding="utf-8")
    for table in sorted({row["table"] for row in rows}):
        draw(rows, table, given.output / f"table_{table}.png")
    print(given.output / "README.md")


if __name__ == "__main__":
    main()
