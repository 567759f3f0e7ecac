"""`actgrad export --to table | c | hex`, and `--int8`: what is written, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from actgrad.activation import Activation
from actgrad.common.files import atomically
from actgrad.errors import InputError
from actgrad.integers.table import Table
from actgrad.workbench.integers.scales import Scales


def write(
    f: Activation, target: str, path: Path, scales: Scales, interpolated: bool, as_json: bool
) -> None:
    """Write the table of an activation, and print its scales and its error."""
    if interpolated and target != "c":
        raise InputError(f"--interpolated goes with --to c, and not with --to {target}")
    table = scales.table(f)
    _WRITERS[target](table, path, interpolated)
    found = table.error(interpolated=interpolated)
    if as_json:
        print(json.dumps(_data(table, path) | {"error": vars(found)}, indent=2))
        return
    format = table.format
    print(f"{path}: {format.size:,} inputs of {format.dtype}, each output rounded once")
    print(f"  input: {table.input.formula('code')}")
    print(f"  output: {table.output.formula('code')}")
    print("\n".join(f"  {line}" for line in str(found).splitlines()))


def _data(table: Table, path: Path) -> dict[str, Any]:
    return {
        "path": str(path),
        "dtype": str(table.format.dtype),
        "input": dict(table.input._asdict()),
        "output": dict(table.output._asdict()),
    }


def _npz(table: Table, path: Path, _: bool) -> None:
    with atomically(path) as draft, draft.open("wb") as file:
        np.savez(
            file,
            codes=np.asarray(table),
            input_scale=np.float32(table.input.scale),
            input_zero_point=table.input.zero_point,
            output_scale=np.float32(table.output.scale),
            output_zero_point=table.output.zero_point,
        )


def _c(table: Table, path: Path, interpolated: bool) -> None:
    table.to_c(path, interpolated=interpolated)


def _hex(table: Table, path: Path, _: bool) -> None:
    table.to_hex(path)


_WRITERS = {"table": _npz, "c": _c, "hex": _hex}
TARGETS = frozenset(_WRITERS)
