"""Program files with random faults: `make test` tries 500, `make test-all` 2,000 and those of the largest
size that is allowed, `make fuzz` 20,000. See `files`."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actgrad.language import storage
from actgrad.language.expression import make, var
from actgrad.language.program import Program
from tests.fuzz import files
from tests.process import python

ROOT = Path(__file__).parents[2]
FILES = int(os.environ.get("ACTGRAD_FUZZ", "500"))
SEED = random.randrange(10**9) if "ACTGRAD_FUZZ" in os.environ else 0


@pytest.mark.parametrize(
    ("count", "share"), [(FILES, 0.1), pytest.param(4 * FILES, 1.0, marks=pytest.mark.exhaustive)]
)
def test_no_file_crashes_hangs_swells_or_loads_to_something_else(count: int, share: float) -> None:
    arguments = ("-m", "tests.fuzz.files", count, SEED, share)
    tally = json.loads(python(*arguments, folder=ROOT, timeout=1200 + count)[-1])
    print(f"files: {tally['loaded']:,} loaded, {tally['refused']:,} refused (seed {SEED})")
    assert tally["what"] == [], f"seed {SEED}"
    assert tally["loaded"] + tally["refused"] >= count
    assert tally["loaded"] > len(files.originals()) + count // 100


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
    "a loop": (_endless, "lines"),
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
    assert message in (files.fault(TEXT, load) or "nothing")


def test_the_text_without_a_fault_is_taken() -> None:
    assert files.fault(TEXT) is None
    assert files.fault(TEXT[:-9]) == ""
