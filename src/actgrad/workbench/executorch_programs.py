"""ExecuTorch programs (`.pte`), which its runtime runs by its portable kernels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

LONGEST = 65_536
"""Of a vector. ExecuTorch sets memory aside beforehand, so that there has to be a longest."""


def write(
    module: torch.nn.Module, arguments: tuple[object, ...], shapes: object, path: Path
) -> None:
    """Export a module for inference; `shapes` are those of `torch.export`, each with an end."""
    import torch
    from executorch.exir import to_edge

    with torch.no_grad():
        exported = torch.export.export(module.eval(), arguments, dynamic_shapes=shapes)
    path.write_bytes(to_edge(exported).to_executorch().buffer)
