"""Every code block of README.md and docs/ runs, and every example does.

A ```python block is run, a ```pycon block is a doctest; those of one document share their names, in
order, as a reader would type them.
"""

from __future__ import annotations

import doctest
import re
import runpy
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from actgrad import errors
from tests.process import python
from tests.sample import exhaustive_but

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = [
    path
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if BLOCK.search(path.read_text(encoding="utf-8"))
]
TUTORIALS = [path for path in DOCUMENTS if path.parent.name == "tutorials"]
"""They train networks, a minute for all; what they call has tests of its own."""
READ = [path for path in DOCUMENTS if path not in TUTORIALS or path.stem == "activations"]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SHORT = [path for path in EXAMPLES if path.name in ("spiky.py", "keras_derivative.py")]
OTHERS = [path for path in EXAMPLES if path not in SHORT]
IN_TURN = """
import contextlib, pathlib, runpy, sys
paths, sys.argv[1:] = sys.argv[1:], []
for path in paths:
    print("example", pathlib.Path(path).name)
    with contextlib.redirect_stderr(sys.stdout):
        runpy.run_path(path, run_name="__main__")
"""
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run(text: str, name: str) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS)
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(2))
        if block[1] == "python":
            exec(compile("\n" * line + block[2], name, "exec"), names)
        else:
            test = parser.get_doctest(block[2], names, name, name, line)
            said: list[str] = []
            runner.run(test, out=said.append, clear_globs=False)
            assert not said, "".join(said)
            names.update(test.globs)


@pytest.mark.parametrize(
    "path", exhaustive_but(READ, DOCUMENTS), ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_code_of_a_document(path: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        run(path.read_text(encoding="utf-8"), str(path))


def test_a_fault_in_a_block_is_caught() -> None:
    right = "```python\nx = 1\n```\n\n```pycon\n>>> x\n1\n```\n"
    run(right, "right.md")
    with pytest.raises(AssertionError, match="Expected"):
        run(right.replace("\n1\n", "\n2\n"), "wrong.md")
    with pytest.raises(NameError):
        run(right.replace("x = 1", "x = y"), "wrong.md")


def test_the_documents_are_there() -> None:
    assert {"README.md", "language.md", "errors.md", "index.md"} <= {p.name for p in DOCUMENTS}


@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.name)
def test_a_short_example_runs_and_says_something(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """In the process of the tests, where frameworks have started and a warning is an error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) > 3


@pytest.mark.exhaustive
def test_each_example_runs_and_says_something(tmp_path: Path) -> None:
    """In one process, since the start of TensorFlow takes longer than most of them."""
    said = python(
        "-c", IN_TURN, *OTHERS, folder=tmp_path, KERAS_BACKEND="tensorflow", MPLBACKEND="agg"
    )
    told = "\n".join(said).split("example ")[1:]
    assert len(told) == len(OTHERS)
    for path, text in zip(OTHERS, told, strict=True):
        assert text.startswith(path.name)
        assert len(text.splitlines()) > 3
        assert "Warning" not in text


@pytest.mark.parametrize(
    "kind",
    [kind for kind in vars(errors).values() if isinstance(kind, type)],
    ids=lambda kind: kind.__name__,
)
def test_every_error_has_its_cure(kind: type) -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert re.search(rf"`(actgrad\.errors\.)?{kind.__name__}`", text)
