"""The store and what is told of it, without training."""

from __future__ import annotations

import io
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from actgrad.errors import InputError
from actgrad.workbench.compare import plots, show, store
from actgrad.workbench.compare.statistics import best_try, budget, summarise
from tests.compare.synthetic import design, synthetic_rows, write_synthetic_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> store.Study:
    return store.read(write_synthetic_study(tmp_path_factory.mktemp("study")))


def test_what_is_written_is_read(study: store.Study) -> None:
    plan = design()
    assert repr(study.rows) == repr(synthetic_rows(plan))  # repr: there is a nan
    assert study.design == plan


def test_a_run_is_counted_once(tmp_path: Path) -> None:
    plan = design()
    row = synthetic_rows(plan)[0]
    with store.Store(tmp_path / store.FILE, plan) as opened:
        assert opened.add(row) is True
        assert opened.add(replace(row, accuracy=0.1)) is False
        assert opened.rows() == [row]


def test_each_row_is_on_disk_at_once(tmp_path: Path) -> None:
    plan = design()
    row = synthetic_rows(plan)[0]
    with store.Store(tmp_path / store.FILE, plan) as opened:
        opened.add(row)
        assert store.read(tmp_path).rows == [row]  # by another connection


def test_other_tools_read_it(study: store.Study) -> None:
    db = sqlite3.connect(study.path)
    found = db.execute(
        "SELECT activation, count(*) FROM runs WHERE stage = 'final' AND status = 'ok' "
        "GROUP BY activation ORDER BY activation"
    ).fetchall()
    plan = json.loads(db.execute("SELECT json FROM design").fetchone()[0])
    db.close()
    assert [chosen["label"] for chosen in plan["activations"]] == ["relu", "gelu", "tanh"]
    assert found == [("gelu", 4), ("relu", 5), ("tanh", 5)]


@pytest.mark.parametrize(
    "change", [{"seeds": 6}, {"rates": (1e-3,)}, {"activations": ("relu", "gelu", "elu")}], ids=str
)
def test_another_design_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    write_synthetic_study(tmp_path)
    before = (tmp_path / store.FILE).read_bytes()
    with pytest.raises(InputError, match=f"another design\n  {next(iter(change))}:"):
        store.Store(tmp_path / store.FILE, design(**change))
    assert (tmp_path / store.FILE).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a database at all", None], ids=repr)
def test_what_is_no_comparison_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / store.FILE).write_bytes(content)
    with pytest.raises(InputError, match="comparison"):
        store.read(tmp_path)


def test_the_table_is_told_from_the_store(study: store.Study) -> None:
    console = Console(record=True, width=120, file=io.StringIO())
    show.tell(console, study)
    text = console.export_text()
    assert "gelu" in text.splitlines()[4], "the best is first"
    assert "4, 1 failed" in text
    assert "1 run failed: the loss became nan in epoch 2, step 7 of 45" in text
    assert budget(study.design) in text
    told = show.results(study)
    assert [line["activation"] for line in told["summary"]][0] == "gelu"
    assert told["runs"] == len(study.rows) == 21


def test_the_budget_is_stated(study: store.Study) -> None:
    assert "2 tries (adam 0.001, adam 0.0003), 1 seed each, 3 epochs" in budget(study.design)


def test_the_best_try_wins_and_one_that_failed_is_out(study: store.Study) -> None:
    plan = design()
    where = ("relu", "mlp", "digits")
    assert best_try(study.rows, plan.tries, where) == plan.tries[1]
    spoilt = [
        replace(r, status=store.FAILED) if r.stage == store.TUNE and r.rate == 3e-4 else r
        for r in study.rows
    ]
    assert best_try(spoilt, plan.tries, where) == plan.tries[0]
    assert best_try([], plan.tries, where) is None


def test_the_pictures(study: store.Study, tmp_path: Path) -> None:
    from matplotlib.image import imread

    for path in plots.draw(study, tmp_path):
        picture = imread(path)[..., :3]
        assert min(picture.shape[:2]) > 300
        assert np.unique(picture.reshape(-1, 3), axis=0).shape[0] > 20, "something is drawn"


def test_lines_are_paired_by_seed(study: store.Study) -> None:
    lines = {line.activation: line for line in summarise(study)}
    gelu, relu = lines["gelu"], lines["relu"]
    assert (gelu.n, gelu.failed, relu.n) == (4, 1, 5)
    both = [gelu.values[s] - relu.values[s] for s in (0, 1, 2, 3)]
    assert gelu.difference == pytest.approx(np.mean(both))
    assert relu.p is None
    assert relu.is_reference
