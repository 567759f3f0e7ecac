"""Locks that a forked child finds free, whatever other threads of its parent were doing.

A fork copies the memory and one thread. A lock that another thread held stays taken in the child for
ever, so the child would hang at its first definition or call.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from types import TracebackType
from weakref import WeakSet


class Lock:
    """A reentrant lock for `with`, free again in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._lock.release()

    def acquire(self, blocking: bool = True) -> bool:
        return self._lock.acquire(blocking)

    def release(self) -> None:
        self._lock.release()


_locks: WeakSet[Lock] = WeakSet()


def _free_in_child() -> None:
    for lock in list(_locks):
        lock._lock = threading.RLock()
    # In Python 3.11 each `cached_property` has a lock, held while its value is computed.
    for name, module in list(sys.modules.items()):
        if name == "actgrad" or name.startswith("actgrad."):
            for kind in [value for value in vars(module).values() if isinstance(value, type)]:
                for member in list(vars(kind).values()):
                    if isinstance(member, functools.cached_property) and hasattr(member, "lock"):
                        member.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_in_child)
