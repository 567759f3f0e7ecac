"""Activation functions in plain Python, with any derivative, native in every framework."""

from actgrad.activation import Activation, activation, from_json, load
from actgrad.catalogue import activations, learnable, rows, surrogates
from actgrad.frameworks.sampled import sampled
from actgrad.frameworks.trainable import trainable
from actgrad.models.swap import override, replace
from actgrad.trainability.initializers import init_, initializer
from actgrad.trainability.monitor import Monitor

__version__ = "0.2.0"

__all__ = [
    "Activation",
    "Monitor",
    "activation",
    "activations",
    "from_json",
    "init_",
    "initializer",
    "learnable",
    "load",
    "override",
    "replace",
    "rows",
    "sampled",
    "surrogates",
    "trainable",
]
