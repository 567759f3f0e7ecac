"""PyTorch: several processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process import python

pytest.importorskip("torch")

SOURCE = str(Path(__file__).parents[2] / "src")

# A file, because a spawned process imports the module that its work is in.
HEAD = """
import os, sys
sys.path.insert(0, {source!r})
import torch, torch.distributed as dist, torch.multiprocessing as mp
from actgrad import activation, trainable

seven = activation(lambda x: x * x, name="seven", surrogate=7)
scaled = activation(lambda x, k=2.0: k * x, name="scaled", derivative=lambda x, k: k)


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 4), seven.module(), scaled.module(k=trainable(0.5, low=0.1, high=0.6))
    )


def data():
    return torch.arange(32.0).reshape(8, 4) / 32


def step(m, x):
    optimizer = torch.optim.SGD(m.parameters(), lr=10.0)
    m(x).mean().backward()
    optimizer.step()
"""

SPAWNED = """
def work(f, m, queue):
    x = torch.ones(2, requires_grad=True)
    (f(x) + m(x)).sum().backward()
    queue.put(x.grad.tolist())


if __name__ == "__main__":
    context = mp.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=work, args=(seven, seven.module(), queue))
    process.start()
    print(queue.get(timeout=1200))
    process.join()
"""

SHARED = """
def work(rank, store):
    dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
    m = {wrap}
    step(m, data()[rank * 4 : rank * 4 + 4])
    full = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in m.parameters()]
    if rank == 0:
        alone = model()
        step(alone, data())
        for got, wanted in zip(full, alone.parameters(), strict=True):
            torch.testing.assert_close(got.detach(), wanted.detach())
        print("equal", 0.1 <= float(full[-1]) <= 0.6)
    dist.barrier()
    dist.destroy_process_group()
    # DTensor's caches keep the mesh, and with it gloo's threads: at the interpreter's end one that
    # still lets go of a tensor aborts the process (pytorch/pytorch#190489).
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    mp.spawn(work, args=(sys.argv[1],), nprocs=2)
"""

WRAPS = {
    "DDP": "torch.nn.parallel.DistributedDataParallel(model())",
    "FSDP2": "__import__('torch.distributed.fsdp', fromlist=['']).fully_shard(model(), "
    "mesh=dist.init_device_mesh('cpu', (2,)))",
}


def run(code: str, folder: Path) -> str:
    (folder / "work.py").write_text(code)
    return python(folder / "work.py", folder / "store")[-1]


@pytest.mark.exhaustive
def test_a_spawned_process(tmp_path: Path) -> None:
    assert run(HEAD.format(source=SOURCE) + SPAWNED, tmp_path) == "[14.0, 14.0]"


@pytest.mark.exhaustive
@pytest.mark.parametrize("wrap", WRAPS)
def test_two_processes_take_the_step_of_one(wrap: str, tmp_path: Path) -> None:
    code = HEAD.format(source=SOURCE) + SHARED.format(wrap=WRAPS[wrap])
    assert run(code, tmp_path) == "equal True"
