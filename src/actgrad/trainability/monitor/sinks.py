"""Where measurements and findings go: the terminal, JSON lines, TensorBoard."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from actgrad.common.text import finite_json
from actgrad.common.types import Fields
from actgrad.errors import MissingFrameworkError
from actgrad.trainability.monitor.causes import Finding
from actgrad.trainability.monitor.sample import Sample

if TYPE_CHECKING:
    import tensorflow as tf
    from rich.console import Console


class Sink(Protocol):
    def sample(self, sample: Sample) -> None: ...
    def finding(self, finding: Finding) -> None: ...


class Terminal:
    """Findings as they come, in Rich if it is installed."""

    def __init__(self) -> None:
        try:
            from rich.console import Console
        except ImportError:
            self.console: Console | None = None
        else:
            self.console = Console(stderr=True)

    def sample(self, sample: Sample) -> None:
        pass

    def finding(self, finding: Finding) -> None:
        text = f"{'' if finding.certain else 'may come: '}{finding}"
        if self.console is None:
            print(text, file=sys.stderr)
        else:
            style = "bold red" if finding.fatal else "yellow"
            self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


class JsonLines:
    """One line for each measurement and each finding; whole lines only, whenever it is read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        with open(path, "w", encoding="utf-8"):
            pass

    def sample(self, sample: Sample) -> None:
        self._write({"kind": "sample", **dataclasses.asdict(sample)})

    def finding(self, finding: Finding) -> None:
        self._write({"kind": "finding", **dataclasses.asdict(finding)})

    def _write(self, row: Fields) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(finite_json(row), allow_nan=False) + "\n")


class TensorBoard:
    """Scalars by layer, with TensorFlow's writer or, without TensorFlow, PyTorch's."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            import tensorflow as tf

            writer = tf.summary.create_file_writer(str(folder))
            self._scalar = lambda name, value, step: _write_tf(tf, writer, name, value, step)
            self._text = lambda text, step: None
        except ImportError:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise MissingFrameworkError(
                    "TensorBoard's files need TensorFlow, or PyTorch with tensorboard\n"
                    "  pip install tensorboard"
                ) from error
            torch_writer = SummaryWriter(str(folder))
            self._scalar = torch_writer.add_scalar
            self._text = lambda text, step: torch_writer.add_text("actgrad", text, step)

    def sample(self, sample: Sample) -> None:
        for layer in sample.layers:
            for name in ("rms", "beyond", "dead", "gradient", "not_finite"):
                self._scalar(f"{name}/{layer.name}", getattr(layer, name), sample.step)

    def finding(self, finding: Finding) -> None:
        self._text(str(finding), finding.step)


def _write_tf(
    tf: ModuleType, writer: tf.summary.SummaryWriter, name: str, value: float, step: int
) -> None:
    """As `tf.summary.scalar` does, which needs TensorBoard itself."""
    kind = tf.compat.v1.SummaryMetadata
    plugin = kind.PluginData(plugin_name="scalars")
    with writer.as_default():
        tensor = tf.constant(value, tf.float32)
        tf.summary.write(name, tensor, step, kind(plugin_data=plugin, data_class=1))
    writer.flush()
