"""The pages in headless Chromium: no error, no request, no sideways scrolling, light and dark, by keyboard.

Accessibility by axe-core. Skipped, saying so, only where there is no Chromium.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from actgrad import activation
from actgrad.common.files import write_text
from actgrad.workbench.report import one, study
from actgrad.workbench.report.bench import bench
from actgrad.workbench.report.training import read
from tests.compare.synthetic import write_synthetic_study
from tests.report.conftest import chromium

if chromium() is None:
    pytest.skip(
        "no Chromium here: apt-get install chromium, playwright install chromium, or CHROMIUM=path",
        allow_module_level=True,
    )

PHONE, DESKTOP = (360, 740), (1280, 900)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, training: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")

    def made(f: Any, **options: Any) -> Path:
        path = folder / f"{f.name}.html"
        speed = bench(f, ["numpy"], 1024, 3)
        trainings = [options["training"]] if options else []
        write_text(path, one.report(f, one.facts(f), speed, trainings, "file.py:f"))
        return path

    spiky = activation(
        lambda x: x % 1 if x % 1 <= 0.5 else 0,
        derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0,
        name="spiky",
    )
    with pytest.warns(UserWarning, match="wrong_product"):
        wrong = activation(lambda a, b: a * b, derivative=lambda a, b: (b, b), name="wrong_product")
    comparison = folder / "comparison.html"
    study.write(write_synthetic_study(folder / "study"), comparison, Console(stderr=True))
    return {
        "one": made(spiky, training=read(training, spiky)),
        "two inputs": made(wrong),
        "comparison": comparison,
        "its activation": folder / "comparison" / "gelu.html",
    }


@dataclass
class Seen:
    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def look(browser: Any, pages: dict[str, Path]) -> Iterator[Callable[..., Seen]]:
    contexts = []

    def opened(name: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Seen:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
        )
        contexts.append(context)
        seen = Seen(context.new_page())
        seen.page.on("console", lambda message: seen.messages.append(message.text))
        seen.page.on("pageerror", lambda error: seen.messages.append(str(error)))
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.goto(pages[name].as_uri())
        return seen

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("name", ["one", "two inputs", "comparison", "its activation"])
def test_a_page(
    look: Callable[..., Seen], pages: dict[str, Path], name: str, size: Any, scheme: str
) -> None:
    seen = look(name, size, scheme)
    for summary in seen.page.query_selector_all("details:not([open]) > summary"):
        summary.click()
    assert seen.messages == []
    assert [url for url in seen.requests if not url.startswith("data:")] == [pages[name].as_uri()]
    width = seen.page.evaluate("document.documentElement.scrollWidth")
    assert width <= size[0], f"the page is {width} wide on a screen of {size[0]}"
    if size == DESKTOP:
        cut = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
        assert seen.page.evaluate(f"{cut}.map(e => e.getAttribute('aria-label'))") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["one", "comparison", "its activation"])
def test_accessible(look: Callable[..., Seen], name: str, scheme: str) -> None:
    """What axe-core finds, contrast among it: nothing, with every part open."""
    axe = pytest.importorskip("axe_core_python")
    seen = look(name, PHONE, scheme)
    for summary in seen.page.query_selector_all("details:not([open]) > summary"):
        summary.click()
    script = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    found = seen.page.evaluate(script + "\naxe.run(document, {resultTypes: ['violations']})")
    wrong = [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]]
    assert wrong == []


def brightness(color: str) -> float:
    return sum(map(float, re.findall(r"[\d.]+", color)[:3])) / 3


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
@pytest.mark.parametrize("what", ["body", ".drawing svg text", "pre.code"])
def test_light_and_dark(look: Callable[..., Seen], scheme: str, dark: bool, what: str) -> None:
    """The page follows the reader's setting, and so does the text inside a picture."""
    seen = look("one", scheme=scheme)
    style = f"getComputedStyle(document.querySelector('{what}'))"
    key = "fill" if "svg" in what else "backgroundColor"
    color = brightness(seen.page.evaluate(f"{style}.{key}"))
    assert (color < 128) is (dark if key == "backgroundColor" else not dark)


def test_by_keyboard(look: Callable[..., Seen]) -> None:
    """The first Tab offers to skip to the content; a framework's source opens with Enter."""
    page = look("one").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.focus("details:nth-of-type(2) > summary")
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('details:nth-of-type(2)').open")


def test_from_the_comparison_to_an_activation_and_back(look: Callable[..., Seen]) -> None:
    seen = look("comparison")
    seen.page.click("text=The page of gelu")
    assert seen.page.inner_text("h1") == "gelu"
    seen.page.click("text=Comparison of 3 activations")
    assert seen.page.inner_text("h1") == "relu, gelu, tanh"
    assert seen.messages == []


def test_headings_are_in_order(look: Callable[..., Seen]) -> None:
    found = look("one").page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])"
    )
    assert found[0] == 1
    assert found.count(1) == 1
    assert all(later <= before + 1 for before, later in itertools.pairwise(found))
