"""What int8 costs: the accuracy of a network in onnxruntime and TFLite, and the time of a lookup.

    python benchmarks/int8.py [--data digits | mnist.npz] [--epochs 8]

Trains with an activation that neither runtime has (mish, written in Python), exports by the command, and
compares the accuracy on the test images. Then it counts how many of the 256 codes are wrong where TFLite's
converter quantises the operations of an activation one by one, without the lookup.
Times, in onnxruntime on 131,072 numbers, are processor times of one thread: of the lookup, and of the same
function in float32 operations.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np

from actgrad.workbench.data import load
from actgrad.workbench.integers import onnx_models
from actgrad.workbench.quiet import quiet

SOURCE = """
import math
from actgrad import activation

@activation
def mish(x):
    return x * math.tanh(math.log(1 + math.exp(x)))
"""
NUMBERS = 131_072


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mish.py").write_text(SOURCE)
        sys.path.insert(0, name)
        accuracy(folder, options.data, options.epochs)
        without_lookup(folder)
        times(folder)


def accuracy(folder: Path, source: str, epochs: int) -> None:
    import keras
    from mish import mish

    data = load(source)
    keras.utils.set_random_seed(0)
    x, test = (a.reshape(len(a), *a.shape[1:3], 1) for a in (data.x_train, data.x_test))
    layers = [
        keras.layers.Conv2D(16, 3, strides=2 if x.shape[1] > 16 else 1, activation=mish),
        keras.layers.Conv2D(32, 3, strides=2, activation=mish),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation=mish),
        keras.layers.Dense(data.classes),
    ]
    model = keras.Sequential([keras.Input(x.shape[1:]), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss)
    model.fit(x, data.y_train, batch_size=128, epochs=epochs, verbose=0)
    model.save(folder / "model.keras")
    np.savez(folder / "calibration.npz", x=x[:500])
    right = model.predict(test, verbose=0).argmax(1) == data.y_test
    print(f"{data.name}: {len(test):,} test images, Keras in float32: {100 * right.mean():.2f} %")
    for target, run in (("onnx", onnx), ("tflite", tflite)):
        path = folder / f"model.{target}"
        command = ["--int8", "--model", "model.keras", "--data", "calibration.npz", "-o", path.name]
        line = [
            sys.executable,
            "-m",
            "actgrad.workbench.cli",
            "export",
            "mish.py:mish",
            "--to",
            target,
        ]
        environment = {n: v for n, v in os.environ.items() if n != "KERAS_BACKEND"}
        subprocess.run(
            [*line, *command], cwd=folder, check=True, env=environment, stdout=subprocess.DEVNULL
        )
        found = (run(path, test).argmax(1) == data.y_test).mean()
        change, size = 100 * (found - right.mean()), path.stat().st_size
        print(
            f"  {target} in int8: {100 * found:.2f} % ({change:+.2f} points), {size / 1000:.0f} kB"
        )


def onnx(path: Path, x: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def tflite(path: Path, x: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(str(path))
    given = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(given, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given, x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def without_lookup(folder: Path) -> None:
    import tensorflow as tf

    from actgrad import Activation, activations

    path, inputs = folder / "alone.tflite", np.linspace(-4, 4, 1000, dtype=np.float32)

    def converted(f: Activation) -> bytes:
        spec = tf.TensorSpec([None], tf.float32)
        function = tf.function(lambda x: f(x), input_signature=[spec])
        concrete = [function.get_concrete_function()]
        converter = tf.lite.TFLiteConverter.from_concrete_functions(concrete, function)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: [[inputs]]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return converter.convert()

    print("TFLite, the operations quantised one by one, wrong codes of 256:")
    for name in (
        "relu",
        "silu",
        "mish",
        "elu",
        "gaussian",
        "softplus",
        "spiky",
        "gelu",
        "softsign",
    ):
        f = getattr(activations, name)
        try:
            with quiet(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                path.write_bytes(converted(f))
                found = tflite(path, np.arange(-128, 128).astype(np.int8)).astype(int)
                ends = tf.lite.Interpreter(str(path))
        except Exception as error:
            print(f"  {name}: none, for it fails: {str(error).splitlines()[0]:.80}")
            continue
        pairs = [
            end["quantization"] for end in ends.get_input_details() + ends.get_output_details()
        ]
        apart = np.abs(found - np.asarray(f.table(*pairs, rounding="away")))
        print(f"  {name}: {np.count_nonzero(apart)}, by {apart.max()} at most")


def times(folder: Path) -> None:
    import onnxruntime
    from mish import mish

    from actgrad.workbench.export import write_onnx

    write_onnx(mish, folder / "float.onnx")
    onnx_models.write_activation(mish.quantise(-8.0, 8.0), folder / "lookup.onnx")
    random = np.random.default_rng(0)
    floats = random.normal(size=NUMBERS).astype(np.float32)
    codes = random.integers(-128, 128, NUMBERS).astype(np.int8)
    one = onnxruntime.SessionOptions()
    one.intra_op_num_threads = 1
    print(f"onnxruntime, one thread, {NUMBERS:,} numbers, processor time, the least of 50 calls:")
    for name, x in (("float", floats), ("lookup", codes)):
        session = onnxruntime.InferenceSession(folder / f"{name}.onnx", one)
        inputs = {session.get_inputs()[0].name: x}
        taken = []
        for _ in range(50):
            start = time.process_time()
            session.run(None, inputs)
            taken.append(time.process_time() - start)
        nodes = "float32 operations" if name == "float" else "int8 lookup"
        print(f"  {nodes}: {1e6 * min(taken):.0f} µs")


if __name__ == "__main__":
    main()
