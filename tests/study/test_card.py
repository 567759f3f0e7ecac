"""What a notebook shows of an activation: well-formed, escaped, complete, and never an exception."""

from __future__ import annotations

import base64
import io
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from actgrad import activation, activations, surrogates
from actgrad.errors import DerivativeMismatchWarning

image = pytest.importorskip("matplotlib.image")

VOID = {"br", "img", "hr"}


class Page(HTMLParser):
    """Text, tags and pictures; raises where tags do not match."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.words, self.pictures = [], set(), [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "img":
            self.pictures.append(dict(attributes)["src"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return "\n".join(self.words)


def shown(f):
    return Page(f._repr_html_())


@pytest.fixture(scope="module")
def spiky():
    @activation(derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0)
    def spiky(x):
        r = x % 1
        return r if r <= 0.5 else 0

    return spiky


def test_formula_verdict_numbers(spiky):
    text = shown(spiky).text
    assert "spiky(x) = x % 1 if x % 1 <= 0.5 else 0" in text
    assert "d/dx (given) = 1 if x % 1 <= 0.5 else 0" in text
    assert "exact except at kinks" in text
    assert f"{spiky.propagation().gain:.6g}" in text


def test_the_picture_is_a_picture(spiky):
    (source,) = shown(spiky).pictures
    head, _, data = source.partition(",")
    assert head == "data:image/png;base64"
    pixels = image.imread(io.BytesIO(base64.b64decode(data)))
    assert pixels.shape[0] > 200
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 10, "it is not blank"


def test_a_wrong_derivative_is_in_red():
    with pytest.warns(DerivativeMismatchWarning):
        f = activation(lambda x: x * x, name="f", derivative=lambda x: x)
    assert '<b style="color:#e5484d">WRONG</b>' in f._repr_html_()
    assert "#e5484d" not in activations.mish._repr_html_()


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "a & b"])
def test_a_name_is_text(name):
    page = shown(activation(lambda x: x if x > 0 else 0, name=name))
    assert "script" not in page.tags
    assert len(page.pictures) == 1
    assert page.text.startswith(f"{name}(x) = ")


def test_what_cannot_be_said_is_left_out_with_its_reason():
    two = shown(activation(lambda a, b: max(a * b, 0), name="two")).text
    assert "d/da = " in two
    assert "no propagation numbers: propagation needs an activation of one input" in two
    rule = activation(lambda x: max(x, 0), name="rule", gradient=lambda x, up: max(up, 0))
    assert "gradient by x (whole, given) = 0 if upstream < 0 else upstream" in shown(rule).text


def test_a_function_on_the_host_is_not_run():
    calls = []

    def costly(x):
        calls.append(x)
        return float(str(x))

    f = activation(costly, derivative=lambda x: 1.0, host=True)
    before = len(calls)
    assert "runs on the host" in shown(f).text
    assert len(calls) == before


def test_parameters_and_warnings():
    text = shown(surrogates.atan(alpha=3.0)).text
    assert "alpha=3)" in text
    step = activation(lambda x: 1.0 if x > 0 else 0.0, name="s", surrogate=lambda x: 100.0)
    assert "Multiply the surrogate by c = " in shown(step).text


def test_array_parameters():
    leaky = activation(lambda x, a=0.1: x if x > 0 else a * x, name="leaky")
    assert "a=[...]" in shown(leaky(a=np.array([0.1, 0.2, 0.3]))).text


def test_a_long_formula_is_cut():
    f = activation(lambda x: sum(x**i / (i + 1) for i in range(60)), name="long")
    words = [word for word in shown(f).words if "x **" in word]
    assert 0 < max(map(len, words)) < 500


def test_without_matplotlib(spiky, monkeypatch):
    from actgrad.study import plots

    plots._picture_class.cache_clear()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    page = shown(spiky)
    plots._picture_class.cache_clear()
    assert page.pictures == []
    assert "pip install 'actgrad[workbench]'" in page.text
    assert "exact except at kinks" in page.text


def test_in_a_terminal_it_is_plain(spiky):
    assert "<div" not in repr(spiky)
    assert repr(spiky).startswith("<activation spiky(x) = ")
