"""Importing TensorFlow and Keras without the lines that they log before logging can be set up."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from actgrad.errors import InputError, MissingFrameworkError

_NOISE = re.compile(
    rb"WARNING: All log messages before absl::|[IW]\d{4} \d\d:\d\d:|fully_quantize: \d|INFO: Created Tensor"
)


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, and pass on all but the frameworks' notices."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            lines = [line for line in held.read().splitlines(True) if not _NOISE.match(line)]
            os.write(2, b"".join(lines)) if lines else None


def choose_backend(backend: str | None) -> None:
    """Say which backend Keras shall have. Before the user's file, which may import Keras, is run."""
    if backend is not None:
        os.environ["KERAS_BACKEND"] = backend


def import_keras(backend: str | None = None) -> ModuleType:
    """Keras, on this backend, set up so that equal seeds give equal results."""
    try:
        with quiet():
            import keras

            current = keras.config.backend()
            # Keras reaches for TensorFlow on every backend, sooner or later: better here, quietly.
            if current == "tensorflow" or importlib.util.find_spec("tensorflow"):
                import tensorflow as tf

                tf.config.experimental.enable_op_determinism()
                tf.get_logger().setLevel("ERROR")  # each network is compiled anew, and rightly
    except ModuleNotFoundError as error:
        framework = error.name if error.name in ("torch", "jax") else "tensorflow-cpu"
        raise MissingFrameworkError(
            f"training needs {error.name}, which is not installed\n"
            f"  pip install 'actgrad[{framework},keras,workbench]'"
        ) from error
    if backend not in (None, current):
        raise InputError(
            f"--backend {backend}: the file that was loaded has already started Keras on {current}\n"
            f"  Set it before: KERAS_BACKEND={backend} actgrad train ..."
        )
    return keras
