"""Imports run one way, from file to file without a circle, and between folders by `RANKS`.

Read from the source by `ast`, so an import inside a function or under TYPE_CHECKING counts too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

# A file may import from rooms of a lower rank and from its own room. Two rooms of one rank do not
# know each other. "" is the package itself: `from actgrad import something public`.
RANKS = {
    "errors": 0,
    "common": 1,
    "language": 2,
    "reading": 3,
    "codegen": 3,
    "frameworks": 4,
    "study": 4,
    "integers": 5,
    "activation": 6,
    "catalogue": 7,
    "models": 7,
    "trainability": 8,
    "": 9,
    "workbench": 10,
    "__main__": 11,
}

# What a room may import besides the standard library and actgrad. A room that is not here is free.
THIRD_PARTY: dict[str, set[str]] = {
    "": {"numpy"},
    "errors": set(),
    "common": {"numpy"},  # the type of its arrays
    "language": {"numpy"},
    "reading": {"numpy"},
    "codegen": {"numpy"},
    "study": {"numpy", "matplotlib"},
    "integers": {"numpy", "matplotlib"},
    "activation": {"numpy"},
    "catalogue": {"numpy"},
}
# frameworks/X.py and X_*.py know X. Any other file there knows NumPy alone.
FRAMEWORKS = {
    "jax": {"jax", "jaxlib"},
    "tensorflow": {"tensorflow"},
    "torch": {"torch"},
    "keras": {"keras"},
}


@dataclass(frozen=True)
class Import:
    target: str
    line: int


def imports(source: str, module: str, *, package: bool = False) -> Iterator[Import]:
    """Every import in a file, with relative ones made absolute."""
    here = module.split(".") if package else module.split(".")[:-1]

    def absolute(name: str, level: int) -> str:
        base = here[: len(here) - level + 1] if level else []
        return ".".join([*base, *filter(None, [name])])

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node.module or "", node.level)
            for alias in node.names:
                # `from actgrad import study` names a folder; `from actgrad.language import ops` has
                # named it already.
                yield Import(f"{base}.{alias.name}", node.lineno)
        elif isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func)
            name = _leading_text(node.args[0])
            if called.split(".")[-1] in {"import_module", "__import__"} and name:
                level = len(name) - len(name.lstrip("."))
                yield Import(absolute(name.strip("."), level), node.lineno)


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
            if own != other and not RANKS[other] < RANKS[own]:
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


def circles(sources: Mapping[str, Path | str]) -> list[set[str]]:
    """The groups of modules that import each other, directly or by way of others."""
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        package = isinstance(source, Path) and source.name == "__init__.py"
        text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
        graph[module] = set()
        for item in imports(text, module, package=package):
            target = item.target
            while target and target not in sources:  # a name in a module
                target = target.rpartition(".")[0]
            if target and target != module:
                graph[module].add(target)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += graph[module]
        return seen

    reach = {module: reached(module) for module in graph}
    groups = {frozenset(m for m in reach[one] if one in reach[m]) for one in graph}
    return [set(group) for group in groups if group]


def test_no_circle_of_files() -> None:
    assert circles({module_name(path): path for path in FILES}) == []


# --- the checker itself, on planted faults ----------------------------------------------------

PLANTED = {
    "upward": ("actgrad.language.ops", "from actgrad.frameworks import torch"),
    "upward, by its module": ("actgrad.language.ops", "import actgrad.activation"),
    "upward, from the package": ("actgrad.codegen.emit", "from actgrad import activation"),
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
    "between neighbours": ("actgrad.models.swap", "from actgrad.catalogue import activations"),
    "study knows no activation": (
        "actgrad.study.variants",
        "def f():\n    from actgrad.activation import Activation",
    ),
    "frameworks know no study": (
        "actgrad.frameworks.keras",
        "def f():\n    from actgrad.study import check",
    ),
    "the package and the command": ("actgrad", "from actgrad.workbench import cli"),
    "common knows errors alone": ("actgrad.common.files", "from actgrad.language import ops"),
    "errors know nobody": ("actgrad.errors", "from actgrad.language import ops"),
    "a framework in the language": (
        "actgrad.reading.libraries.names",
        "def f():\n    import torch",
    ),
    "scipy in the language": ("actgrad.language.ops", "from scipy.special import erf"),
    "another framework": ("actgrad.frameworks.torch", "def f():\n    import tensorflow as tf"),
    "a framework in codegen": ("actgrad.codegen.emit", "import jax"),
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
    "study, from above": ("actgrad.activation", "from actgrad.study.studied import Studied"),
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


@pytest.mark.parametrize(
    "back",
    [
        "from actgrad.a import x",
        "from actgrad import a",
        "from .a import x",
        "import actgrad.a",
        "def f():\n    import actgrad.a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from actgrad.a import X",
        "import importlib\nimportlib.import_module('actgrad.a')",
    ],
)
def test_a_planted_circle_is_found(back: str) -> None:
    sources = {"actgrad.a": "from actgrad.b import y", "actgrad.b": "from actgrad.c import z"}
    assert circles(sources | {"actgrad.c": "import math"}) == []
    assert circles(sources | {"actgrad.c": back}) == [set(sources) | {"actgrad.c"}]
