"""Private names of frameworks: each is in the table, is there, and no other is used."""

from __future__ import annotations

import ast
import importlib
import re
import warnings
from pathlib import Path

import pytest

from actgrad.common.private import HABITS, PRIVATE

PACKAGE = Path(__file__).parents[2] / "src" / "actgrad"
ALLOWED = 5
FRAMEWORKS = ("torch", "forward_ad", "tf", "keras", "jax", "jnp")


def used(text: str) -> set[str]:
    """What begins with one underscore and is taken from something that belongs to a framework."""
    found = set()
    tree = ast.parse(text)
    whole = {part: node for node in ast.walk(tree) for part in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            path = ast.unparse(node)
            if isinstance(whole.get(node), ast.Attribute):
                continue  # a part of a longer path
            if path.split(".")[0] in FRAMEWORKS and re.search(r"\._(?!_)", path):
                found.add(path)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                path = f"{node.module}.{name.name}"
                if path.split(".")[0] in FRAMEWORKS and re.search(r"\._(?!_)", path):
                    found.add(path)
    return found


def test_a_scripted_function_keeps_the_python_one():
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript itself
        assert torch.jit.script(doubled)._torchdynamo_inline is doubled


def doubled(x):
    return 2 * x


MODULES = [private for private in (*PRIVATE, *HABITS) if not private.name.startswith("torch.jit.")]


@pytest.mark.parametrize("private", MODULES, ids=lambda private: private.name)
def test_it_is_there(private):
    root, *path = private.name.split(".")
    found = pytest.importorskip(root)
    for i, name in enumerate(path):
        if hasattr(found, name):
            found = getattr(found, name)
            continue
        try:
            found = importlib.import_module(".".join([root, *path[: i + 1]]))
        except ImportError:
            pytest.fail(f"{private.name} is gone, so: {private.reason}")


def test_they_are_few():
    assert len(PRIVATE) <= ALLOWED


def test_pytorch_uses_no_other():
    names = {private.name.removeprefix("torch.autograd.") for private in PRIVATE}
    for file in sorted((PACKAGE / "frameworks" / "torch").glob("*.py")):
        text = file.read_text(encoding="utf-8")
        assert used(text) <= names, file.name


MENTIONED = re.compile(
    r"[\w.]*(?:\b_src\b|tensorflow\.python|_torchdynamo|torch\._(?!dynamo\b))[\w.]*"
)


def test_reading_mentions_no_other():
    """It knows what libraries make by public names; `torch._dynamo` is looked up to see if it is loaded."""
    found = set()
    for file in sorted((PACKAGE / "reading").rglob("*.py")):
        found |= set(MENTIONED.findall(file.read_text(encoding="utf-8")))
    assert found == {"_torchdynamo_inline"}


def test_one_more_would_be_seen():
    assert used("import torch\ntorch._C._dispatch_keys(x)") == {"torch._C._dispatch_keys"}
    assert used("from torch._inductor import config") == {"torch._inductor.config"}
    assert MENTIONED.findall('("jax._src.api", "vmap_f")') == ["jax._src.api"]
    assert not used("import torch\ntorch.nn.Module.__init__")
