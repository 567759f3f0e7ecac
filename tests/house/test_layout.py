"""docs/layout.md lists every file of the package, and links in the documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(text: str) -> list[str]:
    """The links to files, without those to the net and within the page."""
    found = (target.split("#")[0] for target in LINK.findall(text))
    return [target for target in found if target and "://" not in target]


def broken(text: str, folder: Path) -> list[str]:
    return [target for target in links(text) if not (folder / target).exists()]


def unlisted(text: str, files: list[Path], folder: Path) -> list[str]:
    listed = {(folder / target).resolve() for target in links(text)}
    return [path.name for path in files if path.resolve() not in listed]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    assert broken(document.read_text(encoding="utf-8"), document.parent) == []


def test_the_layout_lists_every_file() -> None:
    package = ROOT / "src" / "actgrad"
    files = [p for p in sorted(package.rglob("*.py")) if p.name != "__init__.py"]
    assert files
    text = (ROOT / "docs" / "layout.md").read_text(encoding="utf-8")
    assert unlisted(text, files, ROOT / "docs") == []


def test_planted_faults_are_caught(tmp_path: Path) -> None:
    here = tmp_path / "here.py"
    here.touch()
    text = "[a](here.py) [b](gone.py#part) [c](https://example.org/x) [d](#below)"
    assert broken(text, tmp_path) == ["gone.py"]
    assert unlisted(text, [here, tmp_path / "new.py"], tmp_path) == ["new.py"]
