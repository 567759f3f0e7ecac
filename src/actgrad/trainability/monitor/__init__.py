"""`Monitor`: watches a training, and says before it is lost why it fails, where, and since when.

Per layer, every so many steps: rms and quantiles of the pre-activations, the share of samples beyond
the escape threshold, dead units, the gradient's rms, numbers that are not finite.
"""

from __future__ import annotations

from typing import Any

from actgrad.errors import CallError
from actgrad.models.place import library_of
from actgrad.trainability.monitor.causes import Finding
from actgrad.trainability.monitor.sample import LayerSample, Sample
from actgrad.trainability.monitor.watch import Watch

__all__ = ["Finding", "LayerSample", "Monitor", "Sample", "Watch"]


def Monitor(
    model: object, *args: Any, **options: Any
) -> Any:  # makes one: named like what it makes
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
