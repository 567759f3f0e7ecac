from __future__ import annotations

from collections import Counter
from typing import Any

from tests.fuzz.compare import Count


def pytest_terminal_summary(terminalreporter: Any) -> None:
    total: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        total.update(dict(report.user_properties).get("compared with Python", {}))
    if total:
        terminalreporter.write_line(f"fuzz: {Count(**total)}: no mismatch")
