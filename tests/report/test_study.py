"""The page of a comparison, against the store that it is made from."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("typer")
from rich.console import Console
from typer.testing import CliRunner

from actgrad.activation import from_json
from actgrad.workbench.cli import app
from actgrad.workbench.compare import statistics, store
from actgrad.workbench.report import charts, one, study
from actgrad.workbench.report.member import file_names
from actgrad.workbench.report.page import percent, points
from tests.compare.synthetic import design, synthetic_rows, write, write_synthetic_study
from tests.report.test_one import Text, own_colours


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_study(tmp_path_factory.mktemp("comparison") / "study")


@pytest.fixture(scope="module")
def found(folder: Path) -> store.Study:
    return store.read(folder)


@pytest.fixture(scope="module")
def path(folder: Path) -> Path:
    path = folder.parent / "report.html"
    study.write(folder, path, Console(stderr=True))
    return path


@pytest.fixture(scope="module")
def page(path: Path) -> Text:
    return Text(path.read_text(encoding="utf-8"))


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
    chosen = found.design.activations[i]
    f = from_json(chosen.program)
    text = page.sections[f"activation-{i}"]
    assert chosen.label in text
    assert shortened(f"{chosen.label}(x) = {f.program}") in text
    assert f.check().verdict in text
    assert "5 runs" in text


def test_each_seed_is_a_point(found: store.Study) -> None:
    lines = statistics.summarise(found)
    drawn = charts.ranking([lines]).axes[0].lines
    seen = [x for line in drawn if line.get_markerfacecolor() == "none" for x in line.get_xdata()]
    finished = [r.accuracy for r in found.rows if r.stage == store.FINAL and r.status == store.OK]
    assert sorted(seen) == pytest.approx(sorted(finished))


def test_the_mean_curve_is_of_the_seeds_that_ended(found: store.Study) -> None:
    rows = [r for r in found.rows if r.stage == store.FINAL and r.activation == "gelu"]
    axes = charts.curves([{"gelu": rows}], "curve", "").axes[0]
    (thick,) = (line for line in axes.lines if line.get_label() == "gelu")
    last = sum(r.accuracy for r in rows if r.status == store.OK) / 4
    assert thick.get_ydata()[-1] == pytest.approx(last)
    assert sum(line.get_marker() == "x" for line in axes.lines) == 1


def test_many_long_names_leave_room_for_the_curves(found: store.Study) -> None:
    rows = [r for r in found.rows if r.stage == store.FINAL and r.activation == "gelu"]
    broken = [r for r in rows if r.status == store.FAILED]
    place = {f"leaky(slope={i}.123)": broken if i % 2 else rows for i in range(8)}
    figure = charts.curves([place], "curve", "test accuracy")
    figure.draw_without_rendering()
    box = figure.axes[0].get_position()
    assert box.width > 0.7
    assert box.height > 0.4


@pytest.mark.parametrize(
    ("name", "links"),
    [
        ("report.html", {"relu.html", "gelu.html", "tanh.html"}),
        ("report/relu.html", {"report.html"}),
        ("report/gelu.html", {"report.html"}),
        ("report/tanh.html", {"report.html"}),
    ],
)
def test_only_the_pages_are_linked_and_no_id_is_there_twice(
    path: Path, name: str, links: set[str]
) -> None:
    file = path.parent / name
    page = Text(file.read_text(encoding="utf-8"))
    outside = [a for a in page.addresses if not a.startswith(("#", "data:"))]
    assert {Path(a).name for a in outside} == links
    assert all((file.parent / a).is_file() for a in outside)
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def shown(path: Path, label: str) -> dict[str, str]:
    return Text((path.parent / "report" / f"{label}.html").read_text(encoding="utf-8")).sections


@pytest.mark.parametrize("label", ["relu", "gelu", "tanh"])
def test_the_page_of_an_activation(path: Path, found: store.Study, label: str) -> None:
    f = from_json(next(a.program for a in found.design.activations if a.label == label))
    sections = shown(path, label)
    assert "Comparison of 3 activations" in sections[""]
    assert shortened(f"{label}(x) = {f.program}") in sections[""]
    assert f.check().verdict in sections["verdict"]
    assert f"{f.propagation().chi:.6g}" in sections["propagation"]
    assert "saved_model" in sections["targets"]
    assert all(f.source(name).strip() in sections["source"] for name in one.FRAMEWORKS)
    assert "Not measured" in sections["speed"]
    (line,) = (x for x in statistics.summarise(found) if x.activation == label)
    assert f"mlp on digits, 5 seeds, {line.chosen}" in sections["training"]
    assert sections["training"].count("mlp on digits") == 1
    assert f"{100 * line.mean:.1f} ± " in sections["training"]


@pytest.mark.parametrize("file", ["report.html", "report/gelu.html"])
def test_nothing_in_a_picture_keeps_its_own_colour(path: Path, file: str) -> None:
    assert own_colours((path.parent / file).read_text(encoding="utf-8")) == set()


def test_what_the_difference_is_worth(path: Path, found: store.Study) -> None:
    (line,) = (x for x in statistics.summarise(found) if x.activation == "gelu")
    text = shown(path, "gelu")["training"]
    assert f": +{100 * line.difference:.2f} points beside relu, seed by seed" in text
    assert f"{points(line.difference_low)} to {points(line.difference_high)}" in text
    assert "1 of 5" in text
    assert "seed 4: the loss became nan in epoch 2, step 7 of 45" in text


def test_the_reference_is_beside_nothing(path: Path) -> None:
    assert shown(path, "relu")["training"].lstrip().startswith("Training\n")
    assert shown(path, "tanh")["training"].lstrip().startswith("Training beside relu\n")


HOST = """
from actgrad import activation

