"""What version 0.1 saved opens today, in a fresh process, with the values and gradients of then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.process import python
from tests.sample import exhaustive_but

HERE = Path(__file__).parent / "version_0_1"
# How many answers there are to compare with; fewer would mean that files were passed over.
ANSWERS = {"numpy": 149, "torch": 182, "tensorflow": 31, "jax": 7}


def wanted(place: str) -> Any:
    """The answer of version 0.1: `activations.json: NAME/ANSWER`, or `model.keras/ANSWER`."""
    opened, answer = place.rsplit("/", 1)
    file, _, name = opened.partition(": ")
    if name:
        return np.load(HERE / "activations.npz")[f"{name}/{answer}"]
    stem = {"state_dict.pt": "module"}.get(file, file.partition(".")[0])
    return np.load(HERE / f"{stem}.npz")[answer]


def found(framework: str, folder: Path) -> Iterator[tuple[str, Any]]:
    path = folder / "found.npz"
    python(HERE / "read.py", framework, path, folder=folder, KERAS_BACKEND="tensorflow")
    with np.load(path) as arrays:
        yield from arrays.items()


@pytest.mark.parametrize("framework", exhaustive_but(["numpy", "torch"], ANSWERS))
def test_it_opens_and_answers_as_then(framework: str, tmp_path: Path) -> None:
    pytest.importorskip(framework)
    if framework == "tensorflow":
        pytest.importorskip("keras")
    count = 0
    for place, array in found(framework, tmp_path):
        then = wanted(place.removeprefix(f"{framework} "))
        assert array.dtype == then.dtype, place
        tolerance = 1e-5 if array.dtype == np.float32 else 1e-13
        np.testing.assert_allclose(array, then, rtol=tolerance, atol=tolerance, err_msg=place)
        count += 1
    assert count == ANSWERS[framework]
