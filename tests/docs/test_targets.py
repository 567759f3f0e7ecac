"""docs/targets.md is made from the table of `f.supports()`, and is the one that would be made now."""

from __future__ import annotations

from pathlib import Path

from actgrad.study.targets import TARGETS
from actgrad.workbench.targets import page

DOCUMENT = Path(__file__).parents[2] / "docs" / "targets.md"


def test_the_page_is_current() -> None:
    written = DOCUMENT.read_text(encoding="utf-8")
    assert written == page(), "python -m actgrad.workbench.targets > docs/targets.md"


def test_every_target_is_there_with_every_reason() -> None:
    text = page()
    for target in TARGETS:
        assert f"| `{target.name}` |" in text
        for _, why in target.no:
            assert why in text
