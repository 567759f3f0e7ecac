"""int8 in ExecuTorch's runtime: every code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("executorch")

from actgrad.workbench.integers import executorch_models
from tests.integers import oracle
from tests.sample import exhaustive_but

# Reading ExecuTorch's modules tells of what others will remove.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def check_every_code(name: str, scales: int, path: Path, **options: Any) -> None:
    from executorch.runtime import Runtime

    table = oracle.table(name, scales, **options)
    format = table.format
    executorch_models.write_activation(table, path)
    method = Runtime.get().load_program(path).load_method("forward")
    codes = np.arange(format.first, format.high + 1).astype(format.dtype)
    (found,) = method.execute([torch.tensor(codes)])
    assert found.numpy().dtype == format.dtype
    np.testing.assert_array_equal(found.numpy(), oracle.rounded(name, scales, **options))


CASES = [(name, scales) for name in oracle.FUNCTIONS for scales in range(3)]


@pytest.mark.parametrize("bits", exhaustive_but([8], [8, 16]))
@pytest.mark.parametrize("case", exhaustive_but([("gelu", 0)], CASES), ids=str)
def test_every_code(case: tuple[str, int], bits: int, tmp_path: Path) -> None:
    check_every_code(*case, tmp_path / "f.pte", bits=bits)


@pytest.mark.exhaustive
def test_every_uint8_code(tmp_path: Path) -> None:
    check_every_code("gelu", 0, tmp_path / "f.pte", signed=False)
