"""Whether a function drew random numbers while it was read: told by the generators' states.

What draws by name is refused by its name; this finds the rest, such as `torch.distributions`.
"""

from __future__ import annotations

import ctypes
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from actgrad.errors import ImpureError, TraceError
from actgrad.reading.refusal import definition


def _generators() -> list[tuple[str, Callable[[], object], Callable[[object], object]]]:
    """The global generators of the libraries at hand: name, state, and how to put one back."""
    found: list[tuple[str, Callable[[], Any], Callable[[Any], Any]]] = [
        ("random", random.getstate, random.setstate),
        ("numpy.random", partial(np.random.get_state, legacy=False), np.random.set_state),
    ]
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "random"):
        found.append(("torch", torch.random.get_rng_state, torch.random.set_rng_state))
    return found


States = list[tuple[str, Callable[[], object], Callable[[object], object], object]]
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
def refused(name: str, function: object) -> Iterator[None]:
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
    used = [row for row in states if not _unused(*row)]
    for _, _, restore, state in used:
        restore(state)
    return [name for name, _, _, _ in used]


def _unused(name: str, state: Callable[[], object], _: object, before: Any) -> bool:
    if name == "numpy.random" and before["bit_generator"] == "MT19937":
        generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
        if isinstance(generator, np.random.MT19937):
            # `get_state` takes 31 µs of a definition's 700; looking at the words where they lie takes 5.
            at = ctypes.cast(generator.ctypes.state_address, _WORDS)
            words = np.ctypeslib.as_array(at, (625,))
            key, place = before["state"].values()
            return bool(np.array_equal(words[:624], key)) and int(words[624]) == place
    return _same(state(), before)


_WORDS = ctypes.POINTER(ctypes.c_uint32)
"""Of a Mersenne Twister: the 624 words of its state, and the place among them."""


def _same(now: object, before: Any) -> bool:
    """Whether two states are equal: Python's a tuple, NumPy's a dict with arrays, PyTorch's a tensor."""
    if isinstance(now, dict):
        return all(_same(item, before[name]) for name, item in now.items())
    if isinstance(now, (tuple, str, int, float)):
        return bool(now == before)
    return bool(np.array_equal(np.asarray(now), np.asarray(before)))
