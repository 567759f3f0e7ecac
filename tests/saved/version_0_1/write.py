"""Run once with actgrad 0.1.0, to make the files beside this one: see README.md.

PYTHONPATH=<actgrad 0.1.0>/src python write.py FOLDER
"""

from __future__ import annotations

import json
import math
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import actgrad
from actgrad import activation, activations, surrogates, trainable

SCALE = tuple(np.linspace(0.5, 1.5, 12))
X = np.array([-2.3, -1.0, -0.5, -0.2, -0.0, 0.0, 0.3, 0.5, 0.75, 1.0, 1.6, 2.7])
Y = np.array([0.4, -1.5, 2.0, -0.2, 0.7, -3.1, 1.1, 0.5, -0.6, 1.25, 0.9, -0.8])
UPSTREAM = np.array([1.0, -0.5, 2.0, 0.25, -1.5, 0.75, 3.0, -2.0, 1.25, 0.5, -0.75, 1.5])


def spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


def many_branches(x):
    if x < -1.5:
        return math.log1p(-x) // 0.25
    if x < 0:
        return math.copysign(round(x * 4) / 4, -x) + math.hypot(x, 0.5)
    for k in range(1, 4):
        if x < 0.4 * k:
            return math.sin(k * x) + math.trunc(3 * x)
    return math.sqrt(x) if math.floor(x) == 1 else math.erf(x) - math.ceil(x) ** 2


def limits(x):
    return math.inf if x > 2 else -math.inf if x < -2 else math.nan if x == 1 else 1e-300 * x


FUNCTIONS = {
    "exact": activation(lambda x: x * math.tanh(math.log1p(math.exp(x))), name="exact"),
    "many branches": activation(many_branches, name="many_branches"),
    "limits": activation(limits, name="limits"),
    "derivative": activation(spiky, derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0),
    "derivative of parameters": activation(
        lambda x, slope=0.1: x if x > 0 else slope * x,
        derivative=lambda x, slope: 1.0 if x > 0 else slope,
        name="leaky",
    ),
    "surrogate": activation(
        lambda x, k=2.0: 1.0 if x >= 0 else 0.0,
        surrogate=lambda x, k: k / (1 + (k * x) * (k * x)),
        name="step",
    ),
    "gradient": activation(
        lambda x: max(x, 0.0), gradient=lambda x, g: g if x > 0 < g else 0, name="guided"
    ),
    "gradient of two inputs": activation(
        lambda a, b, c=0.5: a * b + c,
        gradient=lambda a, b, g, c: (g * b * c, max(g, 0) * a),
        name="two_gradients",
    ),
    "two inputs": activation(lambda a, b, c=0.5: a * b + c * max(a, b), name="gate"),
    "two derivatives": activation(
        lambda a, b: a * b, surrogate=(lambda a, b: b, lambda a, b: 7.0), name="two_rules"
    ),
    "parameters put": activation(lambda x, b=1.0, c=-0.0: x / (1 + math.exp(-b * x)) + c)(b=1.5),
    "an array": activation(lambda x, a=SCALE: x * a, name="channels"),
    "a loop's length": activation(lambda x, n=3: sum(x**k for k in range(n)), name="loop"),
    "größe": activation(lambda x, α=2.0: α * x * x, name="größe"),
    "catalogue: gelu": activations.gelu,
    "catalogue: swish": activations.swish(beta=0.7),
    "catalogue: atan": surrogates.atan,
    "catalogue: box": surrogates.box(clip=0.75),
}


def arguments(f: Any) -> tuple[Any, ...]:
    return (X, Y)[: len(f.inputs)]


def answers(f: Any) -> dict[str, Any]:
    """Its value in NumPy, and its gradient and that of its derivative in PyTorch, in float64."""
    import torch

    tensors = [torch.tensor(x, requires_grad=True) for x in arguments(f)]
    (f(*tensors) * torch.tensor(UPSTREAM)).sum().backward()
    found = {"value": f(*arguments(f))}
    for name, tensor in zip(f.inputs, tensors, strict=True):
        found[f"gradient of {name}"] = tensor.grad.numpy()
    if f.program.kind == "gradient":  # has no derivative without an upstream gradient
        return found
    slopes = f.derivative if isinstance(f.derivative, tuple) else (f.derivative,)
    for name, slope in zip(f.inputs, slopes, strict=True):
        found[f"slope of {name}"] = slope(*arguments(f))
    return found


