"""How long a definition takes: the median of many, each of a new function, and what the witness costs of it.

Run `python benchmarks/definition.py`; it takes the libraries that are installed.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

from actgrad import activation
from actgrad.reading import witness

REPEATS = 200
FUNCTIONS = {
    "plain Python": "lambda x: x if x > 0 else 0.1 * x",
    "math": "lambda x: x * math.tanh(math.log(1 + math.exp(x)))",
    "numpy": "lambda x: np.where(x > 0, x * np.tanh(x), 0.1 * x)",
    "torch": "lambda x: torch.where(x > 0, x * torch.tanh(x), 0.1 * x)",
    "tensorflow": "lambda x: tf.where(x > 0, x * tf.tanh(x), 0.1 * x)",
    "keras": "lambda x: keras.ops.where(x > 0, x * keras.ops.tanh(x), 0.1 * x)",
    "jax": "lambda x: jnp.where(x > 0, x * jnp.tanh(x), 0.1 * x)",
}
MODULES = {"math": "math", "np": "numpy", "torch": "torch", "tf": "tensorflow", "keras": "keras"}
MODULES["jnp"] = "jax.numpy"


def names() -> dict[str, Any]:
    """The libraries that are installed, under their usual names."""
    found = {}
    for name, module in MODULES.items():
        try:
            found[name] = importlib.import_module(module)
        except ImportError:
            print(f"without {module}")
    return found


def milliseconds(make: Callable[[], Any]) -> float:
    """The median CPU time of a definition, after the first: other processes do not count."""
    activation(make())
    times = []
    for _ in range(REPEATS):
        function = make()
        start = time.thread_time()
        activation(function)
        times.append(time.thread_time() - start)
    return 1e3 * statistics.median(times)


def main() -> None:
    known = names()
    print(
        f"{'written with':14}{'definition':>14}{'without witness':>18}   (ms, median of {REPEATS})"
    )
    for label, text in FUNCTIONS.items():
        code = compile(text, label, "eval")
        if not known.keys() & set(code.co_consts[0].co_names) and label in MODULES.values():
            continue
        make = lambda code=code: eval(code, dict(known))
        whole = milliseconds(make)
        with mock.patch.object(witness, "check"):
            rest = milliseconds(make)
        print(f"{label:14}{whole:14.2f}{rest:18.2f}")


if __name__ == "__main__":
    main()
