"""A process that measures one section in one framework, and writes a line for each cell.

python -m speed.child MODULE FRAMEWORK QUICK ANSWERS
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

LARGEST_KEPT = 31 << 20
"""glibc gives tensors back to the system until a larger one, up to this, has been freed; and whether it does
so in the runs of one function or of the other would be chance. Where training goes on, that has happened."""


def main(module: str, framework: str, quick: str, answers: str) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if framework.startswith("keras on "):
        os.environ["KERAS_BACKEND"] = framework.removeprefix("keras on ")
    elif framework == "tensorflow":
        os.environ["KERAS_BACKEND"] = "tensorflow"  # `mish` is Keras's
    warnings.simplefilter("ignore")
    bytes(LARGEST_KEPT)
    with Path(answers).open("w", encoding="utf-8") as file:

        def answer(**said: object) -> None:
            print(json.dumps(said), file=file, flush=True)

        try:
            for cell in importlib.import_module(module).cells(framework, quick == "1"):
                answer(cell=asdict(cell))
        except Exception as error:  # whatever a framework raises
            cause = str(error).strip().partition("\n")[0][:200]
            answer(failed=f"{type(error).__name__}: {cause}")


if __name__ == "__main__":
    main(*sys.argv[1:])
