"""Notes the outcome of every test of a mode, for `make modes`."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

from tests import modes


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
    report = yield
    if path := os.environ.get("ACTGRAD_MODES"):
        modes.record(item, report, path)
    return report
