"""On a full disk each command says which file and what to do, and nothing half-written stays."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from actgrad import activation
from actgrad.common.files import write_text
from actgrad.errors import WriteError
from actgrad.workbench import export, folder
from actgrad.workbench.compare import store
from tests.compare.synthetic import design, synthetic_rows

from .conftest import environment

f = activation(lambda x: x if x > 0 else 0.1 * x, name="leaky")


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Files of at most so many bytes: what a full disk is to this process alone.

    Python would keep the beginning of the bytecode of what is imported meanwhile, and read it ever after.
    """
    before, bytecode = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = bytecode
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "save": ("f.json", f.save),
    "plot": ("f.png", lambda path: f.plot(path=path)),
    "export to json": ("f.json", lambda path: export.export(f, "json", path)),
    "export to source": ("f.py", lambda path: export.export(f, "source", path, "numpy")),
    "report": ("f.html", lambda path: write_text(path, "<html>" * 100)),
    "checkpoint": ("f.npz", lambda path: folder.save_state(path, [np.zeros(100)], {"epochs": 1})),
    "results": ("f.json", lambda path: folder.write_json(path, {"a": list(range(100))})),
}


@pytest.mark.parametrize("what", WRITERS)
def test_what_cannot_be_written_leaves_nothing(what: str, tmp_path: Path) -> None:
    name, write = WRITERS[what]
    path = tmp_path / name
    with limited(100), pytest.raises(WriteError) as caught:
        write(path)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{path} cannot be written: ")
    assert "ulimit -f" in second
    assert os.listdir(tmp_path) == []
    write(path)
    assert os.listdir(tmp_path) == [name]


def test_an_export_to_torch(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    with limited(2000), pytest.raises(WriteError, match=r"(?s)f\.pt2 cannot be written.*ulimit -f"):
        export.export(f, "torch", tmp_path / "f.pt2")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("size", [100, 2500])
def test_a_disk_that_is_full_when_an_export_is_tried_out(size: int, tmp_path: Path) -> None:
    """For the points, which are given to a fresh process, and for its answers."""
    path, points = tmp_path / "f.py", [np.zeros(size // 5, np.float32)]

    def export_it() -> None:
        with export.drafted(path, "source") as draft:
            draft.write_text("leaky = leaky_gradient = lambda x: [x, x]")
            export.reopened(f, "source", draft, "numpy", points)

    with limited(size), pytest.raises(WriteError, match=r"(?s)f\.py cannot be written.*ulimit -f"):
        export_it()
    assert os.listdir(tmp_path) == []


def test_a_framework_that_fails_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file data/0")

    monkeypatch.setitem(export._WRITERS, "json", fails)
    with pytest.raises(export.ExportError, match="PytorchStreamWriter"):
        export.export(f, "json", tmp_path / "f.json")
    monkeypatch.setattr(export, "is_full", lambda _: True)
    with pytest.raises(WriteError, match=r"(?s)f\.json cannot be written.*Free some space"):
        export.export(f, "json", tmp_path / "f.json")
    assert os.listdir(tmp_path) == []


def test_a_comparison_keeps_the_runs_before(tmp_path: Path) -> None:
    plan = design()
    rows = synthetic_rows(plan)
    file = tmp_path / store.FILE
    with store.Store(file, plan) as first:
        first.add(rows[0])
        size = file.stat().st_size
        added = 1

        def fill() -> None:
            nonlocal added
            for row in rows[1:]:
                first.add(row)
                added += 1

        with limited(size), pytest.raises(WriteError, match=r"(?s)runs\.sqlite.*The same command"):
            fill()
        assert len(first.rows()) == added < len(rows)
    assert len(store.read(file).rows) == added
    assert os.listdir(tmp_path) == [store.FILE]
    with store.Store(file, plan) as again:
        assert [again.add(row) for row in rows] == [False] * added + [True] * (len(rows) - added)


def test_a_comparison_that_cannot_begin_leaves_nothing(tmp_path: Path, actgrad: Callable) -> None:
    done = actgrad(
        *("compare", "relu", "--seeds", "1", "--epochs", "1", "--output", tmp_path / "study"),
        env=environment() | {"PYTHONDONTWRITEBYTECODE": "1"},  # see `limited`
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert done.returncode == 2, done.stderr
    assert "runs.sqlite cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path / "study") == []
