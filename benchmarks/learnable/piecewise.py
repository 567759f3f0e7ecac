"""A piecewise linear activation with 21 knots beside ReLU at a million elements, compiled, forward and
backward: python benchmarks/learnable/piecewise.py
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import jax
import numpy as np
import torch

from actgrad import activation

KNOTS, SIZE, ROUNDS = np.linspace(-3, 3, 21), 1 << 20, 20
HEIGHTS = tuple(np.tanh(KNOTS))


@activation
def bent(x, heights=HEIGHTS):
    return np.interp(x, KNOTS, heights)


def of_torch() -> dict[str, Callable[[], None]]:
    x, upstream = torch.randn(SIZE, requires_grad=True), torch.randn(SIZE)
    heights = torch.tensor(HEIGHTS, dtype=torch.float32, requires_grad=True)
    relu = torch.compile(lambda x: torch.relu(x))
    fixed = torch.compile(lambda x: bent(x))
    learnt = torch.compile(lambda x, heights: bent(x, heights=heights))

    def step(call: Callable, *by: torch.Tensor) -> Callable[[], None]:
        return lambda: torch.autograd.grad(call(*by), by, upstream) and None

    return {
        "ReLU, eager": step(torch.relu, x),
        "ReLU": step(relu, x),
        "fixed": step(fixed, x),
        "learnt": step(learnt, x, heights),
    }


def of_jax() -> dict[str, Callable[[], None]]:
    rng = np.random.default_rng(0)
    x, upstream = (jax.numpy.asarray(rng.normal(size=SIZE), "float32") for _ in range(2))
    heights = jax.numpy.asarray(HEIGHTS, "float32")

    def step(call: Callable, *by: jax.Array) -> Callable[[], None]:
        @jax.jit
        def run(*by):
            value, back = jax.vjp(call, *by)
            return value, back(upstream)

        return lambda: jax.block_until_ready(run(*by)) and None

    return {
        "ReLU": step(jax.nn.relu, x),
        "fixed": step(lambda x: bent(x), x),
        "learnt": step(lambda x, heights: bent(x, heights=heights), x, heights),
    }


def main() -> None:
    for framework, calls in (("PyTorch", of_torch()), ("JAX", of_jax())):
        best = dict.fromkeys(calls, (math.inf, math.inf))
        for turn in range(ROUNDS):
            for name, call in calls.items():
                start = time.perf_counter(), time.process_time()
                call()
                took = time.perf_counter() - start[0], time.process_time() - start[1]
                if turn > 1:
                    best[name] = tuple(map(min, best[name], took))
        for name, (wall, cpu) in best.items():
            beside = (
                f"{wall / best['ReLU'][0]:.2f} times ReLU, {cpu / best['ReLU'][1]:.2f} in CPU time"
            )
            print(f"{framework:8} {name:12} {1e3 * wall:7.2f} ms  {beside}")


if __name__ == "__main__":
    main()
