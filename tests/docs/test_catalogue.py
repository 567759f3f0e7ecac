"""The generated catalogue page has a section, and a picture, for each entry. `make docs` builds it whole."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from actgrad import activations, learnable, rows, surrogates

PATH = Path(__file__).parents[2] / "docs" / "catalogue.py"
NAMES = [
    *(f"activations-{name}" for name in activations.ENTRIES),
    *(f"learnable-{name}" for name in learnable.ENTRIES),
    *(f"surrogates-{name}" for name in surrogates.ENTRIES),
    *(f"rows-{name}" for name in rows.ENTRIES),
]


@pytest.fixture(scope="module")
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("catalogue_page", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sections(page: ModuleType) -> dict[str, tuple[str, object]]:
    return {name: (text, f) for text, name, f in page.sections() if name}


def test_every_entry_is_there_once(sections: dict[str, tuple[str, object]]) -> None:
    assert list(sections) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_section_runs_shows_and_names_its_source(sections: dict, name: str) -> None:
    text, f = sections[name]
    call = re.search(r"^`(.+)`$", text, re.MULTILINE)
    assert call is not None
    names = {
        "activations": activations,
        "learnable": learnable,
        "surrogates": surrogates,
        "rows": rows,
    }
    assert eval(call[1], names) == f
    assert f"](catalogue/{name}.png)" in text
    assert text.count("\n- ") >= 2, "the formula, and where it is from or what it is in a library"


def test_a_picture(page: ModuleType) -> None:
    pytest.importorskip("matplotlib")
    assert page.picture(activations.relu).startswith(b"\x89PNG")
