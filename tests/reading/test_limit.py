"""A limit ends what runs on, by one thread for all limits, which ends itself."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from actgrad import activation
from actgrad.reading import limit
from actgrad.reading.limit import Interrupted, Limit


def endless() -> None:
    while True:
        pass


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads of limits that were started since."""
    monkeypatch.setattr(limit, "_watcher", limit._Watcher())
    started: list[str] = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        started.extend([thread.name] * (thread.name == limit.NAME))
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    return started


def test_what_ends_in_time_is_left_alone(threads: list[str]) -> None:
    with Limit(0.05):
        pass
    end = time.monotonic() + 20
    while limit._watcher._wakes is not None and time.monotonic() < end:
        time.sleep(0.02)
    with Limit(20.0):
        pass
    assert threads == [limit.NAME] * 2  # the first one has ended


def test_definitions_share_a_thread(threads: list[str]) -> None:
    for i in range(20):
        activation(lambda x, i=i: x if x > 0 else x * i / 1000, name="slanted")
    assert threads == [limit.NAME]


def test_the_sooner_end_counts(threads: list[str]) -> None:
    start = time.monotonic()
    with Limit(20.0):
        with pytest.raises(Interrupted), Limit(0.1):
            endless()
        with pytest.raises(Interrupted), Limit(0.1):
            endless()
    assert time.monotonic() - start < 5
    assert threads == [limit.NAME]


def test_only_its_own_thread_is_interrupted(threads: list[str]) -> None:
    ended = []

    def other() -> None:
        try:
            with Limit(0.1):
                endless()
        except Interrupted:
            ended.append(True)

    thread = threading.Thread(target=other)
    thread.start()
    with Limit(20.0):
        thread.join(10)
    assert ended == [True]


FORKED = """
import os
from actgrad.reading.limit import Interrupted, Limit

with Limit(20.0):
    child = os.fork()
    if not child:
        try:
            with Limit(0.1):
                while True:
                    pass
        except Interrupted:
            os._exit(7)
        os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_process_has_a_watcher_of_its_own() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)
