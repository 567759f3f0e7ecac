"""Opens what `actgrad export` wrote, and writes down its values and gradients.

Run as a file, in a process of its own, in which actgrad cannot be imported unless the target needs it (so
nothing of actgrad is imported here):

    python -P reopen.py TARGET ARTEFACT FRAMEWORK NAME POINTS.npz ANSWERS.npz
"""

import sys
from typing import Any

import numpy as np

artefact = framework = name = ""
inputs: list[np.ndarray] = []


class Absent:
    """As in an environment without actgrad."""

    @staticmethod
    def find_spec(name, path, target=None):
        if name.partition(".")[0] == "actgrad":
            raise ModuleNotFoundError(name)


def by_numpy(function, gradient):
    return function(*inputs), gradient(*inputs)[: len(inputs)]


def by_tensorflow(function, weights=()):
    import tensorflow as tf

    tensors = [tf.constant(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    return value, tape.gradient(value, list(weights) or tensors)


def by_torch(function):
    import torch

    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    value = function(*tensors)
    try:
        value.sum().backward()
    except RuntimeError:  # it refuses to be trained
        return value.detach(), []
    return value.detach(), [t.grad for t in tensors if t.grad is not None]


def by_jax(function):
    import jax

    def total(*arrays):
        return function(*arrays).sum()

    places = tuple(range(len(inputs)))
    return function(*inputs), jax.grad(total, places)(*map(jax.numpy.asarray, inputs))


def of_json():
    import actgrad

    f = actgrad.load(artefact)
    if f.program.gradient or f.program.axis is not None:
        return f(*inputs), []
    slopes = f.derivative if isinstance(f.derivative, tuple) else (f.derivative,)
    return f(*inputs), [slope(*inputs) for slope in slopes]


def of_source():
    import runpy

    names = runpy.run_path(artefact)
    public = (
        f"{name}_" if f"{name}_" in names else name
    )  # another name where the framework's text has this
    function = names[public]
    if framework == "numpy":
        return by_numpy(function, names[f"{public}_gradient"])
    return {"tensorflow": by_tensorflow, "torch": by_torch, "jax": by_jax}[framework](function)


def of_saved_model():
    import tensorflow as tf

    model = tf.saved_model.load(artefact)
    if hasattr(model, "serve"):
        return by_tensorflow(model.serve, model.trainable_variables)
    return by_tensorflow(model)


def of_tflite():
    import warnings

    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(model_path=artefact)
    details = sorted(interpreter.get_input_details(), key=lambda detail: detail["name"])
    for detail, x in zip(details, inputs, strict=True):
        interpreter.resize_tensor_input(detail["index"], x.shape)
    interpreter.allocate_tensors()
    for detail, x in zip(details, inputs, strict=True):
        interpreter.set_tensor(detail["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), []


def of_onnx():
    import onnxruntime

    session = onnxruntime.InferenceSession(artefact)
    names = [i.name for i in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))[0], []


def of_torch():
    import torch

    return by_torch(torch.export.load(artefact).module())


def of_executorch():
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(artefact).load_method("forward")
    return method.execute([torch.tensor(x) for x in inputs])[0].numpy(), []


def of_qonnx():
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    (codes,) = inputs
    found = execute_onnx(ModelWrapper(artefact), {"x": codes.astype(np.float32)[None]})
    return found["y"][0].astype(codes.dtype), []


def of_jax():
    import jax.export

    with open(artefact, "rb") as file:
        return by_jax(jax.export.deserialize(bytearray(file.read())).call)


def main(target: str, path: str, written_for: str, called: str, points: str, answers: str) -> None:
    global artefact, framework, name
    artefact, framework, name = path, written_for, called
    if target != "json":
        sys.meta_path.insert(0, Absent())
    with np.load(points) as data:
        inputs.extend(data[f"x{i}"] for i in range(len(data)))
    value, gradients = globals()[f"of_{target}"]()
    found: dict[str, Any] = {"value": np.asarray(value)}
    found |= {f"g{i}": np.asarray(g) for i, g in enumerate(gradients)}
    np.savez(answers, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
