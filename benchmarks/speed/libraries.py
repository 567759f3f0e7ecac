"""Other libraries' surrogates beside the same formula in ours.

`make bench` installs them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

from actgrad import surrogates
from actgrad.workbench.timing import STEPS, step, tensor
from speed.cells import Cell, compared, forget_compiled, size_column
from speed.functions import same_work

TITLE = "Beside other libraries, on their own surrogates"
NOTE = (
    "The same formula in ours: snnTorch's fast sigmoid and SpikingJelly's arctangent in "
    "PyTorch, and Larq's `ste_sign`, written here as Larq writes it."
)
HEADS = ("framework", "mode", "activation", "beside")
FRAMEWORKS = ("tensorflow", "torch")
SIZES = (1, 1000, 131_072, 1_048_576, 16_777_216)
BAR = 1.0


def larq() -> Any:
    import tensorflow as tf

    @tf.custom_gradient
    def ste_sign(x):
        def slope(upstream):
            return tf.where(tf.math.less_equal(tf.math.abs(x), 1.0), upstream, tf.zeros_like(x))

        return tf.sign(tf.sign(x) + 0.1), slope

    return ste_sign


def snntorch() -> Any:
    from snntorch import surrogate

    return surrogate.fast_sigmoid(slope=25)


def spikingjelly() -> Any:
    from spikingjelly.activation_based import surrogate

    return surrogate.ATan(alpha=2.0)


# Name, package, ours, theirs. snnTorch's step is 0 at 0.
RIVALS = {
    "tensorflow": (("Larq's formula", "tensorflow", surrogates.ste_sign, larq),),
    "torch": (
        ("snnTorch", "snntorch", surrogates.fast_sigmoid(at_zero=0.0, slope=25.0), snntorch),
        ("SpikingJelly", "spikingjelly", surrogates.atan(alpha=2.0), spikingjelly),
    ),
}


def cells(framework: str, quick: bool) -> Iterator[Cell]:
    tensors = {size: tensor(framework, size) for size in (SIZES[1:2] if quick else SIZES)}
    for name, package, ours, theirs in RIVALS[framework]:
        if importlib.util.find_spec(package) is None:
            yield Cell((framework, "not measured: not installed", ours.name, name), "", "")
            continue
        rival = theirs()
        for mode in STEPS[framework]:
            forget_compiled()
            for size, x in tensors.items():
                a, b = (step(framework, mode, f, x) for f in (ours, rival))
                same_work(a, b)
                labels = (framework, mode, ours.name, name)
                yield compared(labels, size_column(size), a, b, BAR, quick)
