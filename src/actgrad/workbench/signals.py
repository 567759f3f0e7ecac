"""Ctrl-C and SIGTERM: what was half-written goes, and what was finished is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def _handled(number: int, handler: Handler, default: Handler | signal.Handlers) -> Iterator[None]:
    """A handler in place of the default one, while the scope lasts. Another one, or another thread, keeps
    what it has."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(number) is not default:
        yield
        return
    signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, default)


@contextmanager
def ends_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM, by which systems and clusters end a process, does what Ctrl-C does."""

    def handler(number: int, frame: FrameType | None) -> None:
        pressed = signal.getsignal(signal.SIGINT)
        if callable(pressed):
            pressed(number, frame)
        raise KeyboardInterrupt

    with _handled(signal.SIGTERM, handler, signal.SIG_DFL):
        yield


@contextmanager
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Ctrl-C as ever, and remembered: in a destructor Python drops it, and then `heed()` raises it."""
    pressed = False

    def handler(*_: object) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    def heed() -> None:
        if pressed:
            raise KeyboardInterrupt

    with _handled(signal.SIGINT, handler, signal.default_int_handler):
        yield heed
