"""The data to train on: scikit-learn's digits, or an .npz file."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actgrad.common.text import did_you_mean
from actgrad.common.types import Array
from actgrad.errors import InputError, MissingFrameworkError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
MOST_CLASSES = 10_000


@dataclass(frozen=True)
class Data:
    """Samples as float32, whole numbers scaled to [0, 1]; labels as int64, from 0."""

    name: str
    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.x_train.shape[1:])

    @property
    def classes(self) -> int:
        return int(max(self.y_train.max(), self.y_test.max())) + 1

    @property
    def digest(self) -> str:
        """A fingerprint of the content."""
        found = hashlib.sha256()
        for name in ARRAYS:
            array = np.ascontiguousarray(getattr(self, name))
            found.update(repr(array.shape).encode() + array.data.cast("B"))
        return found.hexdigest()[:16]

    def __str__(self) -> str:
        sizes = f"{len(self.x_train):,} for training, {len(self.x_test):,} for testing"
        return f"{self.name}: {sizes}, {'×'.join(map(str, self.shape))}, {self.classes} classes"


def load(source: str) -> Data:
    """`digits`, or the path of an .npz file. Raises `InputError` for data that cannot be used."""
    if source == "digits":
        return digits()
    path = Path(source)
    if not path.exists():
        hint = did_you_mean(source, ["digits"], "--data is 'digits' or the path of an .npz file")
        raise InputError(f"no such data: {source}; {hint}")
    arrays = {name: array for name, array in _read(path).items() if name in ARRAYS}
    return _checked(source, arrays)


def digits() -> Data:
    """scikit-learn's 1,797 handwritten digits of 8 × 8, shuffled once and for all; a fifth for testing."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise MissingFrameworkError(
            "--data digits comes with scikit-learn, which is not installed\n"
            "  pip install 'actgrad[workbench]', or give --data FILE.npz"
        ) from error
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    x, y = found.images[order].astype(np.float32) / 16, found.target[order].astype(np.int64)
    cut = len(x) * 4 // 5
    return Data("digits", x[:cut], y[:cut], x[cut:], y[cut:])


def _read(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file. Pickled objects are not loaded: they could run code."""
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise InputError(
                    f"{path} holds one array (.npy), and four are needed\n{_expected()}"
                )
            return _four(path, file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or "not an .npz file"
        raise InputError(f"{path} cannot be read: {reason}\n{_expected()}") from error


def _four(path: Path, file: np.lib.npyio.NpzFile) -> dict[str, Array]:
    missing = [name for name in ARRAYS if name not in file.files]
    if missing:
        raise InputError(
            f"{path} has no {', '.join(missing)}; it has {', '.join(file.files) or 'nothing'}\n"
            f"{_expected()}"
        )
    arrays = {}
    for name in ARRAYS:
        try:
            arrays[name] = file[name]
        except Exception as error:  # zlib's, zipfile's, NumPy's: whatever the damage brings
            reason = (
                "it holds Python objects, which are not loaded because they could run code"
                if "pickle" in str(error)
                else f"it is damaged ({error})"
            )
            raise InputError(f"{name} in {path} cannot be used: {reason}\n{_expected()}") from error
    return arrays


def _expected() -> str:
    return (
        "  An .npz file is expected with numbers x_train (samples first), whole numbers y_train (one for "
        "each sample), and x_test, y_test:\n"
        "  np.savez('mine.npz', x_train=..., y_train=..., x_test=..., y_test=...)"
    )


def _checked(name: str, arrays: dict[str, Array]) -> Data:
    def wrong(what: str) -> InputError:
        return InputError(f"{name}: {what}\n{_expected()}")

    for part in ("train", "test"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if x.dtype.kind not in "fiub":
            raise wrong(f"x_{part} holds {x.dtype}, and should hold numbers")
        if x.ndim < 2 or not x.size:
            raise wrong(
                f"x_{part} has the shape {x.shape}, and should have samples along its first axis"
            )
        if y.ndim == 2 and y.shape[1] == 1:
            arrays[f"y_{part}"] = y = y[:, 0]
        if y.ndim != 1:
            one_hot = " (if it is one-hot: y.argmax(axis=1))" if y.ndim == 2 else ""
            raise wrong(
                f"y_{part} has the shape {y.shape}, and should have one label a sample{one_hot}"
            )
        if y.dtype.kind not in "iub":
            raise wrong(f"y_{part} holds {y.dtype}, and should hold whole numbers, classes from 0")
        if len(x) != len(y):
            raise wrong(f"x_{part} has {len(x):,} samples and y_{part} {len(y):,} labels")
        if y.min() < 0:
            raise wrong(f"y_{part} has the label {y.min()}, and should count classes from 0")
        if y.max() >= MOST_CLASSES:
            raise wrong(f"y_{part} has the label {y.max()}: more than {MOST_CLASSES:,} classes")
        bad = ~np.isfinite(x)
        if bad.any():
            first = int(np.flatnonzero(bad.reshape(len(x), -1).any(axis=1))[0])
            raise wrong(
                f"x_{part} has {bad.sum():,} nan or infinite values, the first in sample {first}"
            )
    if arrays["x_train"].shape[1:] != arrays["x_test"].shape[1:]:
        shapes = [arrays[f"x_{part}"].shape[1:] for part in ("train", "test")]
        raise wrong(f"a sample has the shape {shapes[0]} in x_train and {shapes[1]} in x_test")
    if arrays["y_train"].min() == arrays["y_train"].max():
        raise wrong(
            f"y_train has one class only, {arrays['y_train'][0]}: there is nothing to learn"
        )
    scale = _scale(arrays["x_train"])
    with np.errstate(over="ignore"):
        x_train, x_test = (arrays[f"x_{p}"].astype(np.float32) / scale for p in ("train", "test"))
    if not (np.isfinite(x_train).all() and np.isfinite(x_test).all()):
        raise wrong("some values are too large for float32")
    y_train, y_test = (arrays[f"y_{part}"].astype(np.int64) for part in ("train", "test"))
    return Data(name, x_train, y_train, x_test, y_test)


def _scale(x: Array) -> np.float32:
    """Whole numbers (pixels) are divided by their largest; other numbers stay as they are."""
    largest = np.abs(x.astype(np.float64)).max() if x.dtype.kind in "iu" else 1
    return np.float32(max(largest, 1))
