"""The number in what a function computes with, or a refusal of what is none."""

from __future__ import annotations

from typing import Any

import numpy as np

from actgrad.errors import TraceError
from actgrad.reading.refusal import HOST, brief, makes_complex, refuse


def plain_number(value: Any) -> float:
    if isinstance(value, (complex, np.complexfloating)):
        makes_complex(repr(value))
    if isinstance(value, (str, bytes)) or value is None:
        refuse(f"expected a number, and got {value!r}", "An activation computes with real numbers.")
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf
    except TraceError:
        raise
    except Exception:  # whatever a library's object raises when it is no number
        refuse(
            f"expected a number, and got {brief(value)}",
            "An activation computes with real numbers. " + HOST,
        )
