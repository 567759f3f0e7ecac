"""Numbers as a tensor of any framework."""

from __future__ import annotations

from typing import Any

import pytest

ROOMS = {"numpy": "numpy", "tensorflow": "tensorflow", "torch": "torch", "jax": "jax.numpy"}
"""What is imported of each"""


def tensor(framework: str, values: Any) -> Any:
    module = pytest.importorskip(ROOMS[framework])
    make_one = {"numpy": "asarray", "tensorflow": "constant", "torch": "tensor", "jax": "asarray"}
    return getattr(module, make_one[framework])(values)
