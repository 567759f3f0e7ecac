"""int8 in ExecuTorch: an activation as one lookup."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from actgrad.integers.table import Table
from actgrad.workbench.export import LONGEST, write_executorch


def write_activation(table: Table, path: Path) -> None:
    """A program of codes: int8 to int8 (or of the table's type), of vectors."""
    import torch

    class Lookup(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("codes", torch.tensor(np.asarray(table)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.codes[x.to(torch.int64) - table.format.first]

    x = torch.tensor(np.zeros(5, table.format.dtype))
    length = torch.export.Dim("n", max=LONGEST)
    write_executorch(Lookup(), (x,), ({0: length},), path)
