"""`test_keras.py` on Keras's other backends, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_keras_on(backend: str) -> None:
    pytest.importorskip("keras")
    pytest.importorskip(backend)
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    environment.pop("PYTEST_XDIST_WORKER", None)
    tests = Path(__file__).with_name("test_keras.py")
    # Of a cross product all of it, of what is exhaustive otherwise nothing.
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-m",
        "diagonal or (not exhaustive and not gpu)",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tests)],
        cwd=tests.parents[2],
        capture_output=True,
        text=True,
        env=environment,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 180
