"""A Keras model in every form that Keras keeps, written under each backend and opened under each other,
in processes that have actgrad and nothing of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.process import python
from tests.sample import exhaustive_but

pytest.importorskip("keras")

HERE = Path(__file__).parent
FORMS = ("keras", "weights", "h5", "json", "config")
# Written under the first, opened under the second: each once on each side.
JOURNEYS = [("tensorflow", "torch"), ("torch", "jax"), ("jax", "tensorflow")]


def run(what: str, folder: Path, backend: str) -> None:
    python(HERE / "keras_model.py", what, folder, folder=folder, KERAS_BACKEND=backend)


@pytest.fixture(scope="module", params=exhaustive_but(JOURNEYS[:1], JOURNEYS), ids="-".join)
def journey(request: Any, tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("-".join(request.param))
    for backend in request.param:
        pytest.importorskip(backend)
    run("write", folder, request.param[0])
    run("open", folder, request.param[1])
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_values_weights_and_the_next_step_of_training(journey: Path, form: str) -> None:
    with np.load(journey / "wanted.npz") as wanted, np.load(journey / f"{form}.npz") as found:
        assert found.keys() == wanted.keys()
        for name in wanted:
            tolerance = 0 if name.startswith("w") else 1e-5
            np.testing.assert_allclose(
                found[name], wanted[name], rtol=tolerance, atol=tolerance, err_msg=name
            )


def test_the_step_was_a_step(journey: Path) -> None:
    """Every weight moved, and the bounded one not beyond its bounds."""
    with np.load(journey / "wanted.npz") as wanted:
        steps = {name: np.abs(a).max() for name, a in wanted.items() if name.startswith("step")}
        assert min(steps.values()) > 0
        bounded = [n for n in wanted if n.startswith("w") and np.all(wanted[n] == 1.5)]
        assert len(bounded) == 1
        moved = wanted[bounded[0]] + wanted[bounded[0].replace("w", "step")]
    assert np.all((moved >= 1.49 - 1e-6) & (moved <= 1.51 + 1e-6))
