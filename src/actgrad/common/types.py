"""Names of types that many files use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[..., Any]
"""Of numbers, or of a framework's tensors."""

Fields = dict[str, Any]
"""By name: what a JSON file holds, options, the values of parameters."""

Array = np.ndarray[Any, Any]
"""Of any shape and dtype."""
