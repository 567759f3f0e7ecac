"""A KAN of trained cubic splines: fitted to a function of two variables, and a layer's step timed beside the
one of "efficient KAN", written here as its public implementation computes it.
"""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from torch import nn

from actgrad import activation

STEPS, POINTS, ROUNDS = 300, 2000, 15


@activation
def bump(u):
    """The cubic B-spline on the integers, from -2 to 2."""
    u = abs(u)
    outer = max(0, 2 - u)
    return (4 - 6 * u * u + 3 * u * u * u) / 6 if u < 1 else outer * outer * outer / 6


class Splines(nn.Module):
    """Each output is a sum of one spline of each input, and a linear map of SiLU, as in the paper."""

    def __init__(self, inputs: int, outputs: int, intervals: int) -> None:
        super().__init__()
        self.scale = intervals / 2  # intervals on [-1, 1]
        self.register_buffer("knots", torch.arange(-1.0, intervals + 2) - self.scale)
        self.base = nn.Linear(inputs, outputs, bias=False)
        self.splines = nn.Linear(inputs * (intervals + 3), outputs, bias=False)
        nn.init.normal_(self.splines.weight, std=0.1 / math.sqrt(inputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bases = bump(self.scale * x.unsqueeze(-1) - self.knots)
        return self.base(nn.functional.silu(x)) + self.splines(bases.flatten(1))


class EfficientKan(nn.Module):
    """The same functions by the recursion of Cox and de Boor, with a scale for each spline."""

    def __init__(self, inputs: int, outputs: int, intervals: int, order: int = 3) -> None:
        super().__init__()
        self.order, step = order, 2 / intervals
        grid = torch.arange(-order, intervals + order + 1) * step - 1
        self.register_buffer("grid", grid.expand(inputs, -1).contiguous())
        self.base = nn.Parameter(torch.randn(outputs, inputs) / math.sqrt(inputs))
        self.weight = nn.Parameter(0.1 * torch.randn(outputs, inputs, intervals + order))
        self.scale = nn.Parameter(torch.ones(outputs, inputs))

    def bases(self, x: torch.Tensor) -> torch.Tensor:
        grid, x = self.grid, x.unsqueeze(-1)
        bases = ((x >= grid[:, :-1]) & (x < grid[:, 1:])).to(x.dtype)
        for k in range(1, self.order + 1):
            rise = (x - grid[:, : -(k + 1)]) / (grid[:, k:-1] - grid[:, : -(k + 1)])
            fall = (grid[:, k + 1 :] - x) / (grid[:, k + 1 :] - grid[:, 1:-k])
            bases = rise * bases[:, :, :-1] + fall * bases[:, :, 1:]
        return bases.contiguous()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        base = nn.functional.linear(nn.functional.silu(x), self.base)
        weight = (self.weight * self.scale.unsqueeze(-1)).flatten(1)
        return base + nn.functional.linear(self.bases(x).flatten(1), weight)


def target(x: torch.Tensor) -> torch.Tensor:
    """The example of the KAN paper."""
    return torch.exp(torch.sin(math.pi * x[:, :1]) + x[:, 1:] ** 2)


def fit() -> tuple[nn.Module, float]:
    torch.manual_seed(0)
    x, test = (2 * torch.rand(POINTS, 2) - 1 for _ in range(2))
    model = nn.Sequential(Splines(2, 5, 20), Splines(5, 1, 20))
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=STEPS, history_size=20, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = ((model(x) - target(x)) ** 2).mean()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        error = (model(test) - target(test)).square().mean().sqrt().item()
    spread = target(test).std().item()
    print(
        f"kan: rms error of the test {error:.2g}, where the function's own spread is {spread:.2g}"
    )
    return model, error


def step_times() -> dict[str, float]:
    """Seconds of a forward and a backward pass at 1,024 x 64 -> 64, 21 knots; the best of turns."""
    torch.manual_seed(0)
    x, upstream = (2 * torch.rand(1024, 64) - 1).requires_grad_(), torch.randn(1024, 64)
    layers: dict[str, nn.Module] = {
        "actgrad": Splines(64, 64, 20),
        "efficient KAN": EfficientKan(64, 64, 20),
    }
    calls = {name: (layer, layer) for name, layer in layers.items()}
    calls |= {f"{name}, compiled": (torch.compile(layer), layer) for name, layer in layers.items()}
    best = dict.fromkeys(calls, (math.inf, math.inf))
    for turn in range(ROUNDS):
        for name, (call, layer) in calls.items():
            start = time.perf_counter(), time.process_time()
            torch.autograd.grad(call(x), [x, *layer.parameters()], upstream)
            took = time.perf_counter() - start[0], time.process_time() - start[1]
            if turn > 1:
                best[name] = tuple(map(min, best[name], took))
    for mode in ("", ", compiled"):
        ours, theirs = best[f"actgrad{mode}"], best[f"efficient KAN{mode}"]
        print(
            f"kan: step{mode or ', eager'}: {1e3 * ours[0]:.1f} ms and {1e3 * theirs[0]:.1f} ms: "
            f"{ours[0] / theirs[0]:.2f} of its time, {ours[1] / theirs[1]:.2f} of its CPU time"
        )
    return {name: wall for name, (wall, _) in best.items()}


def run() -> dict[str, object]:
    with torch.no_grad():  # the two are one function
        mine, theirs = Splines(3, 2, 20), EfficientKan(3, 2, 20)
        theirs.base.copy_(mine.base.weight)
        theirs.weight.copy_(mine.splines.weight.reshape(2, 3, 23))
        x = 2 * torch.rand(50, 3) - 1
        torch.testing.assert_close(mine(x), theirs(x), rtol=1e-4, atol=1e-5)
    model, error = fit()
    return {"model": model, "error": error, "times": step_times()}


def draw(axes, result) -> None:
    line = np.linspace(-1, 1, 81, dtype=np.float32)
    points = torch.tensor(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2))
    with torch.no_grad():
        difference = (result["model"](points) - target(points)).abs().reshape(81, 81)
    image = axes.imshow(difference, extent=(-1, 1, -1, 1), origin="lower", cmap="viridis")
    axes.figure.colorbar(image, ax=axes)
    axes.set(title="KAN: |error| for exp(sin(πx) + y²)", xlabel="x", ylabel="y")
