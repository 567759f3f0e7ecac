"""Cells as a table: for the terminal, and for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from speed.cells import HOLDS, NEAR, OVER, Cell

STYLE = {HOLDS: "green", NEAR: "yellow", OVER: "bold red", "": ""}


def _rows(cells: Sequence[Cell]) -> tuple[list[str], Iterator[tuple[tuple[str, ...], list[Cell]]]]:
    columns: dict[str, None] = {}
    rows: dict[tuple[str, ...], dict[str, Cell]] = {}
    for cell in cells:
        row = rows.setdefault(cell.labels, {})
        if cell.column:  # what could not be measured has none
            columns[cell.column] = None
            row[cell.column] = cell
    nothing = Cell((), "", "")
    return list(columns), (
        (labels, [found.get(column, nothing) for column in columns])
        for labels, found in rows.items()
    )


def rich_table(title: str, heads: Sequence[str], cells: Sequence[Cell]) -> Table:
    columns, rows = _rows(cells)
    table = Table(title=title, title_justify="left")
    for head in (*heads, *columns):
        table.add_column(head, overflow="fold")
    for labels, found in rows:
        texts = [Text(f"{cell.text} {cell.verdict}", STYLE[cell.verdict]) for cell in found]
        table.add_row(*map(Text, labels), *texts)
    return table


def markdown(title: str, note: str, heads: Sequence[str], cells: Sequence[Cell]) -> str:
    columns, rows = _rows(cells)
    names = [*heads, *columns]
    lines = [f"### {title}", "", note, "", f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for labels, found in rows:
        texts = [
            f"**{c.text}** {OVER}" if c.verdict == OVER else f"{c.text} {c.verdict}".strip()
            for c in found
        ]
        safe = [text.replace("|", "\\|") for text in (*labels, *texts)]
        lines.append(f"| {' | '.join(safe)} |")
    return "\n".join(lines)
