"""A compilation that takes long says what it is doing, once in a process for each compiler."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

SECONDS = 1.0

_said: set[str] = set()


@contextlib.contextmanager
def saying(compiler: str, name: str, *, on_disk: bool = True) -> Iterator[None]:
    def say() -> None:
        if compiler not in _said:
            _said.add(compiler)
            logging.getLogger("actgrad").warning(
                "actgrad: %s compiles %r for the CPU, once%s",
                compiler,
                name,
                "; the next process finds it on disk" if on_disk else " in each process",
            )

    timer = threading.Timer(SECONDS, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
