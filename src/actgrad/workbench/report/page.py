"""A template and what it shows -> one HTML file, with nothing fetched and nothing left half."""

from __future__ import annotations

import math
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import actgrad
from actgrad.common.files import write_text
from actgrad.common.text import percent
from actgrad.errors import InputError, MissingFrameworkError

_LIBRARIES = ("numpy", "tensorflow", "tensorflow-cpu", "keras", "torch", "jax")


def check_output(path: Path) -> None:
    """Raises `InputError` for a place to which no page can be written. Changes nothing."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--output {path}: a page ends in .html")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"--output {path}: it should be a file in a folder that exists")


def write(path: Path, text: str) -> None:
    write_text(path, text)


def render(template: str, **content: object) -> str:
    """The page. Text is escaped; only what is `Markup` already goes in as it is."""
    from actgrad.workbench.report.code import STYLE

    return str(
        _environment()
        .get_template(template)
        .render(**content, actgrad_version=actgrad.__version__, versions=versions(), code_css=STYLE)
    )


@cache
def _environment() -> Any:
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
    found.filters |= {"number": number, "percent": percent, "points": points}
    return found


def versions() -> dict[str, str]:
    """Of the libraries that are installed; none of them is loaded for it."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name.removesuffix("-cpu")] = version(name)
        except PackageNotFoundError:
            continue
    return found


def points(difference: float) -> str:
    """A difference of two shares in points of a per cent, with its sign.

    >>> points(0.0123), points(-0.002), points(-1e-9)
    ('+1.23', '−0.20', '0.00')
    """
    shown = round(100 * difference, 2) + 0.0
    return f"{shown:+.2f}".replace("-", "−") if shown else "0.00"


def number(value: float | None, digits: int = 4) -> str:
    """A number for a reader: short, with a real minus sign."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    value = 0.0 if abs(value) < 1e-12 else value
    return f"{value:.{digits}g}".replace("-", "−")
