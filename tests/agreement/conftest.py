from __future__ import annotations

import os
from typing import Any


def pytest_runtest_logreport(report: Any) -> None:
    """A run of an hour says at once what is wrong."""
    if report.failed and "ACTGRAD_FUZZ" in os.environ:
        lines = report.longreprtext.splitlines()
        print("", *(line for line in lines if line.startswith("E ")), sep="\n")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How much was compared, in each mode and dtype."""
    totals: dict[str, dict[str, Any]] = {}
    for report in terminalreporter.getreports("passed"):
        for where, count in dict(report.user_properties).get("agreement", {}).items():
            total = totals.setdefault(where, dict.fromkeys(count, 0))
            worst = max(total["worst"], count["worst"])
            total.update({key: total[key] + count[key] for key in count}, worst=worst)
    for where, total in totals.items():
        terminalreporter.write_line(
            f"agreement: {where}: {total['programs']:,} programs: {total['compared']:,} numbers, "
            f"{total['special']:,} nan or inf, {total['left']:,} beside a jump or a pole; "
            f"worst {total['worst']:.2f} of what is allowed"
        )
