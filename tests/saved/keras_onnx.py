"""A Keras model on PyTorch, exported to ONNX and run, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process import python

RUN = """
model = keras.Sequential([keras.Input((3,)), *layers])
x = np.random.default_rng(0).normal(size=(5, 3)).astype("f")
wanted = model.predict(x, verbose=0)
model.export("m.onnx", format="onnx", verbose=False)
session = onnxruntime.InferenceSession("m.onnx")
(found,) = session.run(None, {session.get_inputs()[0].name: x})
np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
print(found.shape)
"""


def shape_of(layers: str, folder: Path) -> str:
    """Of what the model of these layers computes in onnxruntime, as Keras does."""
    pytest.importorskip("keras")
    pytest.importorskip("onnxscript")
    script = f"import warnings\nimport keras, numpy as np, onnxruntime\n{layers}{RUN}"
    return python("-c", script, folder=folder, KERAS_BACKEND="torch")[-1]
