"""Small trainings on the digits, in PyTorch, each with a monitor: diverging, healthy, and with a fault."""

import math
from dataclasses import dataclass, field

import torch
from sklearn.datasets import load_digits

from actgrad import activation, surrogates
from actgrad.trainability.monitor import Monitor

SQUARE = activation(lambda x: x**2, name="square")
BATCH = 64


@dataclass(frozen=True)
class Run:
    f: object
    depth: int
    optimizer: str = "sgd"
    rate: float = 0.05
    norm: str = ""
    gain: bool = False
    bias: float = 0.0
    poison: int | None = None
    """The step whose batch has a nan in it."""
    seed: int = 0
    steps: int = 250
    options: dict = field(default_factory=dict, compare=False)

    @property
    def name(self):
        kind = getattr(self.f, "name", None) or self.f.__name__
        return f"{kind}-{self.depth}-{self.optimizer}-{self.rate:g}{self.norm}-{self.seed}"


def digits():
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)


def network(run, width=64):
    torch.manual_seed(run.seed)
    layers, n = [], 64
    for _ in range(run.depth):
        linear = torch.nn.Linear(n, width)
        if run.gain:
            deviation = run.f.propagation().gain / math.sqrt(n)
            torch.nn.init.normal_(linear.weight, 0, deviation)
        else:
            torch.nn.init.xavier_uniform_(linear.weight)
        torch.nn.init.constant_(linear.bias, run.bias)
        layers.append(linear)
        if run.norm:
            layers.append({"ln": torch.nn.LayerNorm, "bn": torch.nn.BatchNorm1d}[run.norm](width))
        layers.append(run.f.module() if hasattr(run.f, "module") else run.f())
        n = width
    return torch.nn.Sequential(*layers, torch.nn.Linear(n, 10))


OPTIMIZERS = {
    "sgd": lambda p, rate: torch.optim.SGD(p, rate),
    "momentum": lambda p, rate: torch.optim.SGD(p, rate, momentum=0.9),
    "adam": lambda p, rate: torch.optim.Adam(p, rate),
}


def train(run):
    """The monitor, the step of the first loss that is not finite (or None), and all losses."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # many are slower here, and change the last digits
    try:
        return _train(run)
    finally:
        torch.set_num_threads(threads)


def _train(run):
    x, y = digits()
    model = network(run)
    optimizer = OPTIMIZERS[run.optimizer](model.parameters(), run.rate)
    options = {"every": 5, "terminal": False, **run.options}
    if options.get("on_failure") == "roll back":
        options["optimizer"] = optimizer
    monitor = Monitor(model, **options)
    order = torch.Generator().manual_seed(run.seed)
    losses, broke = [], None
    for step in range(run.steps):
        i = torch.randint(0, len(x), (BATCH,), generator=order)
        batch = x[i].clone()
        if step == run.poison:
            batch[3, 5] = math.nan
        loss = torch.nn.functional.cross_entropy(model(batch), y[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        monitor.step(loss)
        if not math.isfinite(losses[-1]):
            broke = step if broke is None else broke
            if options.get("on_failure") != "roll back":
                break
        if monitor.failed and options.get("on_failure") == "stop":
            break
    monitor.close()
    return monitor, broke, losses


# Square networks whose loss is finite for the first 55 steps at least, and then is not. Last digits
# decide when, so on another machine a few of them may do something else. Adam's steps are bounded: with 2 to
# 6 layers its losses reach 1e35 and come back, or leave floating point in the first steps.
DIVERGING = [
    Run(SQUARE, depth, optimizer, rate, seed=seed)
    for depth, optimizer, rate, seed in [
        (2, "momentum", 0.05, 1),
        (3, "sgd", 0.02, 0),
        (3, "sgd", 0.05, 2),
        (3, "sgd", 0.05, 3),
        (3, "momentum", 0.01, 0),
        (4, "sgd", 0.02, 0),
        (4, "sgd", 0.02, 1),
        (4, "sgd", 0.02, 3),
        (4, "sgd", 0.05, 1),
        (4, "momentum", 0.01, 1),
        (4, "momentum", 0.01, 2),
        (4, "momentum", 0.01, 4),
        (5, "sgd", 0.02, 0),
        (5, "sgd", 0.02, 2),
        (8, "adam", 0.015, 5),
        (9, "adam", 0.005, 3),
    ]
]

SOUND = [
    torch.nn.ReLU,
    torch.nn.Tanh,
    torch.nn.GELU,
    activation(lambda x: max(x, 0), name="relu"),
    activation(math.tanh, name="tanh"),
]
ATAN = surrogates.atan(scaled=True)
HEALTHY = [
    *(Run(f, 3, "adam", 1e-3) for f in SOUND),
    *(Run(f, 5, "sgd", 0.05, seed=1) for f in SOUND),
    *(Run(f, 2, "momentum", 0.02, seed=2) for f in SOUND),
    Run(SQUARE, 1, "adam", 1e-3),
    Run(SQUARE, 2, "adam", 1e-3),
    Run(SQUARE, 4, "adam", 1e-3, norm="ln"),
    Run(SQUARE, 3, "sgd", 0.02, norm="bn"),
    Run(ATAN, 4, "adam", 1e-3, gain=True),
]

RELU = SOUND[3]
NARROW = [surrogates.fast_sigmoid(slope=s) for s in (50.0, 100.0)]
FAULTS = {
    "escape": [
        Run(SQUARE, d, "sgd", 0.1, seed=s, steps=400) for d, s in ((3, 1), (4, 2), (5, 3), (6, 4))
    ],
    "learning rate": [
        Run(torch.nn.ReLU, 3, "sgd", 20.0, seed=1),
        Run(RELU, 3, "adam", 1.0, seed=2),
        Run(torch.nn.GELU, 2, "sgd", 50.0, seed=3),
        Run(RELU, 4, "momentum", 5.0, seed=4),
    ],
    "nan": [
        Run(f, 3, "adam", 1e-3, poison=p, seed=p)
        for f, p in ((RELU, 40), (torch.nn.Tanh, 71), (RELU, 7), (torch.nn.GELU, 103))
    ],
    "vanishing surrogate": [
        Run(f, d, "adam", 1e-3, gain=True, seed=d) for f in NARROW for d in (4, 6)
    ],
    "dead units": [
        Run(RELU, d, o, r, bias=b, seed=d)
        for d, o, r, b in (
            (3, "adam", 1e-4, -8.0),
            (2, "sgd", 0.01, -5.0),
            (4, "sgd", 0.05, -3.0),
            (3, "adam", 1e-3, -10.0),
        )
    ],
}
