from __future__ import annotations

import importlib
import io
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from types import ModuleType

from speed.cells import Cell, compared
from speed.functions import spiky
from speed.handwritten import one, one_slope
from speed.process import FOLDER
from speed.training import fitting

TITLE = "Beside version 0.1"
NOTE = (
    "A step of training of the MLP above with spiky: this version beside the first, whose code comes from "
    "the repository's history under a name of its own, and each beside ReLU."
)
HEADS = ("framework", "spiky of", "beside")
FRAMEWORKS = ("keras on tensorflow", "keras on jax", "keras on torch")
FIRST = "aa9a68f"
BAR = 1.03


def first_version() -> ModuleType:
    """The package as it was, as a module `first_actgrad`."""
    root = FOLDER.parent
    place = root / "build" / "version-0.1"
    package = place / "src" / "first_actgrad"
    if not package.exists():
        command = ["git", "archive", FIRST, "src/actgrad"]
        archive = subprocess.run(command, cwd=root, check=True, capture_output=True)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(place, filter="data")
        for path in place.rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            path.write_text(re.sub(r"\bactgrad\b", "first_actgrad", text), encoding="utf-8")
        (place / "src" / "actgrad").rename(package)
    sys.path.insert(0, str(package.parent))
    return importlib.import_module(package.name)


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    before = first_version().activation(one, derivative=one_slope)
    for version, ours, beside, other, bar in (
        ("this version", spiky, "version 0.1", before, BAR),
        ("this version", spiky, "relu", "relu", None),
        ("version 0.1", before, "relu", "relu", None),
    ):
        a, b = (fitting("MLP", f, quick) for f in (ours, other))
        labels = (framework, version, beside)
        yield compared(labels, "a training step", a, b, bar, quick, 20.0, lambda run: run())
