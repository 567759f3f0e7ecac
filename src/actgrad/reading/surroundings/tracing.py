"""Reading apart from what traces the caller: torch.export, torch.jit.trace, torch.func, fake tensors.

While they trace, PyTorch's tensors have no numbers, and every operation is recorded. That holds for the one
thread, so the reading goes to another.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from types import ModuleType
from typing import TypeVar

Result = TypeVar("Result")


def untraced(function: Callable[..., Result], *arguments: object) -> Result:
    torch = sys.modules.get("torch")
    if torch is None or not _traces(torch):
        return function(*arguments)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, function, *arguments).result()


def _traces(torch: ModuleType) -> bool:
    if not hasattr(torch, "compiler"):  # half imported
        return False
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return True
    try:
        torch.zeros(1).numpy()
    except (RuntimeError, TypeError):
        return True
    return False
