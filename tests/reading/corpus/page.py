"""docs/what-is-read.md: `python -m tests.reading.corpus.page` measures it anew and writes it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tests.reading.corpus import functions
from tests.reading.corpus.functions import FUNCTIONS
from tests.reading.corpus.reading import AT_KINKS, REFUSED, RIGHT, find, outcome

PAGE = Path(__file__).parents[3] / "docs" / "what-is-read.md"

_HEAD = """# What is read

The elementwise functions of one argument that the libraries ship, and how actgrad reads each. A function
counts as read if its value and its derivative equal the library's own run, with the library's own
autograd where it has one, at {points} numbers: zeros, ties of rounding, kinks and large numbers among
them. What is not read is refused when the activation is defined, with a message that says why.

This page is generated: `python -m tests.reading.corpus.page`. A test compares it with what is read.

| Library | read | refused |
|---|---|---|
"""


def section(path: str, outcomes: dict[str, str]) -> str:
    by_kind = defaultdict(list)
    for name, kind in outcomes.items():
        by_kind[kind].append(f"`{name}`")
    lines = [f"## {path}", "", "Read: " + " ".join(by_kind[RIGHT] + by_kind[AT_KINKS]) + "."]
    for name in by_kind[AT_KINKS]:
        reason = functions.AT_KINKS.get(f"{path}.{name.strip('`')}", "")
        lines += ["", f"At its kink {name} has another derivative: {reason}."]
    if by_kind[REFUSED]:
        lines += ["", "Refused: " + " ".join(by_kind[REFUSED]) + "."]
    return "\n".join(lines) + "\n"


def read_names(text: str, path: str) -> set[str]:
    """The names that the page calls read."""
    part = text.split(f"\n## {path}\n")[1].split("\n## ")[0]
    return set(part.split("Read: ")[1].split("\n")[0].rstrip(".").replace("`", "").split())


def main() -> None:
    from actgrad.reading.witnesses.original import points

    table, sections = "", ""
    for path, names in FUNCTIONS.items():
        package = path.partition(".")[0]
        kinds = {}
        for name in sorted(set(names.split())):
            found = outcome(package, find(path, name))
            kinds[name] = found.kind
            if found.kind not in (RIGHT, REFUSED):
                print(f"{path}.{name}: {found.kind}: {found.detail}", flush=True)
        right = sum(kind in (RIGHT, AT_KINKS) for kind in kinds.values())
        refused = sum(kind == REFUSED for kind in kinds.values())
        table += f"| {path} | {right} | {refused} |\n"
        sections += "\n" + section(path, kinds)
    PAGE.write_text(_HEAD.format(points=len(points(1)[0])) + table + sections, encoding="utf-8")


if __name__ == "__main__":
    main()
