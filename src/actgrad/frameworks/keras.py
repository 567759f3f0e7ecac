"""Keras 3: a layer with trainable parameters, symbolic tensors, and what Keras needs to load ours.

Values and derivatives are those of the backend's own room; nothing here goes through
`keras.ops.custom_gradient`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np

from actgrad.common.types import Array, Fields
from actgrad.errors import CallError, DtypeError
from actgrad.frameworks.dispatch import caller_in
from actgrad.frameworks.keras_backend import PACKAGE
from actgrad.frameworks.parameters import along
from actgrad.frameworks.rows import last_axis
from actgrad.frameworks.sampled import Sampled
from actgrad.frameworks.trainable import Trainable
from actgrad.language import storage
from actgrad.language.length import ONE
from actgrad.language.program import Program, Value
from actgrad.reading.signature import as_value

Setting: TypeAlias = Trainable | Sampled | Value
Tensor: TypeAlias = keras.KerasTensor
"""Or one of the backend's."""
Shape: TypeAlias = tuple[int | None, ...]


def call(program: Program, inputs: tuple[Tensor, ...], parameters: Fields) -> Tensor:
    """The activation of Keras tensors (symbolically: as a layer) or of Keras variables."""
    symbolic = [x.dtype for x in inputs if isinstance(x, keras.KerasTensor)]
    if symbolic:
        dtype = keras.backend.result_type(*symbolic)
        if "axis" in parameters:
            program = along(program, parameters["axis"])
            parameters = {n: value for n, value in parameters.items() if n != "axis"}
        return ActivationLayer(program, dict(parameters), dtype=_checked(program, dtype))(*inputs)
    values = {name: _value(value) for name, value in parameters.items()}
    return caller_in(keras.config.backend())(program, tuple(map(_value, inputs)), values)


def layer(program: Program, name: str | None, parameters: Mapping[str, Setting]) -> ActivationLayer:
    return ActivationLayer(program, dict(parameters), name=name)


def _broadcast(sizes: tuple[int | None, ...]) -> int | None:
    known = {size for size in sizes if size not in (1, None)}
    if len(known) > 1:
        raise CallError(f"the inputs' shapes do not broadcast: {sorted(known)} along one axis")
    return known.pop() if known else None if None in sizes else 1


def _checked(program: Program, dtype: str) -> str:
    if not keras.backend.is_float_dtype(dtype):
        raise DtypeError(
            f"{program.name!r} got a tensor of dtype {dtype}; it computes with real numbers\n"
            f"  Convert it first: `keras.ops.cast(x, 'float32')`."
        )
    return dtype


def _value(x: object) -> object:
    return x.value if isinstance(x, keras.Variable) else x


def _layer_name(name: str) -> str:
    return re.sub(r"\W", "_", name).strip("_") or "activation"


def _setting(program: Program, name: str, value: Setting | float) -> Setting:
    """What a layer keeps of a parameter: `trainable(...)`, `sampled(...)`, or the number, frozen."""
    if isinstance(value, Trainable):
        value.check(value.start(program, name))
    return value if isinstance(value, (Trainable, Sampled)) else as_value(value)


def _from_config(config: Fields) -> Trainable | Sampled:
    return Sampled(**config) if "distribution" in config else Trainable(**config)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Bounds(keras.constraints.Constraint):
    """Keeps a weight within [low, high]."""

    def __init__(self, low: float | None, high: float | None) -> None:
        self.low, self.high = low, high

    def __call__(self, w: Tensor) -> Tensor:
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        return keras.ops.clip(w, low, high)

    def get_config(self) -> Fields:
        return {"low": self.low, "high": self.high}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Boundary(keras.regularizers.Regularizer):
    """A penalty on numbers beyond ±`at`: `weight` times the mean square of the excess."""

    def __init__(self, at: float, weight: float) -> None:
        self.at, self.weight = at, weight

    def __call__(self, x: Tensor) -> Tensor:
        excess = keras.ops.maximum(keras.ops.abs(x) - self.at, 0.0)
        return self.weight * keras.ops.mean(keras.ops.square(excess))

    def get_config(self) -> Fields:
        return {"at": self.at, "weight": self.weight}


