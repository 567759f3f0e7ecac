"""The reference shows the examples of docstrings as code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"^```pycon\n.*?^```$", re.MULTILINE | re.DOTALL)


def test_every_example_is_code() -> None:
    griffe = pytest.importorskip("griffe")
    shown = griffe.load_extensions(str(ROOT / "docs" / "doctests.py"))
    own, plain = (
        griffe.load("actgrad.activation", search_paths=[ROOT / "src"], extensions=each)
        for each in (shown, griffe.load_extensions())
    )
    asked = 0
    for name, member in own["Activation"].members.items():
        if member.docstring is not None and ">>> " in member.docstring.value:
            asked += 1
            assert ">>> " not in FENCED.sub("", member.docstring.value), name
            before = plain["Activation"].members[name].docstring.value
            lines = member.docstring.value.splitlines()
            assert [line for line in lines if "```" not in line] == before.splitlines()
    assert asked > 2
