"""docs/modes.md names every mode that the tests have; `make modes` writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import modes

ANEW = "run `make modes`, which writes the page"


def missing(cells: list[dict[str, str]], text: str) -> list[dict[str, str]]:
    """The modes that the page does not have under their framework."""
    sections = {part.partition("\n")[0]: part for part in text.split("\n## ")}
    return [
        cell
        for cell in cells
        if f"\n| {modes._cell(cell['row'])} |" not in sections.get(cell["framework"], "")
    ]


def test_the_page_names_every_mode(request: pytest.FixtureRequest) -> None:
    """Of the tests that were collected with this one: in `make test`, all."""
    cells = [cell for item in request.session.items if (cell := modes.describe(item))]
    cells = [cell for cell in cells if cell["column"]]
    assert missing(cells, modes.PAGE.read_text(encoding="utf-8")) == [], ANEW


@pytest.mark.parametrize("framework", ["NumPy", "TensorFlow", "PyTorch", "JAX", "Keras on TensorFlow",
                                       "Keras on JAX", "Keras on PyTorch"])  # fmt: skip
def test_no_cell_fails(framework: str) -> None:
    text = modes.PAGE.read_text(encoding="utf-8")
    section = text.partition(f"\n## {framework}\n")[2].partition("\n## ")[0]
    assert section.count("✓") > 10, ANEW
    assert "fails" not in section


def line(**cell: Any) -> str:
    return json.dumps(
        {"framework": "JAX", "row": "jit", "column": "first", "outcome": "passed"} | cell
    )


def test_what_the_page_says_of_outcomes() -> None:
    lines = [
        line(),
        line(),
        line(column="value", outcome="skipped"),
        line(row="a | b", outcome="failed"),
    ]
    text = modes.tables([*lines, line(row="two devices", column="")], "Versions.")
    assert "\n| jit | not here | ✓ 2 |  |  |\n" in text
    assert "\n| a \\| b |  | **fails** (1 of 1) |  |  |\n" in text
    assert "\n| two devices | ✓ 1 |\n" in text
    cells = [{"framework": "JAX", "row": "jit"}, {"framework": "JAX", "row": "pmap"}]
    assert missing(cells, text) == cells[1:]
    assert missing([{"framework": "PyTorch", "row": "jit"}], text) != []
