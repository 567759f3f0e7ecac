"""The example notebooks run from top to bottom in a kernel of their own, and show what they are to show."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

# The Jupyter libraries' own matters: their event loop, their sockets.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def executed(notebook: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run in this Python, whatever kernels the machine knows."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own, which shows pictures
    os.makedirs(folder, exist_ok=True)
    resources = {"metadata": {"path": str(folder)}}
    return nbclient.NotebookClient(notebook, timeout=1200, resources=resources).execute()


def shown(notebook: Any, kind: str) -> list[str]:
    """The data of this kind in the outputs of all cells."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    data = [output.get("data", {}) for cell in cells for output in cell.outputs]
    return [item[kind] for item in data if kind in item]


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["first_steps", "guided_backpropagation"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in cells] == [[]] * len(cells)
    assert [cell.execution_count for cell in cells] == [None] * len(cells)


def test_first_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = executed(read(FOLDER / "first_steps.ipynb"), tmp_path, monkeypatch)
    cards = shown(done, "text/html")
    verdicts = ["exact except at kinks", ">WRONG<", "surrogate (declared)", "exact"]
    assert len(cards) == len(verdicts)
    for card, verdict in zip(cards, verdicts, strict=True):
        assert verdict in card
        assert "data:image/png;base64," in card
    assert len(shown(done, "image/png")) == 1, "the plot"
    assert shown(done, "text/plain")[0].startswith("<activation spiky(x) = ")


@pytest.mark.exhaustive
def test_guided_backpropagation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorflow")
    pytest.importorskip("keras")
    pytest.importorskip("sklearn")
    path = FOLDER / "guided_backpropagation.ipynb"
    done = executed(read(path), tmp_path, monkeypatch)
    (card,) = shown(done, "text/html")
    assert "gradient by x (whole, given)" in card
    assert len(shown(done, "image/png")) == 1, "the saliency maps"


def test_a_failing_cell_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = read(FOLDER / "first_steps.ipynb")
    notebook.cells = [nbformat.v4.new_code_cell("from actgrad import nothing_like_it")]
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="nothing_like_it"):
        executed(notebook, tmp_path, monkeypatch)
