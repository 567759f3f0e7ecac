"""docs/layout.md draws every folder, each file says what it does, and links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "actgrad"
FILES = sorted(PACKAGE.rglob("*.py"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(text: str) -> list[str]:
    """The links to files, without those to the net and within the page."""
    found = (target.split("#")[0] for target in LINK.findall(text))
    return [target for target in found if target and "://" not in target]


def broken(text: str, folder: Path) -> list[str]:
    made = ROOT / "docs" / "catalogue.md"  # by docs/catalogue.py, for the site
    places = [(target, (folder / target).resolve()) for target in links(text)]
    return [target for target, place in places if not place.exists() and place != made]


def drawn(text: str) -> set[str]:
    """The folders of the tree in docs/layout.md, as paths within the package."""
    tree = text.partition("src/actgrad/\n")[2].partition("```")[0]
    found, above = set(), [""]
    for line in tree.splitlines():
        name = line.split()[0] if line.split() else ""
        depth = (len(line) - len(line.lstrip())) // 4
        if name.endswith("/") and depth:
            above[depth:] = [f"{above[depth - 1]}{name}"]
            found.add(above[depth])
    return found


def hooks():
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    assert broken(document.read_text(encoding="utf-8"), document.parent) == []


def test_the_tree_draws_every_folder() -> None:
    folders = {f"{p.parent.relative_to(PACKAGE).as_posix()}/" for p in PACKAGE.rglob("__init__.py")}
    assert drawn((ROOT / "docs" / "layout.md").read_text(encoding="utf-8")) == folders - {"./"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_file_says_first_what_it_does(path: Path) -> None:
    first = hooks().first_line(path)
    assert 10 < len(first) < 200
    assert first.endswith((".", ":", "`"))


MOST_LINES = 450


def too_long(files: list[Path]) -> list[str]:
    counts = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    return [f"{name}: {count} lines" for name, count in counts.items() if count > MOST_LINES]


def test_no_file_is_too_long_to_read() -> None:
    assert too_long(FILES) == []


def test_the_site_lists_every_file() -> None:
    listed = {target for target in links(hooks().files_by_folder())}
    expected = {f"../{p.relative_to(ROOT).as_posix()}" for p in FILES if p.name != "__init__.py"}
    assert listed == expected


def test_planted_faults_are_caught(tmp_path: Path) -> None:
    here = tmp_path / "here.py"
    here.touch()
    (tmp_path / "long.py").write_text("x\n" * (MOST_LINES + 1))
    assert too_long([here, tmp_path / "long.py"]) == ["long.py: 451 lines"]
    text = "[a](here.py) [b](gone.py#part) [c](https://example.org/x) [d](#below)"
    assert broken(text, tmp_path) == ["gone.py"]
    tree = "src/actgrad/\n    a/  x\n        b/\n    c.py  d/\n    e/\n```"
    assert drawn(tree) == {"a/", "a/b/", "e/"}
