"""What was measured, in a file: a section of a framework at a time, so that a run can go on another day."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from speed.cells import Cell


@dataclass
class Entry:
    cells: list[Cell] = field(default_factory=list)
    failed: str = ""
    seconds: float = 0.0
    day: str = field(default_factory=lambda: datetime.date.today().isoformat())
    where: str = ""
    """The machine and the versions"""
    busy: float = 0.0
    """The machine's load average at the end; what is measured makes one of about its cores"""


class Results:
    """(section, framework) -> what was found there, kept in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[tuple[str, str], Entry] = {}
        if path.exists():
            for stored in json.loads(path.read_text(encoding="utf-8")):
                key = stored.pop("section"), stored.pop("framework")
                cells = [Cell(tuple(cell.pop("labels")), **cell) for cell in stored.pop("cells")]
                self.entries[key] = Entry(cells, **stored)

    def put(self, section: str, framework: str, entry: Entry) -> None:
        self.entries[section, framework] = entry
        stored: list[dict[str, Any]] = [
            {"section": section, "framework": framework, **asdict(entry)}
            for (section, framework), entry in self.entries.items()
        ]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(stored, indent=1, ensure_ascii=False), encoding="utf-8")
        part.replace(self.path)


def rows(entries: Iterable[tuple[str, Entry]], heads: int) -> list[Cell]:
    """The cells of these frameworks; what failed is a row with its cause."""
    found = []
    for framework, entry in entries:
        found += entry.cells
        if entry.failed:
            labels = (framework, f"not measured: {entry.failed}", *[""] * heads)[:heads]
            found.append(Cell(labels, "", ""))
    return found


NAMES = ("numpy", "tensorflow", "tensorflow-cpu", "keras", "jax", "torch")


def where() -> str:
    versions = []
    for name in NAMES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{cores} cores ({_processor()}), Python {platform.python_version()}, {', '.join(versions)}"
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
