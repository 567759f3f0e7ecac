"""Whether a function drew random numbers while it was read: told by the generators' states.

What draws by name is refused by its name; this finds the rest, such as `torch.distributions`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from actgrad.errors import ImpureError


def _generators() -> list[tuple[str, Callable[[], Any], Callable[[Any], Any]]]:
    """The global generators of the libraries at hand: name, state, and how to put one back."""
    found: list[tuple[str, Callable[[], Any], Callable[[Any], Any]]] = [
        ("random", random.getstate, random.setstate),
        ("numpy.random", np.random.get_state, np.random.set_state),
    ]
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "random"):
        found.append(("torch", torch.random.get_rng_state, torch.random.set_rng_state))
    return found


@contextmanager
def refused(name: str, place: str) -> Iterator[None]:
    """Refuse a function that draws, and leave every generator as it was."""
    before = [(*generator, generator[1]()) for generator in _generators()]
    try:
        yield
    finally:
        drew = [row for row in before if not _same(row[1](), row[3])]
        for _, _, restore, state in drew:
            restore(state)
    if drew:
        raise ImpureError(
            f"{name!r} cannot be read: it draws random numbers from {drew[0][0]}, once, while the "
            f"function is read\n{place}\n  Pass what varies as an input or a parameter."
        )


def _same(now: Any, before: Any) -> bool:
    if not isinstance(now, tuple):
        return bool((now == before).all())
    if any(isinstance(part, np.ndarray) for part in now):
        return all(np.array_equal(a, b) for a, b in zip(now, before, strict=True))
    return now == before  # Python's own state, a tuple of hundreds of numbers
