"""Whether a function drew random numbers while it was read: told by the generators' states.

What draws by name is refused by its name; this finds the rest, such as `torch.distributions`.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from actgrad.errors import ImpureError, TraceError
from actgrad.reading.refusal import definition


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


States = list[tuple[str, Callable[[], Any], Callable[[Any], Any], Any]]
_definition = threading.local()


@contextmanager
def watched() -> Iterator[States]:
    """The states of the generators, taken once for all that is read within."""
    outer: States | None = getattr(_definition, "states", None)
    if outer is not None:
        yield outer
        return
    _definition.states = states = [(*generator, generator[1]()) for generator in _generators()]
    try:
        yield states
    finally:
        _definition.states = None


@contextmanager
def refused(name: str, function: Any) -> Iterator[None]:
    """Refuse a function that draws, and leave every generator as it was."""
    with watched() as states:
        try:
            yield
        except TraceError:  # perhaps because two runs drew different numbers
            drew = _drew(states)
            if not drew:
                raise
        except BaseException:
            _drew(states)
            raise
        else:
            drew = _drew(states)
    if drew:
        raise ImpureError(
            f"{name!r} cannot be read: it draws random numbers from {drew[0]}, once, while the "
            f"function is read\n{definition(function)}\n  Pass what varies as an input or a parameter."
        )


def _drew(states: States) -> list[str]:
    """The generators that have been used since, each put back as it was."""
    used = [row for row in states if not _same(row[1](), row[3])]
    for _, _, restore, state in used:
        restore(state)
    return [name for name, _, _, _ in used]


def _same(now: Any, before: Any) -> bool:
    """Whether two states are equal: Python's a tuple of numbers, NumPy's one with an array in it, PyTorch's a
    tensor."""
    if isinstance(now, tuple):
        return all(map(_same, now, before)) if isinstance(now[1], np.ndarray) else now == before
    if isinstance(now, (str, int, float)):
        return now == before
    return bool(np.array_equal(np.asarray(now), np.asarray(before)))
