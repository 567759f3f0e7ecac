"""Imports run one way: language < reading, codegen < frameworks < activation < catalogue, models,
study < trainability < workbench.

Read from the source by `ast`, so an import inside a function or under TYPE_CHECKING counts too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

# A file may import from rooms of a lower rank and from its own room. Two rooms of one rank do not
# know each other. "" is the package itself: `from actgrad import something public`.
RANKS = {
    "errors": 0,
    "language": 1,
    "reading": 2,
    "codegen": 2,
    "frameworks": 3,
    "activation": 4,
    "catalogue": 5,
    "study": 5,
    "models": 5,
    "trainability": 6,
    "": 7,
    "workbench": 8,
    "__main__": 9,
}

# (file, room that it may reach inside a function only): why
LAZY_EXCEPTIONS = {
    # f.check(), f.plot() and f.propagation() are methods of the object that a user holds. The study
    # is loaded when one of them is called, so an activation stays usable without it.
    ("actgrad.activation", "study"),
    # f.propagation().forecast(...)
    ("actgrad.study.propagation", "trainability"),
}

# What a room may import besides the standard library and actgrad. A room that is not here is free.
THIRD_PARTY: dict[str, set[str]] = {
    "": {"numpy"},
    "errors": set(),
    "language": {"numpy"},
    "reading": {"numpy"},
    "codegen": {"numpy"},
    "activation": {"numpy"},
    "catalogue": {"numpy"},
}
# frameworks/X.py and X_*.py know X. Any other file there knows NumPy alone.
FRAMEWORKS = {
    "jax": {"jax", "jaxlib"},
    "tensorflow": {"tensorflow"},
    "torch": {"torch"},
    "keras": {"keras"},
    "numpy": {"numba"},
}


@dataclass(frozen=True)
class Import:
    target: str
    line: int
    lazy: bool  # inside a function


def imports(source: str, module: str, *, package: bool = False) -> Iterator[Import]:
    """Every import in a file, with relative ones made absolute."""
    here = module.split(".") if package else module.split(".")[:-1]

    def absolute(name: str, level: int) -> str:
        base = here[: len(here) - level + 1] if level else []
        return ".".join([*base, *filter(None, [name])])

    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, lazy)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node.module or "", node.level)
            for alias in node.names:
                # `from actgrad import study` names a room; `from actgrad.language import ops` has
                # named it already.
                yield Import(f"{base}.{alias.name}", node.lineno, lazy)
        elif isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func)
            name = _leading_text(node.args[0])
            if called.split(".")[-1] in {"import_module", "__import__"} and name:
                level = len(name) - len(name.lstrip("."))
                yield Import(absolute(name.strip("."), level), node.lineno, lazy)
        inside = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    yield from visit(ast.parse(source), False)


def _leading_text(node: ast.expr) -> str | None:
    """The text, or the fixed text that an f-string begins with, of a call's argument."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def room(name: str) -> str:
    """The room of a dotted name in actgrad: "actgrad.language.ops" is in "language"."""
    first = name.split(".")[1] if "." in name else ""
    return first if first in RANKS else ""


def violations(source: str, module: str, *, package: bool = False) -> list[str]:
    """What in this file breaks the rules, one sentence each."""
    if "." in module and module.split(".")[1] not in RANKS:
        return [f"{module} has no place in the house: give it one in RANKS"]
    own = room(module)
    found = []
    for item in imports(source, module, package=package):
        top = item.target.split(".")[0]
        where = f"{module}:{item.line}: imports {item.target}"
        if top == "actgrad":
            other = room(item.target)
            allowed = own == other or RANKS[other] < RANKS[own]
            if not allowed and not (item.lazy and (module, other) in LAZY_EXCEPTIONS):
                found.append(f"{where}: {own or 'actgrad'} may not reach {other or 'actgrad'}")
        elif top not in sys.stdlib_module_names and not _third_party(module, own, top):
            found.append(f"{where}: {own or 'actgrad'} may not use {top}")
    return found


