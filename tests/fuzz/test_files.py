"""Program files with random faults: `make fuzz` tries 20,000, `make test` 2,000. See `files`."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("resource", reason="measures as POSIX does")

from actgrad.language import storage
from actgrad.language.expression import make, var
from actgrad.language.program import Program
from tests.fuzz import files

ROOT = Path(__file__).parents[2]
FILES = int(os.environ.get("ACTGRAD_FUZZ", "2000"))
SEED = random.randrange(10**9) if "ACTGRAD_FUZZ" in os.environ else 0


def test_no_file_crashes_hangs_swells_or_loads_to_something_else() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.files", str(FILES), str(SEED)],
        capture_output=True,
        text=True,
        timeout=600 + FILES,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    count = json.loads(done.stdout.splitlines()[-1])
    print(f"files: {count['loaded']:,} loaded, {count['refused']:,} refused (seed {SEED})")
    assert count["what"] == [], f"seed {SEED}"
    assert count["loaded"] + count["refused"] >= FILES
    assert count["loaded"] > len(files.originals()) + FILES // 100


# Planted faults in the loader are caught.

PROGRAM = Program("f", ("x",), (("a", -0.0),), make("sub", make("sin", var("x")), var("a")))
TEXT = storage.to_json(PROGRAM)


def _endless(text: Any) -> Any:
    while True:
        pass


def _large(text: Any) -> Any:
    kept = bytearray(b"1" * (files.MEGABYTES + 100) * 2**20)
    return PROGRAM if kept else None


def _crashing(text: Any) -> Any:
    return {}["node"]


PLANTED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a crash": (_crashing, "KeyError"),
    "a loop": (_endless, "more than 1.0 s"),
    "memory": (_large, " MB"),
    "swapped": (
        lambda _: replace(PROGRAM, value=make("sub", var("a"), make("sin", var("x")))), "node"
    ),
    "another operation": (
        lambda _: replace(PROGRAM, value=make("add", make("sin", var("x")), var("a"))), "add for sub"
    ),
    "another number": (lambda _: replace(PROGRAM, parameters=(("a", 0.0),)), "parameters"),
    "another name": (lambda _: replace(PROGRAM, name="g"), "name"),
    "another kind": (lambda _: replace(PROGRAM, kind="surrogate"), "kind"),
    "a parameter more": (lambda _: replace(PROGRAM, fixed=(("n", 1.0),)), "KeyError"),
}  # fmt: skip


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_fault_is_caught(plant: str) -> None:
    if plant == "memory" and not files.STATUS.exists():
        pytest.skip("measured on Linux")
    load, message = PLANTED[plant]
    before = signal.signal(signal.SIGVTALRM, files._stop)
    try:
        assert message in (files.fault(TEXT, load) or "nothing")
    finally:
        signal.signal(signal.SIGVTALRM, before)


def test_the_text_without_a_fault_is_taken() -> None:
    assert files.fault(TEXT) is None
    assert files.fault(TEXT[:-9]) == ""
