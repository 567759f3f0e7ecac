"""`Monitor`: watches a training, and says before it is lost why it fails, where, and since when.

Per layer, every so many steps: rms and quantiles of the pre-activations, the share of samples beyond
the escape threshold, dead units, the gradient's rms, numbers that are not finite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from actgrad.activation import Activation
from actgrad.common.types import Array, Function
from actgrad.errors import CallError
from actgrad.models.place import library_of
from actgrad.trainability.monitor.causes import Finding
from actgrad.trainability.monitor.sample import LayerSample, Sample
from actgrad.trainability.monitor.watch import Watch

if TYPE_CHECKING:
    import keras
    import torch

    from actgrad.trainability.monitor.keras import KerasMonitor
    from actgrad.trainability.monitor.torch import TorchMonitor

__all__ = ["Finding", "LayerSample", "Monitor", "Sample", "Watch"]


@overload
def Monitor(model: dict[str, Activation | Function | None], **options: Any) -> Watch: ...
@overload
def Monitor(model: keras.Model, x: Array, y: object = None, **options: Any) -> KerasMonitor: ...
@overload
def Monitor(model: torch.nn.Module, **options: Any) -> TorchMonitor: ...
def Monitor(model: object, *args: Any, **options: Any) -> Watch:  # makes one: named like it
    """A monitor for a model: a Keras callback, or hooks on a PyTorch module.

        monitor = Monitor(model, x_train, y_train)              # Keras, on any backend
        model.fit(x_train, y_train, callbacks=[monitor])

        monitor = Monitor(module, optimizer=optimizer)          # PyTorch
        ...; optimizer.step(); monitor.step(loss)

        monitor = Monitor({"hidden": f})                        # JAX, and any other loop
        monitor.observe(step, loss, {"hidden": h}, {"hidden": gradient})

    Options: `every` (steps between measurements; left out, as often as costs 5% of the time),
    `on_failure` ("go on", "stop", "roll back"), `terminal=False`, `json_lines=path`,
    `tensorboard=folder`. Afterwards `monitor.cause`, `monitor.findings`, `monitor.samples`.

    Raises `CallError` for anything else than such a model.
    """
    if isinstance(model, dict):
        return Watch(model, *args, **options)
    library = library_of(model)
    if library == "torch":
        from actgrad.trainability.monitor.torch import TorchMonitor

        return TorchMonitor(model, *args, **options)
    if library == "keras":
        from actgrad.trainability.monitor.keras import KerasMonitor

        return KerasMonitor(model, *args, **options)
    raise CallError(
        f"a monitor watches a Keras model, a PyTorch module, or {{name: activation}} of a loop of your "
        f"own, and got {type(model).__name__}"
    )
