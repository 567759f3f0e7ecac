"""A limit on the time that reading a function may take: past it, an exception inside its thread.

One thread watches all limits, and ends when it wakes and there is none: to start one for each takes as long
as the reading, where the cores are busy.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time

NAME = "actgrad-limit"
"""Of the thread"""


class Interrupted(BaseException):
    """Raised inside a loop that does not end."""


class _Watcher:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sooner = threading.Event()
        self._limits: set[Limit] = set()
        self._wakes: float | None = None

    def add(self, limit: Limit) -> None:
        with self._lock:
            if self._wakes is None:
                threading.Thread(
                    target=self._watch, args=(limit.end,), name=NAME, daemon=True
                ).start()
                self._wakes = limit.end
            elif limit.end < self._wakes:
                self._sooner.set()
            self._limits.add(limit)

    def discard(self, limit: Limit) -> None:
        with self._lock:
            self._limits.discard(limit)

    def _watch(self, wakes: float | None) -> None:
        while wakes is not None:
            self._sooner.wait(wakes - time.monotonic())
            with self._lock:
                self._sooner.clear()
                now = time.monotonic()
                for limit in [each for each in self._limits if each.end <= now]:
                    self._limits.discard(limit)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(limit.thread), ctypes.py_object(Interrupted)
                    )
                wakes = min((limit.end for limit in self._limits), default=None)
                self._wakes = wakes


_watcher = _Watcher()


def _after_fork() -> None:
    """A thread does not live on in the child."""
    global _watcher
    _watcher = _Watcher()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Limit:
    """Within it, code may take so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self.thread = threading.get_ident()
        self.end = time.monotonic() + self._seconds
        _watcher.add(self)

    def __exit__(self, *_: object) -> None:
        _watcher.discard(self)
        for _unused in range(2):  # an interruption sent just before arrives here, not later
            pass
