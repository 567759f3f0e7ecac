"""Every framework prints or decomposes exactly the vocabulary, and its table is read without it."""

from __future__ import annotations

import json

import pytest

from tests.process import python

FRAMEWORKS = ["numpy_dialect", "jax_dialect", "tensorflow.dialect", "torch.dialect"]
# Standing in the way of each of these, so that a table that needs its framework cannot be read.
BLOCKED = ["tensorflow", "keras", "torch", "jax", "jaxlib"]

READ = """
import importlib, json, sys
module, blocked = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(blocked))
from actgrad.language.ops import OPS
dialect = importlib.import_module(module).DIALECT
decomposed = dict.fromkeys(dialect.lacks, "a rule")
print(json.dumps([list(OPS), decomposed | dialect.table]))
"""


def differences(vocabulary: list[str], table: dict[str, str]) -> list[str]:
    """What keeps a table from being a translation of the vocabulary, one sentence each."""
    return [
        *(f"missing: {name}" for name in vocabulary if name not in table),
        *(f"not in the vocabulary: {name}" for name in table if name not in vocabulary),
        *(
            f"no text for: {name}"
            for name, text in table.items()
            if not isinstance(text, str) or not text.strip()
        ),
    ]


def read(framework: str) -> tuple[list[str], dict[str, str]]:
    question = json.dumps([f"actgrad.frameworks.{framework}", BLOCKED])
    vocabulary, table = json.loads(python("-c", READ, question)[-1])
    return vocabulary, table


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_table_has_exactly_the_vocabulary(framework: str) -> None:
    vocabulary, table = read(framework)
    assert len(vocabulary) > 20
    assert differences(vocabulary, table) == []


def test_planted_faults_in_a_table_are_caught() -> None:
    vocabulary, table = read("numpy_dialect")
    victim = vocabulary[len(vocabulary) // 2]
    without = {name: text for name, text in table.items() if name != victim}
    assert differences(vocabulary, without) == [f"missing: {victim}"]
    assert differences(vocabulary, {**table, "sinn": "np.sin({0})"}) == [
        "not in the vocabulary: sinn"
    ]
    assert differences(vocabulary, {**table, victim: " "}) == [f"no text for: {victim}"]
