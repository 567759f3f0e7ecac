"""int8 in hls4ml: its layer `UnaryLUT` with our tables, in the C++ that it writes, compiled and run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

hls4ml = pytest.importorskip("hls4ml")
if shutil.which("g++") is None:
    pytest.skip("there is no C++ compiler on this machine", allow_module_level=True)

from hls4ml.converters.keras_v2_to_hls import get_layer_handlers
from hls4ml.model import ModelGraph
from hls4ml.model.types import FixedPrecisionType

from actgrad import activations
from tests.integers import oracle

# hls4ml says what it does by warnings and prints, and reads old names of others.
pytestmark = pytest.mark.filterwarnings("ignore")

TUTORIAL = Path(__file__).parents[2] / "docs/tutorials/integers.md"
CASES = [(name, scales) for name in oracle.FUNCTIONS for scales in range(3)]


def test_every_int8_code_of_thirty_functions(tmp_path: Path) -> None:
    """In one project; its numbers are the codes, of `ap_fixed<8, 8>`, so that any scales will do."""
    integers = "ap_fixed<8,8>"
    layers: list[dict[str, Any]] = [{"name": "x", "class_name": "InputLayer", "input_shape": [1]}]
    names = [f"{name}_{scales}" for name, scales in CASES]
    for layer, case in zip(names, CASES, strict=True):
        by_bits = np.roll(np.asarray(oracle.table(*case)), -128)
        found = {"name": layer, "class_name": "UnaryLUT", "inputs": ["x"], "outputs": [layer]}
        found |= {"activation": "unary_lut", "n_in": 1, "table_data": by_bits.astype(float)}
        layers.append(found | {"table_t": FixedPrecisionType(8, 8, True)})
    each = {name: {"Precision": {"result": integers, "table": integers}} for name in names}
    config = hls4ml.utils.config.create_config(output_dir=str(tmp_path / "hls"), backend="Vitis")
    precision = {"Model": {"Precision": {"default": integers}, "ReuseFactor": 1}}
    config |= {"IOType": "io_parallel", "HLSConfig": precision | {"LayerName": each}}
    model = ModelGraph.from_layer_list(config, layers, ["x"], names)
    model.compile()
    codes = np.arange(-128, 128, dtype=np.float32)[:, None]
    for case, found in zip(CASES, model.predict(codes), strict=True):
        np.testing.assert_array_equal(np.ravel(found), oracle.rounded(*case), str(case))


@pytest.mark.slow
def test_a_keras_model_is_converted_as_the_tutorial_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    device = activations.mish.quantised((2**-4, 0), (2**-5, 0)).layer(name="mish")
    layers = [keras.layers.Dense(8, name="hidden"), device, keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    for weight in model.trainable_weights:  # to what the fixed point holds
        weight.assign(np.round(keras.ops.convert_to_numpy(weight) * 32) / 32)
    (code,) = re.findall(
        r"^```py\n(.*?)^```$", TUTORIAL.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    names = {"mish": activations.mish, "np": np, "model": model}
    monkeypatch.chdir(tmp_path)
    try:
        exec(code, names)
    finally:
        get_layer_handlers().pop("ActivationLayer", None)
    project: Any = names["project"]
    project.compile()
    x = np.random.default_rng(0).integers(-192, 192, (1000, 4)).astype(np.float32) / 64
    wanted = model.predict(x, verbose=0)
    assert len(np.unique(wanted)) > 1000
    np.testing.assert_array_equal(project.predict(x), wanted)