@keras.saving.register_keras_serializable(package=PACKAGE)
class ActivationLayer(keras.layers.Layer):
    """An activation as a layer; parameters are numbers, or weights where they are `trainable(...)`.

    Several inputs are called as `layer(a, b)` or `layer([a, b])`. With `per_channel` there is one number
    per channel of the first input: the last axis, or the second of images and volumes where Keras's
    image_data_format is channels_first.
    """

    def __init__(
        self,
        program: Program,
        parameters: Fields | None = None,
        data_format: str | None = None,
        **options: object,
    ) -> None:
        if not options.get("name"):
            name = _layer_name(program.name)
            number = keras.backend.get_uid(name) - 1
            options["name"] = f"{name}_{number}" if number else name
        super().__init__(**options)
        self.program = program
        self.parameters = {
            name: _setting(program, name, value) for name, value in (parameters or {}).items()
        }
        self.data_format = data_format or keras.config.image_data_format()
        if any(isinstance(value, Sampled) for value in self.parameters.values()):
            self.seed_generator = keras.random.SeedGenerator()
        self.supports_masking = True
        self.supports_jit = not program.on_host

    def __call__(self, *inputs: Tensor | Sequence[Tensor], **options: object) -> Tensor:
        if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)):
            inputs = tuple(inputs[0])
        if len(inputs) != len(self.program.inputs):
            raise CallError(
                f"the layer {self.name!r} takes {len(self.program.inputs)} inputs "
                f"({', '.join(self.program.inputs)}), and got {len(inputs)}"
            )
        return super().__call__(inputs[0] if len(inputs) == 1 else list(inputs), **options)

    def _each(self, given: Any) -> list[Any]:
        """For each input, from what Keras gives: a tensor or a shape, or a list of them."""
        return [given] if len(self.program.inputs) == 1 else list(given)

    def build(self, input_shape: Shape | Sequence[Shape]) -> None:
        shapes = self._each(input_shape)
        for name, value in self.parameters.items():
            if isinstance(value, Trainable):
                self._add_weight(name, value, value.start(self.program, name), shapes)
        self._rank = max(map(len, shapes))
        super().build(input_shape)

    def _add_weight(
        self, name: str, value: Trainable, initial: Value | Array, shapes: Sequence[Shape]
    ) -> None:
        shape: tuple[int, ...] = np.shape(initial)
        if value.per_channel:
            axis = self._channels_axis(len(shapes[0]))
            channels = shapes[0][axis]
            if channels is None:
                raise CallError(
                    f"{name!r} is trainable per channel, and the number of channels (axis {axis}) "
                    f"is unknown"
                )
            if name in self.program.lengths:
                initial, shape = np.reshape(initial, (-1, 1)), (*shape, channels)
            elif shape not in ((), (1,), (channels,)):
                raise CallError(
                    f"{name!r} is trainable per channel, of which there are {channels}, and starts at "
                    f"{np.size(initial)} numbers"
                )
            else:
                shape = (channels,)
        weight = self.add_weight(
            shape=shape,
            # (not `broadcast_to`: on PyTorch its numbers would share their memory)
            initializer=lambda shape, dtype: keras.ops.convert_to_tensor(
                np.full(shape, initial), dtype
            ),
            constraint=Bounds(value.low, value.high) if value.bounded else None,
            name=name,
            autocast=False,
        )
        setattr(self, f"_{name}_weight", weight)

    def _channels_axis(self, rank: int) -> int:
        if self.program.axis is not None:
            return self.program.axis
        return 1 if self.data_format == "channels_first" and rank > 3 else -1

    def _weight(self, name: str, value: Trainable, rank: int) -> Tensor:
        weight = getattr(self, f"_{name}_weight").value
        if value.per_channel and self.program.axis is None and self._channels_axis(rank) == 1:
            return keras.ops.reshape(weight, (*weight.shape, *(1,) * (rank - 2)))
        return weight

    def _sample(
        self, sampled: Sampled, tensors: tuple[Tensor, ...], training: bool
    ) -> Tensor | float:
        """The number for inference, or a number for each element, drawn anew."""
        still = sampled.still(training)
        if still is not None:
            return still
        shape = keras.ops.shape(functools.reduce(keras.ops.add, tensors))
        draw = getattr(keras.random, sampled.base)
        dtype = (
            "float64"
            if keras.backend.standardize_dtype(tensors[0].dtype) == "float64"
            else "float32"
        )
        return sampled.transform(keras.ops, draw(shape, dtype=dtype, seed=self.seed_generator))

    def call(self, inputs: Tensor | Sequence[Tensor], training: bool = False) -> Tensor:
        tensors = tuple(self._each(inputs))
        rank = len(tensors[0].shape)
        values = dict(self.parameters)
        for name, value in self.parameters.items():
            if isinstance(value, Trainable):
                values[name] = self._weight(name, value, rank)
            elif isinstance(value, Sampled):
                values[name] = self._sample(value, tensors, training)
        return caller_in(keras.config.backend())(self.program, tensors, self.program.spread(values))

    def compute_mask(
        self,
        inputs: Tensor | Sequence[Tensor],
        previous_mask: Tensor | Sequence[Tensor | None] | None,
    ) -> Tensor | None:
        """Of several inputs: where none of them is masked. None where the rows lie along another axis than
        the last, so that a mask's places are mixed."""
        axis = self.program.axis
        if axis is not None and axis not in (-1, self._rank - 1):
            return None
        if not isinstance(previous_mask, (list, tuple)):
            return previous_mask
        known = [mask for mask in previous_mask if mask is not None]
        return functools.reduce(keras.ops.logical_and, known) if known else None

    def compute_output_shape(self, input_shape: Shape | Sequence[Shape]) -> Shape:
        shapes = self._each(input_shape)
        rank = max(map(len, shapes))
        padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
        shape = [_broadcast(sizes) for sizes in zip(*padded, strict=True)]
        return tuple(shape) if self.program.axis is None else self._with_rows(shape)

    def _with_rows(self, shape: list[int | None]) -> tuple[int | None, ...]:
        """The shape of the result, whose rows may have another length than the input's, or be one number."""
        program = self.program
        axis = last_axis(program, len(shape))
        n = shape[axis]
        if n is not None:
            program.check_length(n)
        if program.squeezes:
            del shape[axis]
        else:
            width = program.value.width or ONE
            shape[axis] = width.at(n) if n is not None or not width.per + len(width.parts) else None
        return tuple(shape)

    def compute_output_spec(
        self, inputs: Tensor | Sequence[Tensor], training: bool = False
    ) -> keras.KerasTensor:
        tensors = self._each(inputs)
        for tensor in tensors:
            _checked(self.program, keras.backend.standardize_dtype(tensor.dtype))
        shapes = [t.shape for t in tensors]
        shape = self.compute_output_shape(shapes if len(shapes) > 1 else shapes[0])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> Fields:
        parameters = {
            name: value.get_config()
            if isinstance(value, (Trainable, Sampled))
            else np.asarray(value).tolist()
            for name, value in self.parameters.items()
        }
        own = {"program": storage.to_json(self.program), "parameters": parameters}
        return {**super().get_config(), **own, "data_format": self.data_format}

    @classmethod
    def from_config(cls, config: Fields) -> ActivationLayer:
        config = dict(config)
        program = storage.from_json(config.pop("program"))
        parameters = {
            name: _from_config(value) if isinstance(value, dict) else value
            for name, value in config.pop("parameters").items()
        }
        return cls(program, parameters, **config)
