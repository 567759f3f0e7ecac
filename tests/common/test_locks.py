"""A child that was forked while other threads held actgrad's locks defines and calls activations."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from actgrad import activation
from actgrad.activation import Activation
from actgrad.common.locks import Lock
from actgrad.language import expression, program
from tests.process import python
from tests.sample import exhaustive_but

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

HUNG = 600
"""Seconds after which a child that hangs is ended. A child that works takes none of them."""


def in_child(work: Callable[[], bool]) -> int:
    """The status of a forked child that does this: 0 if it went well, -SIGALRM if it hung."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: of a fork beside other threads
        child = os.fork()
    if child == 0:
        signal.alarm(HUNG)
        done = False
        try:
            done = work()
        finally:
            os._exit(0 if done else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def works() -> bool:
    f = activation(lambda x, k=0.37: x * k + 1.25 if x > 0.123 else x / 3, name="of_the_child")
    x = np.linspace(-2, 2, 200_001)
    right = np.where(x > 0.123, x * 0.37 + 1.25, x / 3)
    return bool(np.allclose(f(x), right)) and f.derivative(1.0) == 0.37


def test_a_child_of_a_child_and_a_pool() -> None:
    with Held(under(expression._one_at_a_time)):
        assert in_child(lambda: in_child(works) == 0 and works()) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.starmap(works, [()] * 4) == [True] * 4


@pytest.mark.parametrize("framework", exhaustive_but(["jax"], ["jax", "tensorflow"]))
def test_a_child_forked_while_a_framework_compiles(framework: str) -> None:
    pytest.importorskip(framework)
    assert python(Path(__file__).with_name("forked.py"), framework)[-3:] == ["0", "0", "0"]


class Held:
    """Something that another thread holds from `__enter__` to `__exit__`."""

    def __init__(self, hold: Callable[[Callable[[], object]], object]) -> None:
        self.hold = hold
        self.taken, self.free = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.hold(lambda: (self.taken.set(), self.free.wait()))

    def __enter__(self) -> None:
        self.thread.start()
        self.taken.wait()

    def __exit__(self, *_: object) -> None:
        self.free.set()
        self.thread.join()


def under(lock: Lock) -> Callable[[Callable[[], object]], object]:
    def hold(wait: Callable[[], object]) -> None:
        with lock:
            wait()

    return hold


@pytest.mark.parametrize("module", [expression, program], ids=lambda module: module.__name__)
def test_a_child_forked_while_an_expression_is_made(module: object) -> None:
    with Held(under(module._one_at_a_time)):  # type: ignore[attr-defined]
        assert in_child(works) == 0
    assert works()


def test_a_child_forked_while_a_derivative_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Python 3.11 `cached_property` holds a lock of its own."""
    derivatives = Activation._derivatives
    f = activation(lambda x: x * x, name="of_the_parent")

    def hold(wait: Callable[[], object]) -> None:
        def slow(one: object) -> object:
            wait()
            return derivatives(one)

        with monkeypatch.context() as planted:
            planted.setattr(Activation, "_derivatives", staticmethod(slow))
            assert f.derivative(1.5) == 3.0

    def child() -> bool:
        Activation._derivatives = staticmethod(
            derivatives
        )  # the parent's plant goes on in the child
        return works()

    with Held(hold):
        assert in_child(child) == 0


def test_a_lock_that_is_not_reset_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "HUNG", 1)
    with monkeypatch.context() as planted:
        planted.setattr(expression, "_one_at_a_time", threading.RLock())
        with Held(under(expression._one_at_a_time)):  # type: ignore[arg-type]
            assert in_child(works) == -signal.SIGALRM


def test_a_lock_is_reentrant_and_excludes_other_threads() -> None:
    lock = Lock()
    with lock, lock:
        other: list[bool] = []
        thread = threading.Thread(target=lambda: other.append(lock.acquire(blocking=False)))
        thread.start()
        thread.join()
        assert other == [False]
    assert functools.reduce(lambda a, _: a and lock.acquire(blocking=False), range(2), True)


def in_a_process(queue: object) -> None:
    queue.put(works())  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str) -> None:
    assert works()
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        process = context.Process(target=in_a_process, args=(queue,))
        process.start()
    assert queue.get() is True
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("method", exhaustive_but(["fork"], ["fork", "spawn", "forkserver"]))
def test_workers_of_a_data_loader(method: str) -> None:
    torch = pytest.importorskip("torch")
    from tests.common.rows import Rows

    rows = Rows()
    parent = [rows[i] for i in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        loader = torch.utils.data.DataLoader(
            rows, batch_size=1, num_workers=1, multiprocessing_context=method
        )
        batches = [batch[0] for batch in loader]
    for one, other in zip(parent, batches, strict=True):
        torch.testing.assert_close(one, other)


def test_a_child_forked_while_pytorch_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the locks of PyTorch's compiler too, taken for ever, so it compiles nothing."""
    torch = pytest.importorskip("torch")
    from actgrad.frameworks.torch.fused import Fused

    x = torch.linspace(-2, 2, 70_000)

    def child() -> bool:
        torch.set_num_threads(1)  # as in a worker of a DataLoader: PyTorch's threads are not forked
        monkeypatch.setattr(Fused, "_compile", lambda *_: os._exit(2))
        f = activation(lambda x, k=0.4: x * k if x > 0.1 else x / 3, name="of_the_child")
        return bool(torch.allclose(f(x), torch.where(x > 0.1, x * 0.4, x / 3)))

    def hold(wait: Callable[[], object]) -> None:
        with monkeypatch.context() as planted:
            planted.setattr(Fused, "_compile", lambda *_: wait() and print)
            activation(lambda x: x * x + 0.7, name="of_the_parent")(x)

    assert in_child(child) == 2  # it would compile
    with Held(hold):
        assert in_child(child) == 0
    assert in_child(child) == 2
