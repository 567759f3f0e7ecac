"""The private names of TensorFlow that actgrad uses: that they still do what the table says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import actgrad
from actgrad.common.private import PRIVATE

tf = pytest.importorskip("tensorflow")

FRAMEWORKS = Path(actgrad.__file__).parent / "frameworks"
PATTERN = re.compile(
    r"(tensorflow|tf)\.(python|__internal__)[.\w]*|keras\.src[.\w]*|\._[a-z]\w*_graph"
)


def test_a_tape_or_an_accumulator_is_recognised():
    from tensorflow.python.eager import record

    x = tf.constant(1.0)
    assert not record.could_possibly_record()
    with tf.GradientTape():
        assert record.could_possibly_record()
    with tf.autodiff.ForwardAccumulator(x, x):
        assert record.could_possibly_record()
    assert not record.could_possibly_record()


def test_what_is_vectorised_is_traced_in_a_scope_of_this_name():
    from actgrad.frameworks.tensorflow.rule import is_vectorised

    seen = []

    def body(x):
        seen.append(is_vectorised())
        return x * 2.0

    tf.vectorized_map(body, tf.constant([1.0, 2.0]))
    assert seen
    assert all(seen)
    seen.clear()
    tf.function(body)(tf.constant(1.0))
    assert seen == [False]


def test_no_other_private_name_of_tensorflow_or_keras_is_used():
    allowed = {"tensorflow.python.eager"}
    assert any(row.name.startswith("tensorflow.python.eager.") for row in PRIVATE)
    found = {
        match.group()
        for path in FRAMEWORKS.rglob("*.py")
        if path.name != "private.py"
        for match in PATTERN.finditer(path.read_text(encoding="utf-8"))
    }
    assert found <= allowed
