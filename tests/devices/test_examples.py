"""examples/devices: two devices or processes learn the digits, and hold the same weights."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "devices"
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
RUNS = {
    "keras_jax.py": (("keras", "jax"), []),
    "tensorflow_mirrored.py": (("keras", "tensorflow"), []),
    "torch_ddp.py": (("torch",), TORCHRUN),
}


def run(script: Path, options: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, str(script)],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "CUDA_VISIBLE_DEVICES": "",
            "JAX_PLATFORMS": "cpu",
            "OMP_NUM_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
    )


@pytest.mark.exhaustive  # tests/frameworks/test_torch_distributed.py has one in make test
@pytest.mark.parametrize("name", RUNS)
def test_two_devices_learn_and_agree(name: str, tmp_path: Path) -> None:
    needed, options = RUNS[name]
    for package in needed:
        pytest.importorskip(package)
    done = run(FOLDER / name, options, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = done.stdout.splitlines()
    found = re.fullmatch(r"2 devices, replicas equal, test accuracy (0\.\d+|1\.0+)", line)
    assert found, line
    assert float(found[1]) > 0.85


ENDED = """
import os, runpy, sys

sys.path.insert(0, os.path.dirname(sys.argv[1]))
runpy.run_path(sys.argv[1], run_name="__main__")
names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
print(sorted(name.strip() for name in names if "gloo" in name))
"""


@pytest.mark.exhaustive
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no list of threads here")
def test_no_thread_of_the_group_outlives_it(tmp_path: Path) -> None:
    """One that lets go of a tensor while Python ends aborts the process."""
    pytest.importorskip("torch")
    (tmp_path / "ended.py").write_text(ENDED)
    for name in ("digits.py", "torch_ddp.py"):
        (tmp_path / name).write_text((FOLDER / name).read_text().replace("range(20)", "range(1)"))
    alone = [*TORCHRUN[:-1], "1", str(tmp_path / "ended.py")]
    done = run(tmp_path / "torch_ddp.py", alone, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.exhaustive
@pytest.mark.parametrize("without", ["the derivative", "the exchange"])
def test_what_the_examples_verify(without: str, tmp_path: Path) -> None:
    """Weights that have not learnt, and processes that have not exchanged gradients, are found."""
    pytest.importorskip("torch")
    step, loop = ((FOLDER / name).read_text() for name in ("digits.py", "torch_ddp.py"))
    if without == "the derivative":
        faulty = (step.replace("return max(0, 1 - abs(x))", "return 0 * x"), loop)
        said = "a weight has not learnt"
    else:
        faulty = (step, loop.replace("answers = model(", "answers = network(", 1))
        said = "all(torch.equal(mine, other) for other in replicas)"
    assert faulty != (step, loop)
    faulty = (faulty[0], faulty[1].replace("range(20)", "range(1)"))
    for name, text in zip(("digits.py", "torch_ddp.py"), faulty, strict=True):
        (tmp_path / name).write_text(text)
    done = run(tmp_path / "torch_ddp.py", TORCHRUN, tmp_path)
    assert done.returncode != 0
    assert said in done.stderr
