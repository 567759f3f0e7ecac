"""What messages and JSON files share: the nearest known name, percentages, numbers that JSON lacks."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any


def nearest(given: object, known: Iterable[str]) -> str | None:
    """The known name that is most like a mistyped one, if any is.

    >>> nearest("betta", ["alpha", "beta"])
    'beta'
    """
    names, letters = [*known], sorted(str(given))
    swapped = [name for name in names if len(name) == len(letters) and sorted(name) == letters]
    return next(iter(swapped or difflib.get_close_matches(str(given), names, 1)), None)


def did_you_mean(given: object, known: Iterable[str], otherwise: str = "") -> str:
    """The question to a mistyped name, or `otherwise` if no known name is near.

    >>> did_you_mean("betta", ["alpha", "beta"])
    "did you mean 'beta'?"
    """
    near = nearest(given, known)
    return otherwise if near is None else f"did you mean {near!r}?"


def file_name(name: str) -> str:
    """A name as part of a file's name.

    >>> file_name("my spike (2)")
    'my_spike_2'
    """
    return re.sub(r"\W+", "_", name).strip("_") or "activation"


def installed(*names: str) -> dict[str, str]:
    """The versions of those packages that are installed, none of which is loaded for it.

    >>> "numpy" in installed("numpy", "no-such-package"), len(installed("no-such-package"))
    (True, 0)
    """
    from importlib import metadata  # takes milliseconds, and is asked for by reports alone

    found = {}
    for name in names:
        with suppress(metadata.PackageNotFoundError):
            found[name.removesuffix("-cpu")] = metadata.version(name)
    return found


def first_line(error: Exception) -> str:
    """What an error says, in one line; its name if it says nothing."""
    return str(error).partition("\n")[0] or type(error).__name__


def percent(value: float | None, digits: int = 1) -> str:
    """A share of 1 in percent, with a real minus sign; a dash for None.

    >>> percent(0.9125), percent(-0.00001, 2), percent(None)
    ('91.2 %', '0.00 %', '–')
    """
    if value is None:
        return "–"
    shown = round(100 * value, digits) + 0.0  # no minus sign for what is shown as zero
    return f"{shown:.{digits}f} %".replace("-", "−")


def finite_json(value: object, *, null: bool = False) -> Any:
    """The same lists, dicts and values with every nan and infinity as a text, or as `null`.

    JSON has no such numbers. Tuples become lists.

    >>> finite_json({"loss": (1.0, float("nan"))}), finite_json([float("-inf")], null=True)
    ({'loss': [1.0, 'nan']}, [None])
    """
    if isinstance(value, dict):
        return {key: finite_json(item, null=null) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_json(item, null=null) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if null else str(value)
    return value
