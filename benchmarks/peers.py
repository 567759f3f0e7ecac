"""What people use today beside actgrad, measured: the same questions to each, as a Markdown table.

    python benchmarks/peers.py

Every tool is given a step with the derivative 7, which nobody could mistake for another. "wrong"
means a wrong answer without a word; "no" an error; "–" that the tool has nothing to do with it. A
tool that is not installed is left out. actgrad says yes only if it is right in each framework.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import jax
import jax.numpy as jnp
import keras
import tensorflow as tf
import torch

from actgrad import activation


def step(x):
    return 1.0 if x >= 0 else 0.0


def seven(x):
    return 7.0


@tf.custom_gradient
def by_tensorflow(x):
    return tf.cast(x >= 0, x.dtype), lambda upstream: 7 * upstream


class Step(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return (x >= 0).to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, upstream):
        return 7 * upstream


def by_torch(x):
    return Step.apply(x)


@jax.custom_jvp
def by_jax(x):
    return jnp.where(x >= 0, 1.0, 0.0)


by_jax.defjvp(lambda primals, tangents: (by_jax(*primals), 7 * tangents[0]))


def tools() -> dict[str, dict[str, Callable]]:
    """Name -> framework -> the step with the derivative 7."""
    found = {
        "`tf.custom_gradient`": {"tf": by_tensorflow},
        "`autograd.Function`": {"torch": by_torch},
        "`jax.custom_jvp`": {"jax": by_jax},
    }
    with contextlib.suppress(ImportError):
        from snntorch import surrogate

        rule = surrogate.custom_surrogate(lambda x, upstream, spikes: 7 * upstream)
        found["snnTorch"] = {"torch": rule}
    with contextlib.suppress(ImportError):
        from spikingjelly.activation_based import surrogate

        found["SpikingJelly"] = {"torch": surrogate.LeakyKReLU(leak=7.0, k=7.0)}
    ours = activation(step, surrogate=seven)
    found["actgrad"] = dict.fromkeys(("tf", "torch", "jax"), ours)
    return found


VALUES = [-0.5, 0.25, 2.0]


def sevens(x) -> bool:
    return [float(v) for v in x] == [7.0] * 3


# One function for each question and framework: whether the answer is right.


def tf_forward(f):
    def slope(x):
        with tf.autodiff.ForwardAccumulator(x, tf.ones(3)) as forward:
            y = f(x)
        return forward.jvp(y)

    x = tf.constant(VALUES)
    return sevens(slope(x)) and sevens(tf.function(slope)(x))


def torch_forward(f):
    def slope(x):
        return torch.func.jvp(f, (x,), (torch.ones(3),))[1]

    torch._dynamo.reset()
    x = torch.tensor(VALUES)
    return sevens(slope(x)) and sevens(torch.compile(slope)(x))


def jax_forward(f):
    def slope(x):
        return jax.jvp(f, (x,), (jnp.ones(3),))[1]

    x = jnp.array(VALUES)
    return sevens(slope(x)) and sevens(jax.jit(slope)(x))


def torch_each(f):
    return sevens(torch.func.vmap(torch.func.grad(f))(torch.tensor(VALUES)))


def tf_each(f):
    def one(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x)

    return sevens(tf.vectorized_map(one, tf.constant(VALUES)))


def jax_each(f):
    return sevens(jax.vmap(jax.grad(f))(jnp.array(VALUES)))


def torch_compiled(f):
    torch._dynamo.reset()
    gradient = torch.compile(torch.func.grad(lambda x: f(x).sum()))
    return sevens(gradient(torch.tensor(VALUES)))


def torch_exported(f):
    """A layer before the step goes on learning."""

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.before = torch.nn.Parameter(torch.ones(3))
            self.after = torch.nn.Parameter(torch.ones(3))

        def forward(self, x):
            return f(x * self.before) * self.after

    model = torch.export.export(Model(), (torch.ones(3),)).module()
    model(torch.ones(3)).sum().backward()
    before = dict(model.named_parameters())["before"].grad
    return before is not None and sevens(before)


def tf_integers(f):
    """An integer has no derivative: an error is the right answer."""
    f(tf.constant([1, 2]))
    return False


def torch_integers(f):
    f(torch.tensor([1, 2]))
    return False


def jax_integers(f):
    jax.grad(f)(1)
    return False


def pickled(f):
    return pickle.loads(pickle.dumps(f)) is not None


OPEN = """
import sys, warnings
warnings.simplefilter("ignore")
import keras
with __import__("contextlib").suppress(ImportError):
    import actgrad
keras.models.load_model(sys.argv[1])
"""


def tf_saved(f):
    """In a fresh process, in safe mode, without this file."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation=f)])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "m.keras")
        model.save(path)
        done = subprocess.run(
            [sys.executable, "-c", OPEN, path], capture_output=True, cwd=folder, check=False
        )
    if done.returncode:
        raise OSError(done.stderr.decode()[-200:])
    return True


QUESTIONS: dict[str, dict[str, Callable]] = {
    "forward mode keeps your derivative, compiled too": {
        "tf": tf_forward,
        "torch": torch_forward,
        "jax": jax_forward,
    },
    "so does a gradient per sample (`vmap`)": {"tf": tf_each, "torch": torch_each, "jax": jax_each},
    "so does `torch.compile` of `torch.func.grad`": {"torch": torch_compiled},
    "so does `torch.export`": {"torch": torch_exported},
    "a `.keras` file opens without your source": {"tf": tf_saved},
    "an integer tensor is an error": {
        "tf": tf_integers,
        "torch": torch_integers,
        "jax": jax_integers,
    },
    "pickles": {"tf": pickled, "torch": pickled, "jax": pickled},
}
ERROR_IS_RIGHT = {"an integer tensor is an error"}


def answer(question: str, ask: Callable, f: Callable) -> str:
    noise = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(noise):
            warnings.simplefilter("ignore")
            right = ask(f)
    except Exception:  # whatever a tool answers with
        return "yes" if question in ERROR_IS_RIGHT else "no"
    return "yes" if right else "wrong"


def cell(question: str, by_framework: dict[str, Callable], asks: dict[str, Callable]) -> str:
    found = {answer(question, asks[k], f) for k, f in by_framework.items() if k in asks}
    return next((word for word in ("wrong", "no", "yes") if word in found), "–")


def main() -> None:
    logging.disable(logging.WARNING)
    known = tools()
    print("| |", " | ".join(known), "|")
    print("|---" * (len(known) + 1) + "|")
    for question, asks in QUESTIONS.items():
        cells = [cell(question, by_framework, asks) for by_framework in known.values()]
        print("|", question, "|", " | ".join(cells), "|", flush=True)
    names = ("tensorflow-cpu", "tensorflow", "keras", "torch", "jax", "snntorch", "spikingjelly")
    versions = []
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    print(f"\nPython {sys.version.split()[0]}, {', '.join(versions)}")


if __name__ == "__main__":
    main()
