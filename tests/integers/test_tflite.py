"""int8 in the TFLite interpreter: every code, and models that the converter quantises around a lookup."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
pytest.importorskip("typer")

from actgrad import activations
from actgrad.errors import ExportError
from actgrad.workbench.integers import tflite_models
from tests.integers import oracle
from tests.sample import exhaustive_but


def opened(path: Path, x: Any, all_tensors: bool = False) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it moves to another package
        interpreter = tf.lite.Interpreter(
            str(path),
            experimental_preserve_all_tensors=all_tensors,
            experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF
            if all_tensors
            else tf.lite.experimental.OpResolverType.AUTO,
        )
    (given,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(given["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], x)
    interpreter.invoke()
    return interpreter


def answer(path: Path, x: Any) -> Any:
    interpreter = opened(path, x)
    (given,) = interpreter.get_output_details()
    return interpreter.get_tensor(given["index"])


def check_every_code(name: str, scales: int, path: Path, **options: Any) -> None:
    table = oracle.table(name, scales, **options)
    format = table.format
    tflite_models.write_activation(table, path)
    found = answer(path, np.arange(format.first, format.high + 1).astype(format.dtype))
    assert found.dtype == format.dtype
    np.testing.assert_array_equal(found, oracle.rounded(name, scales, **options))


CASES = [(name, scales) for name in oracle.FUNCTIONS for scales in range(3)]


@pytest.mark.parametrize("case", exhaustive_but([("gelu", 0), ("sinc", 2)], CASES), ids=str)
def test_every_int8_code(case: tuple[str, int], tmp_path: Path) -> None:
    check_every_code(*case, tmp_path / "f.tflite")


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_int16_code(case: tuple[str, int], tmp_path: Path) -> None:
    check_every_code(*case, tmp_path / "f.tflite", bits=16)


def test_every_uint8_code(tmp_path: Path) -> None:
    check_every_code("gelu", 0, tmp_path / "f.tflite", signed=False)


def of_one_operation(operation: Any, reach: float, path: Path) -> None:
    """A model of one operation from int16 to int16, with the converter's scales for [-reach, reach]."""
    spec = tf.TensorSpec([None], tf.float32)
    f = tf.function(operation, input_signature=[spec])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([f.get_concrete_function()], f)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    set_ = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [set_]
    samples = np.linspace(-reach, reach, 1000, dtype=np.float32)
    converter.representative_dataset = lambda: [[samples]]
    converter.inference_input_type = converter.inference_output_type = tf.int16
    path.write_bytes(converter.convert())


OPERATIONS = {
    "exponential": (lambda x: tf.exp(x), 2.0),
    "gelu": (lambda x: tf.nn.gelu(x), 4.0),
    "sigmoid": (lambda x: tf.sigmoid(x), 8.0),
    "tanh": (lambda x: tf.tanh(x), 4.0),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_interpolation_is_nearer_than_an_operation_of_tflite(name: str, tmp_path: Path) -> None:
    """TFLite's int16 kernels of exp and gelu have 513 entries too; it has others of sigmoid and tanh."""
    path = tmp_path / "f.tflite"
    of_one_operation(*OPERATIONS[name], path)
    codes = np.arange(-32768, 32768).astype(np.int16)
    interpreter = opened(path, codes)
    ends = interpreter.get_input_details() + interpreter.get_output_details()
    input, output = (end["quantization"] for end in ends)
    found = interpreter.get_tensor(ends[1]["index"]).astype(int)
    table = getattr(activations, name).table(input, output, bits=16, rounding="away")
    reals = np.array([oracle.FLOATS[name](float(x)) for x in table.real(codes)])
    exact = np.clip(np.rint(reals / output[0]) + output[1], -32768, 32767)
    theirs, ours = (np.abs(y - exact) for y in (found, table.interpolated()))
    assert 0 < np.count_nonzero(ours) < np.count_nonzero(theirs)
    assert ours.max() <= theirs.max() < 10


def network(f: Any) -> Any:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(16), f.layer(), keras.layers.Dense(10, activation=f)]
    return keras.Sequential([keras.Input((8,)), *layers, keras.layers.Dense(3)])


def samples() -> Any:
    return np.random.default_rng(0).normal(size=(150, 8)).astype(np.float32)


@pytest.mark.slow
def test_a_quantised_model_has_exact_lookups(tmp_path: Path) -> None:
    if keras.config.backend() != "tensorflow":
        pytest.skip("Keras runs on another backend")
    data, path = samples(), tmp_path / "m.tflite"
    model = network(activations.gelu)
    wanted = model.predict(data, verbose=0)
    assert tflite_models.write_model(activations.gelu, model, data, path) == 2
    np.testing.assert_array_equal(model.predict(data, verbose=0), wanted)  # as it was before
    assert np.abs(answer(path, data) - wanted).max() < 0.06 * np.abs(wanted).max()
    check_lookups(path, data, 2)


def check_lookups(path: Path, data: Any, count: int) -> None:
    """What each lookup reads and writes while the model runs, against mpmath."""
    interpreter = opened(path, data, all_tensors=True)
    tensors = {each["index"]: each for each in interpreter.get_tensor_details()}
    names = [op["op_name"] for op in interpreter._get_ops_details()]
    assert names.count("GATHER") == count
    assert "BUCKETIZE" not in names
    assert names.count("DEQUANTIZE") == 1  # of the model's output
    for op in interpreter._get_ops_details():
        if op["op_name"] == "CAST":
            before = tensors[op["inputs"][0]]
        if op["op_name"] == "GATHER":
            after = tensors[op["outputs"][0]]
            read, wrote = (interpreter.get_tensor(t["index"]) for t in (before, after))
            (s, z), (t, y) = before["quantization"], after["quantization"]
            assert len(np.unique(read)) > 50
            for code in np.unique(read):
                x = (int(code) - z) * oracle.mpf(float(s))
                wanted = oracle.mp.nint(oracle.FUNCTIONS["gelu"](x) / oracle.mpf(float(t))) + y
                assert set(wrote[read == code]) == {min(max(int(wanted), -128), 127)}


def test_a_model_without_integers_is_refused(tmp_path: Path) -> None:
    f = tf.function(lambda x: x + 1.0, input_signature=[tf.TensorSpec([None], tf.float32)])
    concrete = [f.get_concrete_function()]
    content = tf.lite.TFLiteConverter.from_concrete_functions(concrete, f).convert()
    with pytest.raises(ExportError, match="has not quantised"):
        tflite_models._with_lookups(bytearray(content), activations.gelu, tmp_path / "m.tflite")


@pytest.mark.exhaustive
def test_a_keras_model_by_the_command(tmp_path: Path, command: Any) -> None:
    (tmp_path / "functions.py").write_text(
        "from actgrad import activations\ngelu = activations.gelu\n"
    )
    network(activations.gelu).save(tmp_path / "m.keras")
    np.savez(tmp_path / "x.npz", x=samples())
    options = [
        "--to",
        "tflite",
        "--int8",
        "--model",
        "m.keras",
        "--data",
        "x.npz",
        "-o",
        "m.tflite",
    ]
    done = command("export", "functions.py:gelu", *options, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["lookups"] == 2
    assert told["largest"] < 0.1 * told["range"]
    check_lookups(tmp_path / "m.tflite", samples(), 2)
