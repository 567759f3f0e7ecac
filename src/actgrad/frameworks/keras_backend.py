"""What is asked of Keras before our layers are: its backend, and the registration of our classes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

PACKAGE = "actgrad"


def keras_backend() -> str:
    """Asked of Keras where it is loaded; else read where Keras will read it."""
    keras = sys.modules.get("keras")
    if keras is not None:
        return str(keras.config.backend())
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    try:
        return str(json.loads((home / "keras.json").read_text(encoding="utf-8"))["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def register(kind: type) -> None:
    """Let Keras load objects of this class under safe mode, without custom_objects or the user's source."""
    import keras

    keras.saving.register_keras_serializable(package=PACKAGE)(kind)
