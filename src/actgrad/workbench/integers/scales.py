"""What the command is told of scales, and the table that follows."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actgrad.activation import Activation
from actgrad.common.types import Array, Fields
from actgrad.errors import InputError
from actgrad.integers.scheme import Affine
from actgrad.integers.table import Table


@dataclass(frozen=True)
class Scales:
    """The options of `actgrad export` from which scales are chosen."""

    low: float | None = None
    high: float | None = None
    data: Path | None = None
    percentile: float = 100.0
    input: str | None = None
    output: str | None = None
    bits: int = 8
    signed: bool = True
    away: bool = False

    def table(self, f: Activation) -> Table:
        """The table of an activation. Raises `InputError` where the options do not make one."""
        given = {
            "--input-scale and --output-scale": self.input is not None or self.output is not None,
            "--low and --high": self.low is not None or self.high is not None,
            "--data": self.data is not None,
        }
        if sum(given.values()) != 1:
            said = [name for name, there in given.items() if there] or ["none of them"]
            raise InputError(f"give one of {', '.join(given)}, and there is {' and '.join(said)}")
        if self.percentile != 100.0 and self.data is None:
            raise InputError("--percentile goes with --data")
        integers: Fields = {"bits": self.bits, "signed": self.signed}
        integers["rounding"] = "away" if self.away else "even"
        if self.data is not None:
            return f.quantise(data=calibration(self.data), percentile=self.percentile, **integers)
        if self.input is None and self.output is None:
            if self.low is None or self.high is None:
                raise InputError("give both --low and --high")
            return f.quantise(self.low, self.high, **integers)
        pairs = _pair("--input-scale", self.input), _pair("--output-scale", self.output)
        return f.table(*pairs, **integers)


def _pair(option: str, text: str | None) -> Affine:
    if text is None:
        raise InputError("give both --input-scale and --output-scale")
    scale, _, zero_point = text.partition(",")
    try:
        return Affine(float(scale), int(zero_point or "0"))
    except ValueError as error:
        raise InputError(
            f"{option} {text}: it should be SCALE,ZERO_POINT, as in 0.05,-128"
        ) from error


def calibration(path: Path) -> Array:
    """The samples in an .npy file, or those called x, x_train or nothing else in an .npz file."""
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            array = found
        else:
            with found:
                array = found[_chosen(path, list(found))]
    except InputError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"--data {path}: not a NumPy file that can be read ({error})") from error
    if array.dtype.kind not in "fiu" or not array.size or not np.isfinite(array).all():
        raise InputError(f"--data {path}: it should hold finite numbers, and at least one")
    return np.asarray(array, np.float32)


def _chosen(path: Path, names: list[str]) -> str:
    for name in ("x", "x_train"):
        if name in names:
            return name
    if len(names) != 1:
        raise InputError(f"--data {path}: it should hold `x`, and holds {', '.join(names)}")
    return names[0]
