"""Opens the files of version 0.1, in a process that has actgrad and nothing of the user's.

    python read.py FRAMEWORK OUTPUT.npz

What it finds is named FILE/ANSWER, as in the files of answers.
"""

from __future__ import annotations

import json
import pickle
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np

import actgrad

HERE = Path(__file__).parent
GIVEN = np.load(HERE / "activations.npz")
NAMES = {"surrogate": "step", "many branches": "many_branches"}
NAMES["gradient of two inputs"] = "two_gradients"


def arguments(f: Any) -> tuple[Any, ...]:
    return (GIVEN["x"], GIVEN["y"])[: len(f.inputs)]


def in_numpy(f: Any) -> dict[str, Any]:
    found = {"value": f(*arguments(f))}
    if f.program.kind != "gradient":
        slopes = f.derivative if isinstance(f.derivative, tuple) else (f.derivative,)
        for name, slope in zip(f.inputs, slopes, strict=True):
            found[f"slope of {name}"] = slope(*arguments(f))
    return found


def by_torch(function: Any, inputs: tuple[str, ...]) -> dict[str, Any]:
    import torch

    tensors = [torch.tensor(GIVEN[n], requires_grad=True) for n in ("x", "y")[: len(inputs)]]
    y = function(*tensors)
    (y * torch.tensor(GIVEN["upstream"])).sum().backward()
    gradients = [tensor.grad.numpy() for tensor in tensors]
    found = {f"gradient of {n}": g for n, g in zip(inputs, gradients, strict=True)}
    return {"value": y.detach().numpy(), **found}


def by_tensorflow(function: Any, inputs: tuple[str, ...]) -> dict[str, Any]:
    import tensorflow as tf

    tensors = [tf.constant(GIVEN[n]) for n in ("x", "y")[: len(inputs)]]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = function(*tensors)
    gradients = tape.gradient(y, tensors, output_gradients=tf.constant(GIVEN["upstream"]))
    found = {f"gradient of {n}": g.numpy() for n, g in zip(inputs, gradients, strict=True)}
    return {"value": y.numpy(), **found}


def by_jax(function: Any, inputs: tuple[str, ...]) -> dict[str, Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    y, pull = jax.vjp(function, *(GIVEN[n] for n in ("x", "y")[: len(inputs)]))
    gradients = pull(jax.numpy.asarray(GIVEN["upstream"]))
    found = {f"gradient of {n}": np.array(g) for n, g in zip(inputs, gradients, strict=True)}
    return {"value": np.array(y), **found}


def activations(ways: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each of them from its text and from each pickle, by its name."""
    texts = json.loads((HERE / "activations.json").read_text(encoding="utf-8"))
    found = {f"activations.json: {name}": actgrad.from_json(text) for name, text in texts.items()}
    found["step.json: surrogate"] = actgrad.load(HERE / "step.json")
    for path in sorted(HERE.glob("*.pickle")):
        content = pickle.loads(path.read_bytes())
        assert content["inside"]["f"] == actgrad.from_json(texts["derivative"])
        for name, f in zip(texts, content["plain"], strict=True):
            found[f"{path.name}: {name}"] = f
    return {
        f"{how} {place}": answer(f) for place, f in found.items() for how, answer in ways.items()
    }


def source(framework: str, by: Any) -> dict[str, dict[str, Any]]:
    """The files that stand alone, beside today's actgrad in one process."""
    texts = json.loads((HERE / "activations.json").read_text(encoding="utf-8"))
    found = {}
    for name, called in NAMES.items():
        path = HERE / "sources" / f"{called}_{framework}.py.txt"
        inputs = tuple(json.loads(texts[name])["inputs"])
        function = runpy.run_path(str(path))[called]
        found[f"{path.name}: {name}"] = by(function, inputs)
    return found


def numpy() -> dict[str, dict[str, Any]]:
    def value(function: Any, inputs: tuple[str, ...]) -> dict[str, Any]:
        return {"value": function(*(GIVEN[n] for n in ("x", "y")[: len(inputs)]))}

    return {**activations({"numpy": in_numpy}), **source("numpy", value)}


def torch() -> dict[str, dict[str, Any]]:
    import torch

    found = activations({"torch": lambda f: by_torch(f, f.inputs)})
    found |= source("torch", by_torch)
    given = torch.tensor(np.load(HERE / "module.npz")["x"])

    def answers(model: Any) -> dict[str, Any]:
        model.zero_grad()
        y = model(given)
        y.square().sum().backward()
        return {"y": y.detach().numpy()} | {
            n: np.array(p.grad) for n, p in model.named_parameters()
        }

    model = torch.load(HERE / "module.pt", weights_only=False)
    found["module.pt"] = answers(model)
    for parameter in model.parameters():
        parameter.data.fill_(0.5)
    model.load_state_dict(torch.load(HERE / "state_dict.pt", weights_only=True), strict=True)
    found["state_dict.pt"] = answers(model)

    gate = torch.load(HERE / "gate.pt", weights_only=False)
    found["gate.pt: two inputs"] = by_torch(gate, ("a", "b"))
    (weight,) = gate.parameters()
    assert weight.tolist() == [0.5]
    assert weight.grad is not None
    swish = torch.load(HERE / "not_yet_called.pt", weights_only=False)
    assert swish(torch.ones(2, 7)).shape == (2, 7)
    assert swish.b.tolist() == [1.0] * 7
    return found


def tensorflow() -> dict[str, dict[str, Any]]:
    import keras
    import tensorflow as tf

    found = source("tensorflow", by_tensorflow)
    given = np.load(HERE / "model.npz")["x"]

    def answers(model: Any) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            y = model(given)
            loss = tf.reduce_sum(y**2)
        slopes = tape.gradient(loss, model.trainable_variables)
        return {"y": y.numpy()} | {f"w{i}": np.array(slope) for i, slope in enumerate(slopes)}

    model = keras.saving.load_model(HERE / "model.keras", safe_mode=True)
    found["model.keras"] = answers(model)
    text = (HERE / "model.config.json").read_text(encoding="utf-8")
    again = keras.models.model_from_json(text)
    again.set_weights(model.get_weights())
    found["model.config.json"] = answers(again)

    saved = tf.saved_model.load(str(HERE / "saved_model"))
    x = tf.constant(np.load(HERE / "saved_model.npz")["x"])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = saved.f(x)
    found["saved_model"] = {"y": y.numpy(), "slope": tape.gradient(y, x).numpy()}
    return found


def jax() -> dict[str, dict[str, Any]]:
    return source("jax", by_jax)


def main(framework: str, output: str) -> None:
    places = {"numpy": numpy, "torch": torch, "tensorflow": tensorflow, "jax": jax}
    found = places[framework]()
    flat = {f"{p}/{name}": array for p, answers in found.items() for name, array in answers.items()}
    np.savez(output, **flat)


if __name__ == "__main__":
    main(*sys.argv[1:])
