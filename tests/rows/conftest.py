"""What tests of rows share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def float64() -> Iterator[None]:
    """JAX computes in float64."""
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        yield
