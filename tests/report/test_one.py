"""What the page of one activation says, against the objects that it is made from."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from actgrad import activation, activations, rows
from actgrad.common.files import write_text
from actgrad.workbench.report import one
from actgrad.workbench.report.bench import bench
from actgrad.workbench.report.page import number, typeset
from actgrad.workbench.report.training import read

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


class Text(HTMLParser):
    """What a reader sees, section by section; and every address and id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {}
        self.here = ""
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.tags.append(tag)
        if tag == "section":
            self.here = given["aria-labelledby"] or ""
        self.addresses += [v or "" for k, v in attributes if k in ("src", "href", "xlink:href")]
        self.ids += [v or "" for k, v in attributes if k == "id"]

    def handle_data(self, data: str) -> None:
        self.sections[self.here] = self.sections.get(self.here, "") + data


@pytest.fixture(scope="module")
def leaky():
    @activation(derivative=lambda x: 1.0 if x > 0 else 0.1)
    def leaky(x):
        return x if x > 0 else 0.1 * x

    return leaky


@pytest.fixture(scope="module")
def facts(leaky):
    return one.facts(leaky, warned=["a sentence <b>that</b> was said when it was defined"])


@pytest.fixture(scope="module")
def html(leaky, facts) -> str:
    return one.report(leaky, facts, bench(leaky, ["numpy"], 4096, 5), [], "leaky.py:leaky")


@pytest.fixture(scope="module")
def page(html: str) -> Text:
    return Text(html)


def test_nothing_is_left_out(facts) -> None:
    assert facts.left_out == {}


def test_the_formula_is_the_program(page: Text, leaky) -> None:
    assert f"leaky(x) = {leaky.program}" in page.sections[""]
    assert str(leaky.program.partial("x")) in page.sections[""]


def test_the_function_is_shown_as_written(page: Text) -> None:
    assert "return x if x > 0 else 0.1 * x" in page.sections["function"]


@pytest.mark.parametrize("f", [activations.relu, activations.gelu, activations.square])
def test_a_function_of_the_catalogue_is_shown_without_its_entry(f) -> None:
    shown = re.sub("<[^>]*>", "", one.Facts(f).written)
    assert shown.startswith(f"def {f.name}(x")


def test_the_verdict_is_that_of_check(page: Text, leaky) -> None:
    found = leaky.check()
    assert found.verdict in page.sections["verdict"]
    assert f"{found.inputs[0].compared} points" in page.sections["verdict"]


@pytest.mark.parametrize("name", ["gain", "chi", "eta", "slope_moment", "dead"])
def test_a_propagation_number(page: Text, leaky, name: str) -> None:
    value = f"{getattr(leaky.propagation(), name):.6g}".replace("-", "−")
    assert value in page.sections["propagation"]


def test_a_warning_is_there_and_escaped(page: Text, html: str) -> None:
    assert "a sentence <b>that</b> was said" in page.sections["warnings"]
    assert "<b>that</b>" not in html


@pytest.mark.parametrize("framework", list(one.FRAMEWORKS))
def test_the_source_of_a_framework_is_whole(page: Text, leaky, framework: str) -> None:
    assert leaky.source(framework).strip() in page.sections["source"]


def test_the_source_is_coloured(html: str) -> None:
    assert '<span class="k">def</span>' in html


def test_a_target_and_its_reason(page: Text, leaky) -> None:
    row = leaky.supports()["onnx"]
    assert row.reason("derivative") in page.sections["targets"]
    assert row.target.opened in page.sections["targets"]


def test_equal_reasons_share_a_cell(leaky, facts) -> None:
    supports = leaky.supports()
    assert [n for n, _ in facts.cells(supports["pickle"])] == [1, 1, 1, 1]
    nowhere = activation(lambda x: x, host=True, derivative=1, name="hosted").supports()["onnx"]
    ((columns, why),) = facts.cells(nowhere)
    assert (columns, why) == (4, nowhere.reason("value"))
    assert [n for n, _ in facts.cells(supports["tflite"])] == [1, 2, 1]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("g_f", "<i>g</i><sub>f</sub>"),
        ("E s²", "E <i>s</i>²"),
        ("eta", "η"),
        ("eta: (eta = 2) beta = 1", "eta: (η = 2) beta = 1"),
        ("-6.42e-08 and 2.49e+05", "−6.42·10<sup>−8</sup> and 2.49·10<sup>5</sup>"),
        ("-inf", "−∞"),
        ("a<b, --to c", 'a&lt;b, <span class="option">--to c</span>'),
    ],
)
def test_mathematics_is_typeset(text: str, html: str) -> None:
    assert typeset(text) == html


