"""What is packaged: extras, versions, types. `make package` builds it and tries it in clean environments."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

import actgrad

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINNED = {
    line.partition("==")[0]
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if "==" in line
}
PACKAGE = runpy.run_path(str(ROOT / ".ci" / "package"))
TRIED = {extra for key in PACKAGE["USE"] for extra in key.split(",")}
NOT_TRIED = {
    "onnx": "what PyTorch writes ONNX with, and nothing of actgrad; tests/saved uses it",
    "dask": "a cluster's side of the command; tests/compare uses it",
    "ray": "a cluster's side of the command; tests/compare uses it",
    "tensorflow": "the same as tensorflow-cpu, but for the build",
    "all": "the union of the others",
    "integrations": "other libraries that `make test-all` installs, to test with",
    "test": "what `make test` installs",
    "lint": "what `make lint` installs",
    "docs": "what `make docs` installs",
}


def name(requirement: str) -> str:
    return re.split(r"[\s<>=;\[]", requirement)[0]


def test_the_version_is_said_once() -> None:
    assert PROJECT["version"] == actgrad.__version__


def test_it_is_typed() -> None:
    assert (Path(actgrad.__file__).parent / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_the_core_needs_numpy_alone() -> None:
    assert [name(r) for r in PROJECT["dependencies"]] == ["numpy"]


def test_every_public_name_is_listed() -> None:
    versions = (ROOT / "docs" / "versioning.md").read_text(encoding="utf-8")
    first = versions.split("names of `actgrad` itself")[1].split("\n- ")[0]
    assert sorted(re.findall(r"`(\w+)`", first)) == sorted(actgrad.__all__)


def test_every_extra_is_tried_or_has_a_reason() -> None:
    assert EXTRAS.keys() == (TRIED - {"core", "oldest"}) | NOT_TRIED.keys()


def test_the_oldest_numpy_that_is_allowed_is_tried() -> None:
    (numpy,) = PROJECT["dependencies"]
    assert numpy.replace(">=", "==") + ".*" == PACKAGE["OLDEST"]


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_every_requirement_is_pinned(extra: str) -> None:
    wanted = {name(r) for r in EXTRAS[extra]} - {"actgrad"}
    assert wanted <= PINNED


def test_constraints_name_no_place() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9.-]+==[\w.+!]+", line)] == []
    assert lines == sorted(lines, key=name)


def test_the_command_is_where_the_entry_point_says() -> None:
    pytest.importorskip("typer")
    module, _, function = PROJECT["scripts"]["actgrad"].partition(":")
    import importlib

    assert callable(getattr(importlib.import_module(module), function))
