"""`actgrad study`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("typer")

from typer.testing import CliRunner

from actgrad.workbench.cli import app

from .conftest import ROOT

EXAMPLES = ROOT / "examples"
SQUARE = f"{EXAMPLES / 'square.py'}:square"


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["study", *map(str, arguments)])
    return result.exit_code, result.output


def test_json_is_the_same_as_in_python() -> None:
    code, text = run(SQUARE, "--depth", 4, "--weight-scale", 1.2, "--json")
    assert code == 0
    found = json.loads(text)
    assert found["propagation"]["eta"] == pytest.approx(2)
    assert found["propagation"]["gain"] == pytest.approx(3**-0.5)
    assert len(found["forecast"]["log_variance"]) == 4
    assert "at most 2 layers" in found["warnings"][0]
    assert found["pictures"] == []


def test_words_and_pictures(tmp_path: Path) -> None:
    code, text = run(SQUARE, "--output", tmp_path)
    assert code == 0
    names = ["square.png", "square_forecast.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    words = ("eta", "safe depth", "gradient rms", "! square", "Hermite", *names)
    assert [word for word in words if word not in text] == []


def test_a_sound_activation(tmp_path: Path) -> None:
    path = tmp_path / "relu.py"
    path.write_text("def relu(x):\n    return max(x, 0)\n", encoding="utf-8")
    code, text = run(f"{path}:relu", "-o", tmp_path, "--depth", 20)
    assert code == 0
    assert "Nothing to warn about in a network of 20 layers" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--output", "no/such/folder"), "a folder that exists"),
        (("--weight-scale", 0, "--json"), "weight_scale is above 0"),
        (("--depth", 0), "--depth"),
    ],
)
def test_what_cannot_be_used(options: tuple[object, ...], words: str) -> None:
    code, text = run(SQUARE, *options)
    assert code == 2
    assert words in text
