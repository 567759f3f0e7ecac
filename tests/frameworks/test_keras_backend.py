"""Keras' choice of a backend, before Keras is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from actgrad.frameworks.keras_backend import keras_backend
from tests.process import python

ASKED = """
from actgrad.frameworks.keras_backend import keras_backend
before = keras_backend()
import keras
print(before, keras.config.backend())
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "tensorflow"),
        ('{"backend": "torch"}', "torch"),
        ("{}", "tensorflow"),
        ("[]", "tensorflow"),
        ("{", "tensorflow"),
    ],
)
def test_the_file_says(home: Path, text: str | None, expected: str) -> None:
    if text is not None:
        (home / "keras.json").write_text(text)
    assert keras_backend() == expected


def test_the_environment_says_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "keras.json").write_text('{"backend": "torch"}')
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert keras_backend() == "jax"


@pytest.mark.exhaustive
def test_keras_itself_agrees(home: Path) -> None:
    pytest.importorskip("jax")
    (home / "keras.json").write_text('{"backend": "jax"}')
    assert python("-c", ASKED)[-1].split() == ["jax", "jax"]
