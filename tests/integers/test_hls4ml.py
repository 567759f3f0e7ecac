"""int8 in hls4ml: its layer `UnaryLUT` with our tables, in the C++ that it writes, compiled and run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

hls4ml = pytest.importorskip("hls4ml")
if shutil.which("g++") is None:
    pytest.skip("there is no C++ compiler on this machine", allow_module_level=True)

from hls4ml.converters.keras_v2_to_hls import get_layer_handlers, parse_default_keras_layer
from hls4ml.model import ModelGraph
from hls4ml.model.types import FixedPrecisionType

from actgrad import activations
from tests.integers import oracle

# hls4ml says what it does by warnings and prints, and reads old names of others.
pytestmark = pytest.mark.filterwarnings("ignore")

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
def test_a_keras_model_as_the_tutorial_converts_it(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    (input, output) = (2**-4, 0), (2**-5, 0)
    device, table = (
        make(input, output) for make in (activations.gelu.quantised, activations.gelu.table)
    )
    layers = [
        keras.layers.Dense(8, name="hidden"),
        device.layer(name="gelu"),
        keras.layers.Dense(3),
    ]
    model = keras.Sequential([keras.Input((4,)), *layers])
    for weight in model.trainable_weights:
        weight.assign(np.round(keras.ops.convert_to_numpy(weight) * 32) / 32)

    def lookup(layer: Any, inputs: Any, shapes: Any, reader: Any) -> Any:
        found = parse_default_keras_layer(layer, inputs)
        found |= {"class_name": "UnaryLUT", "activation": "unary_lut", "n_in": shapes[0][-1]}
        values = np.roll(table.dequantised(table), -128)
        found |= {"table_data": values, "table_t": FixedPrecisionType(8, 3, True)}
        return found, shapes[0]

    hls4ml.converters.register_keras_v2_layer_handler("ActivationLayer", lookup)
    try:
        precision = {
            "hidden": {"Precision": {"result": "ap_fixed<8,4,AP_RND_CONV,AP_SAT>"}},
            "gelu": {"Precision": {"result": "ap_fixed<8,3>", "table": "ap_fixed<8,3>"}},
        }
        config = {"Model": {"Precision": {"default": "ap_fixed<24,10>"}, "ReuseFactor": 1}}
        converted = hls4ml.converters.convert_from_keras_model(
            model,
            hls_config=config | {"LayerName": precision},
            output_dir=str(tmp_path / "hls"),
            backend="Vitis",
        )
    finally:
        del get_layer_handlers()["ActivationLayer"]
    converted.compile()
    x = np.random.default_rng(0).integers(-192, 192, (1000, 4)).astype(np.float32) / 64
    wanted = model.predict(x, verbose=0)
    assert len(np.unique(wanted)) > 1000
    np.testing.assert_array_equal(converted.predict(x), wanted)
