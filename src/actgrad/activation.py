"""Activation, the object a user holds, and `activation`, which makes one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from actgrad.common.types import Fields, Function
from actgrad.errors import CallError, DefinitionError
from actgrad.frameworks.dispatch import apart, caller, native, source, under_dynamo
from actgrad.frameworks.hook import when_imported
from actgrad.frameworks.keras_backend import register
from actgrad.frameworks.names import room
from actgrad.frameworks.parameters import (
    along,
    check_call,
    check_fixed,
    check_known,
    check_numbers,
    check_setting,
    other_length_compiled,
    other_lengths,
    whole_axis,
    with_values,
)
from actgrad.frameworks.trainable import Trainable
from actgrad.integers.tabled import Tabled
from actgrad.language import storage
from actgrad.language.program import Program
from actgrad.reading.define import check_not_rewritten, define, of_allowed_size
from actgrad.reading.derivatives.rule_reader import Rule, as_rule, parts
from actgrad.reading.derivatives.with_rule import with_rule
from actgrad.reading.signature import checked_name, is_number, with_defaults

if TYPE_CHECKING:
    from actgrad.frameworks.keras import ActivationLayer
    from actgrad.frameworks.torch.modules import ActivationModule
    from actgrad.study.variants import Approximation

Tensor = TypeVar("Tensor")


class Activation(Tabled):
    """An activation function with its derivative, for NumPy, TensorFlow, Keras, PyTorch and JAX.

    Made by `activation`. It is immutable; two with the same content are equal.
    """

    autograph_info__: ClassVar[Fields] = {}
    """By this TensorFlow's AutoGraph knows that there is nothing here to convert."""

    def __init__(
        self,
        program: Program,
        function: Function | None = None,
        rules: Mapping[str, Rule] | None = None,
    ) -> None:
        self.program = program
        self._function = function
        self._rules = dict(rules or {})
        self.__name__ = program.name
        self.__doc__ = getattr(function, "__doc__", None) or f"{program.name} = {program}"

    @overload
    def __call__(self, /, **parameters: object) -> Activation: ...
    @overload
    def __call__(self, x: float, /, *more: float, **parameters: float) -> float: ...
    @overload
    def __call__(self, x: Tensor, /, *more: object, **parameters: object) -> Tensor: ...
    def __call__(self, /, *inputs: object, **parameters: object) -> object:
        """The value, in the framework and the dtype of the inputs.

        Without inputs, the same activation with other parameter values; with `scaled=True` its
        derivative is then brought into scale, as `scaled()` does. Raises `CallError` for a
        wrong number of inputs or an unknown parameter, and `DtypeError` for integer tensors.
        """
        program = self.program
        if parameters or len(inputs) != len(program.inputs):
            return self._call_with(inputs, parameters)
        return caller(inputs)(program, inputs, parameters)

    def _call_with(self, inputs: tuple[object, ...], parameters: Fields) -> object:
        if not inputs:
            return self._with(parameters)
        program = self.program
        axis = {}
        if program.axis is not None and "axis" in parameters:
            axis["axis"] = whole_axis(program, parameters.pop("axis"))
        check_call(program, inputs, parameters)
        if program.fixed and parameters.keys() & dict(program.fixed).keys():
            fixed = {n: parameters.pop(n) for n in list(parameters) if n in dict(program.fixed)}
            return self._with(fixed)(*inputs, **parameters, **axis)
        lengths = other_lengths(program, parameters)
        if lengths:
            if under_dynamo():
                raise CallError(other_length_compiled(program, lengths))
            # The numbers do not matter, as all are given; a reading is checked with some.
            others = {n: [0.37 + 0.1 * i for i in range(size)] for n, size in lengths.items()}
            return apart(self._with)(others)(*inputs, **parameters)
        parameters = program.spread(parameters)
        tensors = (*inputs, *parameters.values())
        return caller(tensors)(program, inputs, parameters | axis)

    def _with(self, parameters: Fields) -> Activation:
        """The same with other parameter values, and with `scaled=True` brought into scale."""
        if "scaled" in parameters and "scaled" not in self.parameters:
            rest = {name: value for name, value in parameters.items() if name != "scaled"}
            shaped = self._with(rest)
            return shaped.scaled() if parameters["scaled"] else shaped
        if self.program.axis is not None and "axis" in parameters:
            rest = dict(parameters)
            moved = along(self.program, rest.pop("axis"))
            return Activation(moved, self._function, self._rules)._with(rest)
        if not parameters:
            return self
        check_known(self.program, parameters)
        fixed = sorted(parameters.keys() & dict(self.program.fixed).keys())
        if fixed:
            return self._reread(parameters, f"{fixed} shaped {self.name!r} while it was read")
        check_numbers(self.program, parameters)
        for name, size in other_lengths(self.program, parameters).items():
            has = self.program.lengths[name]
            if size != has:
                return self._reread(parameters, f"{name!r} of {self.name!r} has {has} numbers")
        program = with_values(self.program, parameters)
        return Activation(program, self._function, self._rules)

    def _reread(self, parameters: Fields, why: str) -> Activation:
        if self._function is None:
            raise CallError(
                f"{why}, and its Python function is not at hand: define it anew with the other value"
            )
        values = self.parameters | parameters

        rules = {kind: with_defaults(rule, values) for kind, rule in self._rules.items()}
        function = with_defaults(self._function, values)
        return activation(function, name=self.name, axis=self.program.axis, **rules)

    def _of(self, program: Program) -> Activation:
        return Activation(program)

    # Derivatives.

    @cached_property
    def derivative(self) -> Any:
        """The derivative in force, as an activation; a tuple of them for several inputs.

        Of a `gradient=` rule it is what the rule makes of an upstream gradient of 1, as the gradient of a sum
        is: where the rule is not linear in that (guided backpropagation), other gradients pass otherwise.

        Raises `NoDerivativeError` for a host function without a rule, and for a function of a row.

        >>> guided = activation(
        ...     lambda x: max(0, x),
        ...     gradient=lambda x, upstream: upstream if x > 0 and upstream > 0 else 0,
        ... )
        >>> guided.derivative(2.0), guided.derivative(-2.0)
        (1.0, 0.0)
        """
        return self._derivatives(self.program)

    def partial(self, name: str) -> Any:
        """The derivative in force by one input or parameter, as an activation of the same arguments.

        By a parameter that is a vector it is a tuple of them, one for each entry.

        Of a `gradient=` rule it is what the rule makes of an upstream gradient of 1.

        Raises `CallError` for a name that it has not, and `NoDerivativeError` where there is none: by a
        parameter of a host function that its rule does not name, and for a function of a row.

        >>> power = activation(lambda x, a=2.0: x * a, name="power")
        >>> power.partial("a")(3.0), power.partial("x")(3.0)
        (3.0, 2.0)
        """
        if name in self.program.lengths:
            unrolled = self.program.unrolled
            entries = dict(unrolled.vectors)[name]
            return tuple(Activation(unrolled.slope(entry)) for entry in entries)
        names = [*self.program.inputs, *self.program.settings]
        if name not in names:
            raise CallError(
                f"{self.name!r} has no derivative by {name!r}; it has one by "
                f"{', '.join(map(repr, names))}"
            )
        return Activation(self.program.slope(name))

    @cached_property
    def exact_derivative(self) -> Any:
        """The derivative by rule, of the branch that Python takes, whatever was declared."""
        return self._derivatives(self.program.exact())

    @staticmethod
    def _derivatives(program: Program) -> Any:
        found = tuple(Activation(program.slope(name)) for name in program.inputs)
        return found[0] if len(found) == 1 else found

    # In frameworks.

    def source(self, framework: str) -> str:
        """The generated code for a framework: a file that stands alone. Needs no framework installed.

        For Keras it is the code of its backend.
        """
        return source(self.program, framework)

    def native(self, framework: str) -> Function:
        """The framework's own function: inputs by position, parameters by keyword.

        Its calls raise `CallError` for a wrong number of inputs, an unknown parameter, and one that
        shaped the reading.
        """
        return native(self.program, framework)

    def layer(self, name: str | None = None, **parameters: object) -> ActivationLayer:
        """A Keras layer. Parameters may be numbers, `trainable(...)` or `sampled(...)`.

        Raises `CallError` for anything else, and warns where a parameter cannot be learnt as the
        derivative by it is zero everywhere (`ZeroDerivativeWarning`, `SurrogateWarning`).
        """
        shaped, parameters = self._shaped(parameters)
        layer: ActivationLayer = room("keras").layer(shaped.program, name, parameters)
        return layer

    def _shaped(self, parameters: Fields) -> tuple[Activation, Fields]:
        """With those parameters put in that shape the reading (a loop's length), and the others."""
        check_fixed(self.program, parameters)
        fixed = {n: v for n, v in parameters.items() if n in dict(self.program.fixed)}
        rest = {n: v for n, v in parameters.items() if n not in fixed}
        shaped = self._with(fixed)
        starts = {n: v.initial if isinstance(v, Trainable) else v for n, v in rest.items()}
        vectors = shaped.program.lengths
        # A vector may start with another length.
        shaped = shaped._with({n: v for n, v in starts.items() if n in vectors and is_number(v)})
        for name, value in rest.items():
            check_setting(shaped.program, name, value)
        return shaped, rest

    def module(self, **parameters: object) -> ActivationModule:
        """A PyTorch module. Parameters may be numbers, `trainable(...)` or `sampled(...)`.

        Raises `CallError` for anything else, and warns where a parameter cannot be learnt as the
        derivative by it is zero everywhere (`ZeroDerivativeWarning`, `SurrogateWarning`).
        """
        shaped, parameters = self._shaped(parameters)
        room("torch")  # raises if it is not installed
        from actgrad.frameworks.torch.modules import ActivationModule

        return ActivationModule(shaped.program, parameters)

    # As data.

    @classmethod
    def from_config(cls, config: Fields) -> Activation:
        return from_json(config["program"])

    def __reduce__(self) -> tuple[Function, tuple[str]]:
        return from_json, (self.to_json(),)

    def __copy__(self) -> Activation:
        return self

    def __deepcopy__(self, memo: object) -> Activation:
        return self

    def __eq__(self, other: object) -> bool:
        return self.program == other.program if isinstance(other, Activation) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.program)

    # New activations from this one.

    def polynomial(
        self, degree: int, interval: tuple[float, float] = (-3.0, 3.0), **parameters: object
    ) -> Polynomial:
        """A polynomial near it on an interval, as an activation with its own exact derivative.

        Least squares at Chebyshev points, which comes within a small factor of the best largest error.
        Outside of the interval a polynomial runs away: hold the inputs inside. Keyword arguments are
        parameter values.

        Raises `CallError` for several inputs, a degree outside 0 ... 30, an empty interval, and a
        function that is not finite on it.

        >>> near = activation(lambda x: max(x, 0), name="relu").polynomial(2, (-4, 4))
        >>> round(near.largest_error, 2), near.derivative(1.0) == near.exact_derivative(1.0)
        (0.42, True)
        """
        from actgrad.study.variants import polynomial

        self.program.check_elementwise("polynomial()")
        return Polynomial(polynomial(self._with(parameters).program, degree, interval))

    @property
    def function(self) -> Function | None:
        """The Python function that it was read from, where this process has it."""
        return self._function


