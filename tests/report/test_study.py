"""The page of a comparison, against the store that it is made from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("typer")
from typer.testing import CliRunner

from actgrad.activation import from_json
from actgrad.workbench.cli import app
from actgrad.workbench.compare import statistics, store
from actgrad.workbench.report import charts, study
from actgrad.workbench.report.page import percent
from tests.compare.synthetic import write_synthetic_study
from tests.report.test_one import Text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_study(tmp_path_factory.mktemp("comparison") / "study")


@pytest.fixture(scope="module")
def found(folder: Path) -> store.Study:
    return store.read(folder)


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    path = folder.parent / "report.html"
    study.write(folder, path)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Text:
    return Text(html)


def test_the_best_is_first(page: Text, found: store.Study) -> None:
    names = [line.activation for line in sorted(statistics.summarise(found), key=lambda x: -x.mean)]
    text = page.sections["place-0"]
    table = text[text.index("tuned to") :]
    assert names[0] == "gelu"
    assert sorted(names, key=table.index) == names


@pytest.mark.parametrize("name", ["relu", "gelu", "tanh"])
def test_mean_and_interval(page: Text, found: store.Study, name: str) -> None:
    (line,) = (x for x in statistics.summarise(found) if x.activation == name)
    assert percent(line.mean, 2) in page.sections["place-0"]
    assert f"{percent(line.low, 2)} to {percent(line.high, 2)}" in page.sections["place-0"]
    assert line.chosen in page.sections["place-0"]


def test_the_tuning_budget_is_stated(page: Text, found: store.Study) -> None:
    assert statistics.budget(found.design) in page.sections[""]


def test_a_failure_has_its_cause(page: Text) -> None:
    assert "1 run: the loss became nan in epoch 2, step 7 of 45" in page.sections["failures"]


def shortened(formula: str) -> str:
    """The page shows six digits of a long constant."""
    return re.sub(r"\d\.\d{10,}", lambda found: f"{float(found[0]):.6g}", formula)


@pytest.mark.parametrize("i", range(3))
def test_each_activation_has_its_part(page: Text, found: store.Study, i: int) -> None:
    chosen = found.design["activations"][i]
    f = from_json(chosen["program"])
    text = page.sections[f"activation-{i}"]
    assert chosen["label"] in text
    assert shortened(f"{chosen['label']}(x) = {f.program}") in text
    assert f.check().verdict in text
    assert "5 runs" in text


def test_each_seed_is_a_point(found: store.Study) -> None:
    lines = statistics.summarise(found)
    drawn = charts.ranking(lines).axes[0].lines
    points = [x for line in drawn if line.get_markerfacecolor() == "none" for x in line.get_xdata()]
    finished = [r.accuracy for r in found.rows if r.stage == store.FINAL and r.status == store.OK]
    assert sorted(points) == pytest.approx(sorted(finished))


def test_the_mean_curve_is_of_the_seeds_that_ended(found: store.Study) -> None:
    rows = [r for r in found.rows if r.stage == store.FINAL and r.activation == "gelu"]
    axes = charts.curves({"gelu": rows}, "curve", "").axes[0]
    (thick,) = (line for line in axes.lines if line.get_label() == "gelu")
    last = sum(r.accuracy for r in rows if r.status == store.OK) / 4
    assert thick.get_ydata()[-1] == pytest.approx(last)
    assert sum(line.get_marker() == "x" for line in axes.lines) == 1


def test_nothing_is_fetched_and_no_id_is_there_twice(page: Text) -> None:
    assert [a for a in page.addresses if not a.startswith(("#", "data:"))] == []
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_the_command(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    before = (folder / store.FILE).read_bytes()
    ended = CliRunner().invoke(app, ["report", str(folder), "--json", "--output", str(path)])
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert (told["runs"], told["failed"]) == (15, 1)
    assert told["ranking"][0]["activations"][0] == "gelu"
    assert path.exists()
    assert (folder / store.FILE).read_bytes() == before


def test_a_comparison_without_a_finished_run(found: store.Study, tmp_path: Path) -> None:
    tuning = [row for row in found.rows if row.stage == store.TUNE]
    store.write(tmp_path / "begun", found.design, tuning)
    ended = CliRunner().invoke(
        app, ["report", str(tmp_path / "begun"), "-o", str(tmp_path / "a.html")]
    )
    assert ended.exit_code == 2
    assert "no run has been finished" in ended.stderr
    assert not (tmp_path / "a.html").exists()


def test_a_program_that_cannot_be_read_leaves_the_others(
    found: store.Study, tmp_path: Path
) -> None:
    design = json.loads(json.dumps(found.design))
    design["activations"][0]["program"] = "{}"
    store.write(tmp_path / "s", design, found.rows)
    study.write(tmp_path / "s", tmp_path / "a.html")
    sections = Text((tmp_path / "a.html").read_text(encoding="utf-8")).sections
    assert "Its formula and numbers are not here" in sections["activation-0"]
    other = from_json(design["activations"][1]["program"])
    assert f"function{other.name}(x) = " in sections["activation-1"]
