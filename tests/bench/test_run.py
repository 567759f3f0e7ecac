"""The machinery of `make bench`, in small: what it measures is asked of no test."""

import importlib
import json
import re
from pathlib import Path

import pytest

pytest.importorskip("rich")

ROOT = Path(__file__).parents[2]
PAGE = "# Page\n\nbefore\n\n<!-- from benchmarks/run.py -->\nold\n<!-- to here -->\n\nthe log\n"


@pytest.fixture
def run(monkeypatch):
    from benchmarks import run

    return run


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "page.md").write_text(PAGE)
    return tmp_path


def bench(run, folder, *arguments):
    to = ["--results", str(folder / "found.json"), "--write", str(folder / "page.md")]
    assert run.main(["--quick", *to, *arguments]) == 0
    return json.loads((folder / "found.json").read_text())


def test_a_section_from_its_process_to_the_page(run, folder, capsys):
    (found,) = bench(run, folder, "--only", "numpy", "handwritten")
    assert (found["section"], found["framework"], found["failed"]) == ("handwritten", "numpy", "")
    assert [cell["labels"][2] for cell in found["cells"]] == ["by hand", "callback"]
    page = (folder / "page.md").read_text()
    assert page.startswith("# Page\n\nbefore\n")
    assert page.endswith("-->\n\nthe log\n")
    assert "old" not in page
    ratio = r"\*{0,2}[\d.]+ \([\d.]+ to [\d.]+; 3\) / [\d.]+\*{0,2} [✓~✗]"
    assert len(re.findall(rf"^\| numpy \| forward \| [a-z ]+ \| {ratio} \|$", page, re.M)) == 2
    assert "Beside a gradient written by hand" in capsys.readouterr().out


def test_a_run_goes_on_where_another_ended(run, folder, monkeypatch):
    asked = []

    def answers(module, framework, quick, silence):
        asked.append((module, framework))
        if len(asked) == 1:
            yield {"failed": "no answer for 1 s"}
        else:
            yield {"cell": {"labels": [framework, "b"], "column": "c", "text": "7", "verdict": "✓"}}

    monkeypatch.setattr(run.process, "answers", answers)
    bench(run, folder, "--only", "python", "numpy", "latency")
    page = (folder / "page.md").read_text()
    assert "| python | not measured: no answer for 1 s |  |" in page
    assert "| numpy | b | 7 ✓ |" in page
    bench(run, folder, "--only", "python", "numpy", "latency", "--resume")
    assert asked == [("speed.latency", name) for name in ("python", "numpy", "python")]
    assert "not measured" not in (folder / "page.md").read_text()
    bench(run, folder, "--only", "numpy", "latency")
    assert len(asked) == 4
    assert "| python | b | 7 ✓ |" in (folder / "page.md").read_text()


def test_what_is_not_installed_is_a_row(run, folder, monkeypatch):
    monkeypatch.setitem(run.NEEDS, "numpy", ("no_such_package",))
    (found,) = bench(run, folder, "--only", "numpy", "scaling")
    assert found["failed"] == "no_such_package is not installed"
    assert (
        "| numpy | not measured: no_such_package is not installed |"
        in (folder / "page.md").read_text()
    )


ENDS = {
    "raises": ("raise ValueError('no such thing\\nmore')", "ValueError: no such thing"),
    "crashes": ("import os; os.write(2, b'oh no'); os._exit(3)", "the process ended with 3: oh no"),
    "hangs": ("import time; time.sleep(600)", "no answer for 3 s"),
}


@pytest.mark.parametrize("end", ENDS)
def test_how_a_process_ended_is_said_and_its_cells_are_kept(run, tmp_path, monkeypatch, end):
    code, cause = ENDS[end]
    (tmp_path / "broken_section.py").write_text(
        f"from speed.cells import Cell\ndef cells(framework, quick):\n"
        f"    yield Cell((framework,), 'a', '1')\n    {code}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    silence = 3.0 if end == "hangs" else 600.0
    said = list(run.process.answers("broken_section", "numpy", True, silence))
    assert said[-1] == {"failed": cause}
    assert all(each["cell"]["text"] == "1" for each in said[:-1])
    assert end == "hangs" or len(said) == 2


def test_three_verdicts():
    from actgrad.workbench.timing import Ratio

    importlib.import_module("benchmarks.run")
    cells = importlib.import_module("speed.cells")
    found = [
        cells.ratio_cell(("a",), "b", Ratio(1, 1, ratio, low, 2.0, 9), 1.1)
        for ratio, low in ((1.1, 0.9), (1.2, 1.0), (1.3, 1.2))
    ]
    assert [cell.verdict for cell in found] == ["✓", "~", "✗"]
    assert found[1].text == "1.20 (1.00 to 2.00; 9) / 1.1"


def test_the_page_has_every_section(run):
    page = (ROOT / "docs" / "performance.md").read_text()
    assert run.BEGIN in page
    assert run.END in page
    titles = {module.TITLE for module in run.SECTIONS.values()}
    assert {title for title in titles if f"### {title}\n" not in page} == set()
    assert "| fit, MLP |" in page


def test_the_head_of_the_page_is_made_of_its_tables(run):
    page = (ROOT / "docs" / "performance.md").read_text()
    calls, steps = run.chart.ratios(page)
    for found, mode in ((calls, "torch, eager"), (steps, "keras on jax, fit, MLP")):
        framework, _, rest = mode.partition(", ")
        row = re.search(rf"^\| {framework} \| {rest} \| mish .*$", page, re.MULTILINE)
        assert f"{found[mode]['mish']:.2f} (" in row[0]
        assert run.chart.table(found, "x").partition("\n")[2] in page