class Polynomial(Activation):
    """An activation that is a polynomial near another one: see `Activation.polynomial`."""

    def __init__(self, approximation: Approximation) -> None:
        super().__init__(approximation.program)
        self.interval = approximation.interval
        self.largest_error = approximation.largest_error
        """The largest error on the interval, both sides of every jump included."""
        self.coefficients = approximation.coefficients
        """Of 1, x, x², ..."""
        self._note = str(approximation)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, {self._note}>"


@overload
def activation(
    function: None = None,
    *,
    derivative: Rule = None,
    surrogate: Rule = None,
    gradient: Rule = None,
    axis: int | None = None,
    name: str | None = None,
    host: bool = False,
) -> Callable[[Function], Activation]: ...
@overload
def activation(
    function: Function,
    *,
    derivative: Rule = None,
    surrogate: Rule = None,
    gradient: Rule = None,
    axis: int | None = None,
    name: str | None = None,
    host: bool = False,
) -> Activation: ...
def activation(
    function: Function | None = None,
    *,
    derivative: Rule = None,
    surrogate: Rule = None,
    gradient: Rule = None,
    axis: int | None = None,
    name: str | None = None,
    host: bool = False,
) -> Activation | Callable[[Function], Activation]:
    """Make an activation of a plain Python function of numbers. Decorator or call.

    Arguments of `function` without a default are inputs (tensors), those with one are parameters.
    At most one rule:

    - `derivative`: the local derivative, claimed to be the true one; a function of the same inputs
      (and any of the parameters, by name) that returns a number, or a tuple with one per input; or
      an Activation; or a number; or a dict from names of inputs and parameters to these, or a
      function that returns such a dict: what it does not name keeps its exact derivative. A claim
      that is measurably false is warned about.
    - `surrogate`: the same forms, deliberately something else.
    - `gradient`: the whole gradient: `(inputs..., upstream, parameters...) -> gradient(s)`.
    - none: the exact derivative, at a kink that of the branch that Python takes.

    With `axis` it is a function of a row, the numbers along that axis, such as a softmax: written for one
    row of any length, in a library's functions. Its result is a row too, or one number. A `surrogate` is then
    a function of the row that is differentiated in its place; see docs/rows.md.

    Values are those of the Python function for every finite input, rounded to the tensor's dtype;
    where Python raises, IEEE's inf or nan. `host=True` runs a function that cannot be read as a
    callback on the host CPU, with the same promises on value, gradient, dtype and shape.

    Raises `TraceError` if the function cannot be read, `DefinitionError` if the rule does not fit.

    >>> @activation(derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0)
    ... def spiky(x):
    ...     r = x % 1
    ...     return r if r <= 0.5 else 0
    >>> spiky(1.25), spiky.derivative(1.25), spiky(0.75)
    (0.25, 1.0, 0.0)
    >>> triangle = lambda x: max(0, 1 - abs(x))
    >>> step = activation(lambda x: 1.0 if x >= 0 else 0.0, name="step", surrogate=triangle)
    >>> step(0.5), step.derivative(0.5), step.exact_derivative(0.5)
    (1.0, 0.5, 0.0)
    >>> import numpy as np
    >>> share = activation(lambda x: x / np.sum(x), axis=-1, name="share")
    >>> share(np.array([[1.0, 3.0], [2.0, 2.0]])).tolist()
    [[0.25, 0.75], [0.5, 0.5]]
    >>> spike = activation(
    ...     lambda v, threshold=1.0: 1.0 if v >= threshold else 0.0,
    ...     surrogate=lambda v, threshold: {
    ...         "v": max(0, 1 - abs(v - threshold)),
    ...         "threshold": -max(0, 1 - abs(v - threshold)),
    ...     },
    ... )
    >>> spike.derivative(1.5), spike.partial("threshold")(1.5)
    (0.5, -0.5)
    """
    rules = {"derivative": derivative, "surrogate": surrogate, "gradient": gradient}
    given = {kind: rule for kind, rule in rules.items() if rule is not None}
    if len(given) > 1:
        raise DefinitionError(
            f"{' and '.join(f'{kind}=' for kind in given)} are given; at most one makes sense\n"
            f"  `derivative=` claims to be the true one, `surrogate=` is deliberately another, "
            f"`gradient=` is the whole vector-Jacobian product."
        )
    if function is None:
        return lambda function: activation(function, axis=axis, name=name, host=host, **given)
    if not callable(function):
        raise DefinitionError(
            f"activation takes a function, and got {function!r} ({type(function).__name__})\n"
            f"  Pass the function itself, as in `activation(math.tanh)`."
        )
    kind, rule = next(iter(given.items()), ("exact", None))
    if isinstance(function, Activation):
        base = function.program if rule is None else function.program.exact()
        if axis is not None:
            base = along(base, axis)
        program = base if name is None else replace(base, name=checked_name(name))
        if rule is not None:
            program = with_rule(program, as_rule(rule), kind)  # type: ignore[arg-type]
            program = of_allowed_size(program, function.function)
        return Activation(program, function.function, given)
    check_not_rewritten(function, *parts(rule))
    return Activation(define(function, as_rule(rule), kind, name, host, axis), function, given)  # type: ignore[arg-type]


activation.autograph_info__ = {}  # type: ignore[attr-defined]  # called in a tf.function, as it is


def from_json(text: str | bytes) -> Activation:
    """The activation that `to_json()` wrote. Nothing stored is run; `ProgramError` says what is wrong."""
    return Activation(storage.from_json(text))


def load(path: str | os.PathLike[str]) -> Activation:
    """The activation that `save(path)` wrote. Raises `ProgramError`."""
    return Activation(storage.load(path))


def _register_with_keras() -> None:
    for kind in (Activation, Polynomial):
        register(kind)
    room("keras")  # its layers register themselves


when_imported("keras", _register_with_keras)
