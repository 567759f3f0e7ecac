"""A template and what it shows -> one HTML file, with nothing fetched and nothing left half."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import actgrad
from actgrad.common.text import installed, percent
from actgrad.errors import InputError, MissingFrameworkError
from actgrad.study.propagation import shown

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

_TYPESET: tuple[tuple[str, str], ...] = (
    (r"(?<![\w.])(-?\d+(?:\.\d+)?)e\+?(-?)0*(\d+)\b", r"\1·10<sup>\2\3</sup>"),
    (r"(?<![\w-])-(?=\d)", "−"),
    (r"\bfan_in\b", "<i>n</i><sub>in</sub>"),
    (r"\bg_([bcf])\b", r"<i>g</i><sub>\1</sub>"),
    (r"^q\+$", "<i>q</i><sub>+</sub>"),
    (r"\bE ([fs])(?![a-z])", r"E <i>\1</i>"),
    (r"\bchi\b(?= =|$)", "χ"),
    (r"\beta\b(?= =|$)", "η"),
    (r"--\w+( \w+)?", r'<span class="option">\g<0></span>'),
    (r"(?<=[a-z])\.(?=[a-z_])", ".<wbr>"),
)
"""What is replaced in the HTML of a text, in this order."""

_LIBRARIES = ("numpy", "tensorflow", "tensorflow-cpu", "keras", "torch", "jax")


def check_output(path: Path) -> None:
    """Raises `InputError` for a place to which no page can be written. Changes nothing."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--output {path}: a page ends in .html")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"--output {path}: it should be a file in a folder that exists")


def render(template: str, **content: object) -> str:
    """The page. Text is escaped; only what is `Markup` already goes in as it is."""
    from actgrad.workbench.report.code import STYLE

    content |= {"actgrad_version": actgrad.__version__, "versions": installed(*_LIBRARIES)}
    return str(_environment().get_template(template).render(**content, code_css=STYLE))


@cache
def _environment() -> jinja2.Environment:
    try:
        import jinja2
    except ModuleNotFoundError:
        raise MissingFrameworkError(
            "a report needs jinja2, which is not installed\n  pip install 'actgrad[workbench]'"
        ) from None
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("actgrad.workbench.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": number, "percent": percent, "points": points, "typeset": typeset}
    return found


def points(difference: float | None) -> str:
    """A difference of two shares in points of a per cent, with its sign; a dash for None.

    >>> points(0.0123), points(-0.002), points(-1e-9)
    ('+1.23', '−0.20', '0.00')
    """
    if difference is None:
        return "–"
    shown = round(100 * difference, 2) + 0.0
    return f"{shown:+.2f}".replace("-", "−") if shown else "0.00"


def typeset(text: str) -> Markup:
    """Plain text as HTML: its mathematics set as such, and no line break inside a command-line option.

    >>> print(typeset("weights of g_f / √fan_in; 2.5e-08"))
    weights of <i>g</i><sub>f</sub> / √<i>n</i><sub>in</sub>; 2.5·10<sup>−8</sup>
    """
    from markupsafe import Markup, escape

    html = str(escape(text)).replace("-inf", "−∞")
    for pattern, replacement in _TYPESET:
        html = re.sub(pattern, replacement, html)
    return Markup(html)


def number(value: float | None, digits: int = 4) -> str:
    """A number for a reader: short, with a real minus sign."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    return shown(value, digits).replace("-", "−")