@activation(host=True, derivative=lambda x: 1.0)
def mine(x):
    return x + 1
"""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda file: None, None),
        (lambda file: file.write_text(HOST.replace("x + 1", "x + 2")), "another one than when"),
        (lambda file: file.unlink(), "no such file"),
    ],
    ids=["as it was", "changed", "gone"],
)
def test_a_host_activation_is_found_again_in_its_file(tmp_path: Path, change, why) -> None:
    file = tmp_path / "mine.py"
    file.write_text(HOST)
    plan = design(activations=("relu", f"{file}:mine"))
    rows = [row for row in synthetic_rows(design()) if row.activation == "relu"]
    write(tmp_path / "study", plan, rows)
    change(file)
    output = tmp_path / "page.html"
    pages = study.write(tmp_path / "study", output, Console(stderr=True))["pages"]
    own = Text(output.read_text(encoding="utf-8")).sections["activation-1"]
    assert (set(pages) == {"relu", "mine"}) is (why is None)
    assert "return x + 1" in own
    if why is None:
        text = Text(Path(pages["mine"]).read_text(encoding="utf-8")).sections
        assert "None of its runs has finished." in text["training"]
        assert "host" in text["source"]
    else:
        assert why in own


@pytest.mark.parametrize(
    ("labels", "files"),
    [
        (["relu", "spiky(slope=0.5)"], ["relu.html", "spiky_slope_0.5.html"]),
        (["a b", "a_b", "A_B"], ["a_b.html", "a_b-2.html", "A_B-3.html"]),
        (["../x", "..", "σ"], ["x.html", "activation.html", "σ.html"]),
    ],
)
def test_a_file_for_each(labels: list[str], files: list[str]) -> None:
    assert file_names(labels) == files


def test_the_command(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    before = (folder / store.FILE).read_bytes()
    ended = CliRunner().invoke(
        app, ["report", str(folder), "--no-bench", "--json", "--output", str(path)]
    )
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert (told["runs"], told["failed"]) == (15, 1)
    assert told["ranking"][0]["activations"][0] == "gelu"
    assert path.exists()
    assert told["pages"]["gelu"] == str(tmp_path / "page" / "gelu.html")
    assert all(Path(file).exists() for file in told["pages"].values())
    assert (folder / store.FILE).read_bytes() == before


def test_a_comparison_without_a_finished_run(found: store.Study, tmp_path: Path) -> None:
    tuning = [row for row in found.rows if row.stage == store.TUNE]
    write(tmp_path / "begun", found.design, tuning)
    ended = CliRunner().invoke(
        app, ["report", str(tmp_path / "begun"), "-o", str(tmp_path / "a.html")]
    )
    assert ended.exit_code == 2
    assert "no run has been finished" in ended.stderr
    assert not (tmp_path / "a.html").exists()


def test_a_file_where_the_pages_should_be(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    ended = CliRunner().invoke(app, ["report", str(folder), "-o", str(tmp_path / "a.html")])
    assert ended.exit_code == 2
    assert "a file" in ended.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_program_that_cannot_be_read_leaves_the_others(
    found: store.Study, tmp_path: Path
) -> None:
    first, *others = found.design.activations
    damaged = (replace(first, program="{}"), *others)
    write(tmp_path / "s", replace(found.design, activations=damaged), found.rows)
    study.write(tmp_path / "s", tmp_path / "a.html", Console(stderr=True))
    sections = Text((tmp_path / "a.html").read_text(encoding="utf-8")).sections
    assert "Formula and numbers are missing" in sections["activation-0"]
    other = from_json(others[0].program)
    assert f"function{other.name}(x) = " in sections["activation-1"]


def test_a_difference_is_in_points(page: Text, found: store.Study) -> None:
    lines = [x for x in statistics.summarise(found) if x.difference]
    assert lines
    for line in lines:
        sign = "+" if line.difference > 0 else "−"
        shown = f"{sign}{abs(100 * line.difference):.2f} points"
        assert shown in page.sections["place-0"] + page.sections.get("place-1", "")


def test_what_is_equal_as_shown_shares_a_rank(found: store.Study) -> None:
    first = statistics.summarise(found)[0]
    lines = [replace(first, mean=m) for m in (0.9, 0.80001, 0.80002, 0.7, None)]
    assert study.Ranking("n", "d", "k", "t", lines, []).ranks == [1, 2, 2, 4, None]
