"""The head of docs/performance.md: a short table and a chart, made of the long tables below them.

    python benchmarks/chart.py docs/performance.md

`python benchmarks/run.py --write docs/performance.md` does this too.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- summary, from benchmarks/chart.py -->", "<!-- end of the summary -->"
TITLE = "### Beside the built-in"
ACTIVATIONS = {"spiky": "relu", "heaviside": "relu", "mish": "mish", "sigmoid_step": "gelu"}
"""What is drawn, and the built-in that it is measured beside."""
SIZE = "n = 1,048,576"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
HATCHES = ("", "//", "..", "xx")
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)

Ratios = dict[str, dict[str, float]]


def ratios(page: str) -> tuple[Ratios, Ratios]:
    """By mode and activation, of calls with a million numbers and of training steps."""
    lines = [line for line in page.partition(TITLE)[2].splitlines() if line.startswith("|")]
    names = [name.strip() for name in lines[0].strip("|").split("|")]
    calls: Ratios = {}
    steps: Ratios = {}
    for line in lines[2:]:
        cells = [
            cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")
        ]
        if len(cells) != len(names) or cells[0] == names[0]:
            break
        row = dict(zip(names, cells, strict=True))
        if ACTIVATIONS.get(row["activation"]) != row["built-in"]:
            continue
        for found, column in ((calls, SIZE), (steps, "a training step")):
            if number := re.search(r"\d+\.\d+", row[column]):
                mode = f"{row['framework']}, {row['mode']}"
                found.setdefault(mode, {})[row["activation"]] = float(number[0])
    return calls, steps


def table(found: Ratios, first: str) -> str:
    used = [name for name in ACTIVATIONS if any(name in row for row in found.values())]
    heads = [first, *(f"{name} / {ACTIVATIONS[name]}" for name in used)]
    rows = [
        [mode, *(f"{row[name]:.2f}" if name in row else "" for name in used)]
        for mode, row in found.items()
    ]
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def chart(found: Ratios) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.62 * len(found) + 1.4), layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(ACTIVATIONS)
    for i, (name, builtin) in enumerate(ACTIVATIONS.items()):
        places = [y + (i - 1.5) * height for y, row in enumerate(found.values()) if name in row]
        values = [row[name] for row in found.values() if name in row]
        look = {"color": COLOURS[i], "hatch": HATCHES[i], "edgecolor": "white", "linewidth": 0}
        widths = [value - 1 for value in values]  # bars begin at 1: left is faster, right is slower
        axes.barh(places, widths, height, left=1, label=f"{name} / {builtin}", **look)
    axes.axvline(1, color="#333333", linewidth=1.2)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.minorticks_off()
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_yticks(range(len(found)), list(found))
    axes.invert_yaxis()
    axes.set_xlabel("time relative to the built-in (left of 1: faster, right of 1: slower)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.4, -0.08))
    return figure


def write(path: Path) -> None:
    """Put the table and the picture of the page's own numbers at its head, if it has a place for them."""
    page = path.read_text(encoding="utf-8")
    if BEGIN not in page:
        return
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    calls, steps = ratios(page)
    picture = path.parent / "pictures" / "performance.png"
    chart(calls).savefig(picture, dpi=130)
    text = (
        f"{table(calls, 'mode')}\n\n![Time relative to the built-in, by framework and mode]"
        f"(pictures/{picture.name})\n\n{table(steps, 'a training step of')}"
    )
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