def _third_party(module: str, own: str, top: str) -> bool:
    if own == "frameworks":
        file = (module.split(".") + [""])[2].partition("_")[0]
        return top in {"numpy"} | FRAMEWORKS.get(file, set())
    return own not in THIRD_PARTY or top in THIRD_PARTY[own]


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = sorted((SOURCE / "actgrad").rglob("*.py"))


def test_there_are_files_to_read() -> None:
    assert len(FILES) > 5


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_run_one_way(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert violations(source, module_name(path), package=path.name == "__init__.py") == []


def test_every_exception_is_still_used() -> None:
    for module, other in LAZY_EXCEPTIONS:
        path = SOURCE.joinpath(*module.split(".")).with_suffix(".py")
        if path.exists() and (SOURCE / "actgrad" / other / "check.py").exists():
            reached = {room(i.target) for i in imports(path.read_text("utf-8"), module)}
            assert other in reached, f"{module} no longer reaches {other}: take the exception away"


# --- the checker itself, on planted faults ----------------------------------------------------

PLANTED = {
    "upward": ("actgrad.language.ops", "from actgrad.frameworks import torch"),
    "upward, by its module": ("actgrad.language.ops", "import actgrad.activation"),
    "upward, from the package": ("actgrad.codegen.source", "from actgrad import activation"),
    "upward, relative": ("actgrad.language.ops", "from ..study import check"),
    "upward, relative package": ("actgrad.language.ops", "from .. import study"),
    "upward, in a function": ("actgrad.language.ops", "def f():\n    import actgrad.frameworks"),
    "upward, for types": (
        "actgrad.language.ops",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from actgrad.activation import A",
    ),
    "upward, by name": (
        "actgrad.language.ops",
        "import importlib\nimportlib.import_module('actgrad.study.check')",
    ),
    "upward, by a made-up name": (
        "actgrad.language.ops",
        "import importlib\nimportlib.import_module(f'actgrad.frameworks.{name}')",
    ),
    "the public package": ("actgrad.catalogue.activations", "from actgrad import trainable"),
    "between neighbours": ("actgrad.study.check", "from actgrad.catalogue import activations"),
    "study, not in a method": ("actgrad.activation", "from actgrad.study import check"),
    "an exception for one file": (
        "actgrad.frameworks.keras",
        "def f():\n    from actgrad.study import check",
    ),
    "the package and the command": ("actgrad", "from actgrad.workbench import cli"),
    "errors know nobody": ("actgrad.errors", "from actgrad.language import ops"),
    "a framework in the language": ("actgrad.reading.names", "def f():\n    import torch"),
    "scipy in the language": ("actgrad.language.ops", "from scipy.special import erf"),
    "another framework": ("actgrad.frameworks.torch", "def f():\n    import tensorflow as tf"),
    "a framework in source.py": ("actgrad.codegen.source", "import jax"),
    "a framework in activation.py": ("actgrad.activation", "import keras"),
    "a new room": ("actgrad.attic", ""),
}

ALLOWED = {
    "down": ("actgrad.frameworks.torch", "from actgrad.language.program import Program"),
    "own room": ("actgrad.language.derive", "from .ops import OPS\nfrom . import rewrite"),
    "errors": ("actgrad.reading.paths", "from actgrad.errors import TraceError"),
    "errors, from the package": ("actgrad.reading.paths", "from actgrad import errors"),
    "own framework": ("actgrad.frameworks.torch", "def f():\n    import torch.autograd"),
    "numpy": ("actgrad.frameworks.numpy", "import math\nimport numpy as np"),
    "study, in a method": (
        "actgrad.activation",
        "class A:\n    def check(self):\n        from actgrad.study.check import check",
    ),
    "public names": ("actgrad", "from actgrad.activation import activation"),
    "the command": ("actgrad.workbench.cli", "import typer\nfrom actgrad import activation"),
}


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_violation_is_caught(case: str) -> None:
    module, source = PLANTED[case]
    assert len(violations(source, module, package=module == "actgrad")) == 1


@pytest.mark.parametrize("case", ALLOWED)
def test_what_is_allowed_is_not_caught(case: str) -> None:
    module, source = ALLOWED[case]
    assert violations(source, module, package=module == "actgrad") == []