def test_the_speed_is_measured(leaky) -> None:
    (row,) = bench(leaky, ["numpy"], 4096, 5).rows
    assert row.ours > 0
    assert row.low <= row.high
    assert row.ratio == pytest.approx(row.ours / row.builtin)


def test_a_framework_that_is_not_here_is_named(leaky) -> None:
    found = bench(leaky, ["nowhere_to_be_found"], 16, 2)
    assert found.missing == {"nowhere_to_be_found": "not installed"}


def test_without_a_training_it_says_how_to_get_one(page: Text) -> None:
    assert "actgrad report leaky.py:leaky --training run" in page.sections["training"]


def test_every_link_leads_into_the_page(page: Text) -> None:
    outside = [a for a in page.addresses if not a.startswith(("#", "data:"))]
    assert outside == []
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)


def test_no_id_is_there_twice(page: Text) -> None:
    assert len(page.ids) == len(set(page.ids))


def test_no_script(page: Text) -> None:
    assert "script" not in page.tags


def test_the_same_page_twice(leaky, facts, html: str) -> None:
    """But for the speed, which is measured."""
    first, second = (one.report(leaky, one.facts(leaky), None, [], "f") for _ in range(2))
    assert first == second


def test_each_picture_says_what_it_shows(html: str) -> None:
    labels = re.findall(r'<svg role="img" aria-label="([^"]+)"', html)
    assert len(labels) == html.count("<svg") == 3
    assert "kinks at 0" in labels[0]


def own_colours(html: str) -> set[str]:
    """Of the pictures. A colour that is not the style sheet's would not follow the reader into the dark."""
    drawings = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "<path" in drawings
    return set(re.findall(r"#[0-9a-f]{6}\b", drawings))


def test_nothing_in_a_picture_keeps_its_own_colour(html: str) -> None:
    assert own_colours(html) == set()


def test_a_training_beside_relu(training: Path) -> None:
    spiky = activation(lambda x: x % 1, name="spiky")
    found = read(training, spiky)
    assert found.summary["own"]["broke"] == 1
    assert found.summary["relu"]["accuracy"]["mean"] == pytest.approx(1 - 0.4 / 6)
    html = one.report(spiky, one.facts(spiky), None, [found], "f")
    shown = Text(html).sections["training"]
    assert "93.3 %" in shown
    assert "1 of 2" in shown
    assert "the loss became nan in epoch 4, step 7 of 45" in shown


@pytest.mark.parametrize(
    ("f", "what", "why"),
    [
        (activation(lambda a, b: a * b, name="product"), "propagation", "one input"),
        (activation(lambda x: x + 1, name="unread", host=True), "torch", "host"),
    ],
    ids=["two inputs", "on the host"],
)
def test_what_cannot_be_said_is_left_out_with_its_reason(f, what: str, why: str) -> None:
    found = one.facts(f)
    assert why in found.left_out[what]
    shown = Text(one.report(f, found, None, [], "f")).sections
    assert found.left_out[what] in shown["propagation" if what == "propagation" else "source"]


def test_a_wrong_derivative_is_red_and_has_its_places() -> None:
    with pytest.warns(UserWarning, match="wrong"):
        f = activation(lambda x: x * x, derivative=lambda x: x, name="wrong")
    found = one.facts(f)
    html = one.report(f, found, None, [], "f")
    assert '<p class="verdict bad">' in html
    assert number(found.check.worst[0].claimed) in Text(html).sections["verdict"]


def test_a_surrogate_is_called_one() -> None:
    f = activation(lambda x: 1 if x > 0 else 0, surrogate=lambda x: max(0, 1 - abs(x)), name="step")
    shown = Text(one.report(f, one.facts(f), None, [], "f")).sections
    assert "surrogate (declared)" in shown["verdict"]
    assert "derivative by x, a surrogate" in shown[""]


def test_a_function_of_a_row_has_all_but_propagation() -> None:
    f = rows.hardmax
    found = one.facts(f)
    assert set(found.left_out) == {"propagation"}
    shown = Text(one.report(f, found, bench(f, ["numpy"], repeats=3), [], "f")).sections
    assert "gradient by x, a surrogate" in shown[""]
    assert "the Jacobian in force" in shown["function"]
    assert "surrogate (declared)" in shown["verdict"]
    assert "propagation() is of a function of one number" in shown["propagation"]
    assert "forward" in shown["speed"]
    assert "SavedModel" in shown["targets"]


def test_a_page_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("the old one")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")
    assert path.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [path]
