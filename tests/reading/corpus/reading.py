"""How a library's function is read, measured against the library's own run."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from actgrad.errors import ActgradError
from actgrad.language.derive import derive
from actgrad.language.expression import Expr, evaluate, plain
from actgrad.reading.define import define
from actgrad.reading.witnesses import native
from actgrad.reading.witnesses.original import IRREGULAR, points

RIGHT, AT_KINKS, REFUSED, WRONG, FOREIGN = "right", "right but kinks", "refused", "wrong", "foreign"


@dataclass(frozen=True)
class Outcome:
    kind: str
    detail: str = ""


def find(path: str, name: str) -> Any:
    return getattr(importlib.import_module(path), name)


def outcome(package: str, function: Callable[[Any], Any]) -> Outcome:
    """Read a function of one argument, and compare values and slopes with its library's own."""
    library, *_ = native.libraries(native.mentions(function).libraries)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = define(lambda x: function(x))
    except ActgradError as error:
        return Outcome(
            REFUSED, str(error).split("\n")[0].removeprefix("'<lambda>' cannot be read: ")
        )
    except Exception as error:
        return Outcome(FOREIGN, f"{type(error).__name__}: {error}")
    (column,) = points(1)
    run = library.run(function, [column], slopes=True)
    value = compared(program.value, column, run.outputs[0], run.narrow)
    if value.kind != RIGHT or run.slopes is None:
        return value if value.kind == RIGHT else Outcome(WRONG, f"value {value.detail}")
    # Beyond its domain a function has no slope, whatever its library's formula says.
    slopes = np.where(np.isfinite(run.outputs[0]), run.slopes[0], np.nan)
    slope = compared(plain(derive(program.value, "x")), column, slopes, run.narrow)
    return Outcome(slope.kind, f"slope {slope.detail}" if slope.detail else "")


def compared(root: Expr, column: Any, theirs: Any, narrow: bool) -> Outcome:
    ours = np.broadcast_to(evaluate(root, {"x": column}), column.shape)
    theirs = np.broadcast_to(theirs, column.shape)
    relative, absolute = (1e-4, 1e-5) if narrow else (1e-6, 1e-9)
    different = np.isfinite(theirs) & ~np.isclose(ours, theirs, relative, absolute)
    places = np.flatnonzero(different)
    if not len(places):
        return Outcome(RIGHT)
    i = places[0]
    detail = f"at {column[i]:g} is {ours[i]:.9g}, and the library's {theirs[i]:.9g}"
    return Outcome(WRONG if (places < len(IRREGULAR)).any() else AT_KINKS, detail)
