"""Notes the outcome of every test of a mode, for `make modes`; keeps tests apart."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest

from tests import modes, sample

# A job that a shell starts in the background ignores Ctrl-C, and so would all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """No doctests in here: to look for them would run the scripts that tests start."""
    return [found for found in (yield) if type(found) is pytest.Module]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    sample.only_diagonals(items)
    # The files with slow tests first, so that none of them is what one worker does alone at the end.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Each collection of garbage would look through all that the frameworks are made of, for a second."""
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--max-skipped", type=int, help="fail if more tests than this are skipped")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    limit = session.config.getoption("--max-skipped")
    terminal: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if limit is not None and terminal and len(terminal.stats.get("skipped", ())) > limit:
        terminal.write_line(f"more than {limit} tests were skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
    report = yield
    if path := os.environ.get("ACTGRAD_MODES"):
        modes.record(item, report, path)
    return report


@pytest.fixture(autouse=True)
def _the_same_random_numbers() -> None:
    """What a test draws is the same in every run and order; no framework is loaded for it."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        # torch.manual_seed also notes, for each device that has not started, the stack of its caller.
        torch.default_generator.manual_seed(0)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(0)
    if tensorflow := sys.modules.get("tensorflow"):
        tensorflow.random.set_seed(0)
    if keras := sys.modules.get("keras"):
        keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _determinism_ends_with_its_test() -> Generator[None, None, None]:
    """`actgrad train` makes TensorFlow deterministic for its process, under which Keras uses no XLA."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config

        if config.is_op_determinism_enabled():
            config.disable_op_determinism()
