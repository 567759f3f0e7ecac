"""docs/targets.md is made from the table of `f.supports()`, and is the one that would be made now."""

from __future__ import annotations

import runpy
from pathlib import Path

from actgrad.study.targets import TARGETS

DOCUMENT = Path(__file__).parents[2] / "docs" / "targets.md"
page = runpy.run_path(str(DOCUMENT.with_suffix(".py")))["page"]


def test_the_page_is_current() -> None:
    written = DOCUMENT.read_text(encoding="utf-8")
    assert written == page(), "python docs/targets.py > docs/targets.md"


def test_every_target_is_there_with_every_reason() -> None:
    text = page()
    for target in TARGETS:
        assert f"| `{target.name}` |" in text
        for why in target.no.values():
            assert why in text
