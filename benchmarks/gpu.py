"""On a GPU: an activation beside the built-in, by hand, other libraries, and a copy of memory.

    python benchmarks/gpu.py [--sizes 16 20 24 28] [--seconds 1.0]

Milliseconds of forward and backward, medians, all in one process side by side; the last column is the
share of a copy's bandwidth that actgrad reaches in eager mode. Then the same under `jax.jit`, and one
training step in PyTorch of the MLP block of GPT-2 small and of a ResNet-18. Without a GPU it says so, and
measures its short form on the CPU.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from speed.networks import Block, resnet18
from torch import nn

from actgrad import activation
from actgrad.catalogue import surrogates


def swish(x, beta=1.702):
    import math

    return x / (1 + math.exp(-beta * x))


SWISH = activation(swish, name="swish")
STEP = surrogates.atan


class ByHand(torch.autograd.Function):
    """x * sigmoid(1.702 x)"""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(1.702 * x)

    @staticmethod
    def backward(ctx: Any, upstream: Any) -> Any:
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(1.702 * x)
        return upstream * (s + 1.702 * x * s * (1 - s))


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def milliseconds(
    ways: dict[str, Callable[[], Any]], device: str, seconds: float
) -> dict[str, float]:
    """The median of each, taken in turns, so that what disturbs one disturbs all."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):
        for run in ways.values():
            run()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[next(iter(times))]) < 5:
        for name, run in ways.items():
            synchronize(device)
            start = time.perf_counter()
            run()
            synchronize(device)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(each) for name, each in times.items()}


def peers() -> dict[str, Callable[[Any], Any]]:
    """Spiking steps of other libraries, as far as they are installed."""
    found: dict[str, Callable[[Any], Any]] = {}
    for name, module, make in (
        ("snnTorch", "snntorch.surrogate", lambda m: m.atan()),
        ("SpikingJelly", "spikingjelly.activation_based.surrogate", lambda m: m.ATan()),
    ):
        try:
            found[name] = make(importlib.import_module(module))
        except ImportError:
            print(f"({name} is not installed)")
    return found


def elementwise(device: str, sizes: list[int], dtypes: list[Any], seconds: float) -> None:
    functions: dict[str, Callable[[Any], Any]] = {
        "SiLU": nn.functional.silu,
        "SiLU compiled": torch.compile(nn.functional.silu, dynamic=True),
        "actgrad": SWISH,
        "actgrad compiled": torch.compile(lambda x: SWISH(x), dynamic=True),
        "by hand": ByHand.apply,
        "step": STEP,
        **peers(),
    }
    print("| dtype | elements | " + " | ".join([*functions, "copy", "share of copy"]) + " |")
    print("|---|---|" + "---|" * (len(functions) + 2))
    for dtype in dtypes:
        for exponent in sizes:
            x = torch.randn(1 << exponent, device=device, dtype=dtype, requires_grad=True)
            upstream, other = torch.randn_like(x), torch.empty_like(x)
            ways: dict[str, Callable[[], Any]] = {
                name: lambda f=f: torch.autograd.grad(f(x), x, upstream)
                for name, f in functions.items()
            }
            ways["copy"] = lambda: other.copy_(upstream)
            found = milliseconds(ways, device, seconds)
            # A copy reads and writes once; forward and backward read three tensors and write two.
            share = 2.5 * found["copy"] / found["actgrad"]
            row = [f"{value:.3f}" for value in found.values()]
            print(f"| {str(dtype)[6:]} | 2^{exponent} | " + " | ".join(row) + f" | {share:.0%} |")


def in_jax(sizes: list[int], dtypes: list[Any], seconds: float) -> None:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch is there too
    try:
        import jax
    except ImportError:
        print("\n(JAX is not installed)")
        return
    print(f"\nJAX {jax.__version__} on {jax.default_backend()}, jax.jit\n")
    print("| dtype | elements | silu | actgrad | actgrad / silu |\n|---|---|---|---|---|")

    def both(f: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        return jax.jit(lambda x, upstream: jax.vjp(f, x)[1](upstream))

    silu, ours = both(jax.nn.silu), both(SWISH)
    for dtype in dtypes:
        for exponent in sizes:
            x, upstream = jax.random.normal(jax.random.key(0), (2, 1 << exponent), str(dtype)[6:])
            found = milliseconds(
                {
                    "silu": lambda: jax.block_until_ready(silu(x, upstream)),
                    "ours": lambda: jax.block_until_ready(ours(x, upstream)),
                },
                "cpu",  # nothing of PyTorch's to wait for
                seconds,
            )
            row = f"{found['silu']:.3f} | {found['ours']:.3f} | {found['ours'] / found['silu']:.2f}"
            print(f"| {str(dtype)[6:]} | 2^{exponent} | {row} |")


def training(device: str, small: bool, seconds: float) -> None:
    acts = {"SiLU": nn.functional.silu, "actgrad": SWISH, "by hand": ByHand.apply}
    batch = 4 if small else 64
    makers: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
        "GPT-2 MLP block": (lambda act: Block(act, 768), (batch // 4, 128 if small else 1024, 768)),
        "ResNet-18": (resnet18, (batch, 3, 32, 32)),
    }
    print("\n| training step | " + " | ".join(acts) + " | actgrad / SiLU |")
    print("|---|" + "---|" * (len(acts) + 1))
    for name, (make, shape) in makers.items():
        x = torch.randn(shape, device=device)

        def step(act: Callable[[Any], Any], make: Any = make, x: Any = x) -> Callable[[], None]:
            model = make(act).to(device)
            optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

            def run() -> None:
                optimizer.zero_grad()
                model(x).square().mean().backward()
                optimizer.step()

            return run

        found = milliseconds({key: step(act) for key, act in acts.items()}, device, seconds)
        row = " | ".join(f"{value:.2f}" for value in found.values())
        print(f"| {name} | {row} | {found['actgrad'] / found['SiLU']:.2f} |")


def main() -> None:
    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[16, 20, 24, 28] if gpu else [16, 18]
    )
    parser.add_argument("--seconds", type=float, default=1.0 if gpu else 0.3)
    options = parser.parse_args()
    device = "cuda" if gpu else "cpu"
    name = torch.cuda.get_device_name() if gpu else f"the CPU, {torch.get_num_threads()} threads"
    print(f"PyTorch {torch.__version__} on {name}")
    if not gpu:
        print("There is no GPU here, so this is the short form on the CPU.")
    print("Forward and backward, milliseconds\n")
    dtypes = [torch.float32, torch.bfloat16, torch.float16] if gpu else [torch.float32]
    elementwise(device, options.sizes, dtypes, options.seconds)
    in_jax(options.sizes, dtypes, options.seconds)
    training(device, not gpu, options.seconds)


if __name__ == "__main__":
    main()