def texts(folder: Path) -> None:
    stored, wanted = {}, {}
    for name, f in FUNCTIONS.items():
        stored[name] = f.to_json()
        wanted |= {f"{name}/{key}": value for key, value in answers(f).items()}
    # Each text as it was written, character for character; together, to be one file.
    (folder / "activations.json").write_text(json.dumps(stored, indent=1), encoding="utf-8")
    np.savez_compressed(folder / "activations.npz", x=X, y=Y, upstream=UPSTREAM, **wanted)
    FUNCTIONS["surrogate"].save(folder / "step.json")
    content = {"plain": list(FUNCTIONS.values()), "inside": {"f": FUNCTIONS["derivative"]}}
    for protocol in (0, 2, pickle.HIGHEST_PROTOCOL):
        (folder / f"protocol{protocol}.pickle").write_bytes(pickle.dumps(content, protocol))


def sources(folder: Path) -> None:
    (folder / "sources").mkdir()
    for framework in ("numpy", "torch", "tensorflow", "jax"):
        for name in ("surrogate", "many branches", "gradient of two inputs"):
            f = FUNCTIONS[name]
            path = folder / "sources" / f"{f.name}_{framework}.py.txt"
            path.write_text(f.source(framework), encoding="utf-8")


def torch_files(folder: Path) -> None:
    import torch

    torch.manual_seed(0)
    gate = FUNCTIONS["two inputs"]

    learnt = activation(lambda x, b=1.0: x / (1 + math.exp(-b * x)), name="swish")
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4),
        learnt.module(b=trainable(1.5, low=0.0, per_channel=True)),
        FUNCTIONS["surrogate"].module(k=trainable(3.0)),
        torch.nn.Linear(4, 3),
        FUNCTIONS["derivative"].module(),
        FUNCTIONS["derivative of parameters"].module(slope=0.3),
    )
    x = np.linspace(-2, 2, 15, dtype=np.float32).reshape(5, 3)
    model(torch.tensor(x))
    torch.save(model, folder / "module.pt")
    torch.save(model.state_dict(), folder / "state_dict.pt")
    torch.save(gate.module(c=trainable()), folder / "gate.pt")
    torch.save(learnt.module(b=trainable(per_channel=True)), folder / "not_yet_called.pt")
    y = model(torch.tensor(x))
    y.square().sum().backward()
    found = {name: p.grad.numpy() for name, p in model.named_parameters()}
    np.savez_compressed(folder / "module.npz", x=x, y=y.detach().numpy(), **found)


def keras_files(folder: Path) -> None:
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, activation=FUNCTIONS["surrogate"])(inputs)
    swish = activation(lambda x, b=1.0: x / (1 + math.exp(-b * x)), name="swish")
    x = swish.layer(b=trainable(1.5, low=0.5, high=2.0, per_channel=True))(x)
    x = keras.layers.Dense(4, activation=activations.gelu)(x)
    x = FUNCTIONS["derivative of parameters"].layer(slope=0.25)(x)
    x = FUNCTIONS["two inputs"].layer(c=trainable())([x, keras.layers.Dense(4)(inputs)])
    model = keras.Model(inputs, keras.layers.Dense(2, activation=FUNCTIONS["gradient"])(x))
    given = np.linspace(-2, 2, 15, dtype=np.float32).reshape(5, 3)
    model.save(folder / "model.keras")
    (folder / "model.config.json").write_text(model.to_json(), encoding="utf-8")
    with tf.GradientTape() as tape:
        y = model(given)
        loss = tf.reduce_sum(y**2)
    slopes = tape.gradient(loss, model.trainable_variables)
    found = {f"w{i}": np.array(slope) for i, slope in enumerate(slopes)}
    np.savez_compressed(folder / "model.npz", x=given, y=y.numpy(), **found)


def saved_model(folder: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    step, spiky = FUNCTIONS["surrogate"], FUNCTIONS["derivative"]
    module.f = tf.function(
        lambda x: step(x) + 2 * spiky(x), input_signature=[tf.TensorSpec([None], tf.float32)]
    )
    tf.saved_model.save(module, str(folder / "saved_model"))
    x = tf.constant(X, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = module.f(x)
    found = {"y": y.numpy(), "slope": tape.gradient(y, x).numpy()}
    np.savez_compressed(folder / "saved_model.npz", x=x.numpy(), **found)


def main(folder: Path) -> None:
    assert actgrad.__version__ == "0.1.0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for write in (texts, sources, torch_files, keras_files, saved_model):
            write(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
