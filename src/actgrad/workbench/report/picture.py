"""A matplotlib figure as SVG inside the page: see-through, in the page's own colours and fonts."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What the drawings use -> a colour of the style sheet, which is another one in the dark.
_COLOURS = {
    "#000000": "--ink",
    "#333333": "--ink",
    "#ffffff": "--paper",
    "#0072b2": "--blue",
    "#d55e00": "--orange",
    "#009e73": "--green",
    "#cc79a7": "--pink",
    "#777777": "--grey",
    "#888888": "--grey",
    "#b0b0b0": "--line",
    "#e4e4e4": "--line",
}
_COLOUR = re.compile("|".join(_COLOURS), re.IGNORECASE)
_FONT = re.compile(r"font: (?:(?:normal|italic|bold|\d+) )*([\d.]+px)[^;\"]*")


@dataclass(frozen=True)
class Picture:
    """An `<svg>` with a name, what it shows in words, and a caption."""

    svg: object
    caption: str
    wide: bool = False
    """Whether a phone has to scroll it, because it cannot be read when it is that small."""


def picture(
    figure: Figure,
    name: str,
    about: str,
    caption: str,
    size: tuple[float, float] | None = (5.4, 3.9),
) -> Picture:
    """`name` is another one for each picture of a page; `about` says to who cannot see what it shows."""
    import matplotlib
    from markupsafe import Markup

    if size is not None:
        figure.set_size_inches(*size)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'(<image\b[^>]*?)\s+id="[^"]*"', r"\1", text
    )  # it says so twice for two of one size
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(|href=")#', rf"\g<1>#{name}-", text)
    text = _COLOUR.sub(lambda found: f"var({_COLOURS[found[0].lower()]})", text)
    text = _FONT.sub(r"font-size: \1; font-family: inherit", text)
    label = f'<svg role="img" aria-label="{escape(about)}"'
    wide = size is None and figure.get_size_inches()[0] > 8
    return Picture(Markup(text.replace("<svg", label, 1).strip()), caption, wide)


def panels(draw: Callable[[], Figure]) -> list[Figure]:
    """A figure of several drawings as several figures, so that a phone shows them one below the other."""
    from matplotlib.gridspec import GridSpec

    found = []
    for i in range(len(draw().axes)):
        figure = draw()
        figure.suptitle("")
        for j, axes in enumerate(list(figure.axes)):
            if i == j:
                axes.set_subplotspec(GridSpec(1, 1, figure=figure)[0])
            else:
                axes.remove()
        found.append(figure)
    return found
