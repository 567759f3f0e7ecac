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
from actgrad.reading.witnesses import witness

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
DERIVATIVE = {
    "plain Python": "lambda x: 1.0 if x > 0 else 0.1",
    "numpy": "lambda x: np.where(x > 0, np.tanh(x) + x * (1 - np.tanh(x) ** 2), 0.1)",
}
"""Of some of them; it is read and compared too."""
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


def milliseconds(make: Callable[[], list[Any]]) -> float:
    """The median CPU time of a definition, after the first: other processes do not count.

    `make` makes the function, and perhaps its derivative.
    """
    times = []
    for _ in range(REPEATS + 1):
        function, *rules = make()
        start = time.thread_time()
        activation(function, derivative=rules[0] if rules else None)
        times.append(time.thread_time() - start)
    return 1e3 * statistics.median(times[1:])


def main() -> None:
    known = names()
    print(
        f"{'written with':30}{'definition':>14}{'without witness':>18}   (ms, median of {REPEATS})"
    )
    rows = [(label, [text]) for label, text in FUNCTIONS.items()]
    rows += [(f"{n}, with a derivative", [FUNCTIONS[n], rule]) for n, rule in DERIVATIVE.items()]
    for label, texts in rows:
        codes = [compile(text, label, "eval") for text in texts]
        if not known.keys() & set(codes[0].co_consts[0].co_names) and label in MODULES.values():
            continue
        make = lambda codes=codes: [eval(code, dict(known)) for code in codes]
        whole = milliseconds(make)
        with mock.patch.object(witness, "check"):
            rest = milliseconds(make)
        print(f"{label:30}{whole:14.2f}{rest:18.2f}")


if __name__ == "__main__":
    main()
