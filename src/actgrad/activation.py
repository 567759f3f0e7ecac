"""Activation, the object a user holds, and `activation`, which makes one."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

from actgrad.common.files import write_text
from actgrad.common.text import did_you_mean
from actgrad.errors import (
    CallError,
    DefinitionError,
    HostError,
    ProgramError,
    TraceError,
)
from actgrad.frameworks.dispatch import caller
from actgrad.frameworks.hook import when_imported
from actgrad.frameworks.keras_backend import keras_backend
from actgrad.frameworks.names import framework_module
from actgrad.frameworks.sampled import Sampled, sampled
from actgrad.frameworks.trainable import Trainable, trainable
from actgrad.language import storage
from actgrad.language.program import Program
from actgrad.reading.define import check_trainable, define
from actgrad.reading.rule_reader import Rule, with_rule
from actgrad.reading.signature import as_value, is_number, like
from actgrad.study.studied import Studied

if TYPE_CHECKING:
    from actgrad.study.variants import Approximation


class Activation(Studied):
    """An activation function with its derivative, for NumPy, TensorFlow, Keras, PyTorch and JAX.

    Made by `activation`. It is immutable; two with the same content are equal.
    """

    __actgrad_reads__ = True
    autograph_info__: ClassVar[dict[str, Any]] = {}
    """By this TensorFlow's AutoGraph knows that there is nothing here to convert."""

    def __init__(
        self, program: Program, function: Callable[..., Any] | None = None, rules: Any = None
    ) -> None:
        self.program = program
        self._function = function
        self._rules = rules or {}
        self.__name__ = program.name
        self.__doc__ = getattr(function, "__doc__", None) or f"{program.name} = {program}"

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the tensors that it takes."""
        return self.program.inputs

    @property
    def parameters(self) -> dict[str, Any]:
        """Names and values of the numbers that shape it."""
        return self.program.settings | dict(self.program.fixed)

    def __call__(self, *inputs: Any, **parameters: Any) -> Any:
        """The value, in the framework and the dtype of the inputs.

        Without inputs, the same activation with other parameter values; with `scaled=True` its
        derivative is then brought into scale, as `scaled()` does. Raises `CallError` for a
        wrong number of inputs or an unknown parameter, and `DtypeError` for integer tensors.
        """
        program = self.program
        if parameters or len(inputs) != len(program.inputs):
            return self._call_with(inputs, parameters)
        return caller(inputs)(program, inputs, parameters)

    def _call_with(self, inputs: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        if not inputs:
            return self._with(parameters)
        program = self.program
        self._check_parameters(parameters)
        for name, value in parameters.items():
            wrong = value is None or isinstance(
                value, (bool, str, bytes, complex, Trainable, Sampled)
            )
            if wrong and name not in dict(program.fixed):
                raise self._not_a_number(name, value)
        if len(inputs) != len(program.inputs):
            raise CallError(
                f"{self.name!r} takes {len(program.inputs)} input{'s' * (len(program.inputs) != 1)} "
                f"({', '.join(program.inputs)}), and got {len(inputs)}\n"
                f"  Parameters go by keyword: {self.name}({', '.join(program.inputs)}, name=value)."
            )
        if program.fixed and parameters.keys() & dict(program.fixed).keys():
            fixed = {n: parameters.pop(n) for n in list(parameters) if n in dict(program.fixed)}
            return self._with(fixed)(*inputs, **parameters)
        lengths = {n: self._length(n, parameters[n]) for n, _ in program.vectors if n in parameters}
        if any(lengths.get(n, len(entries)) != len(entries) for n, entries in program.vectors):
            # The numbers do not matter, as all are given; a reading is checked with some.
            others = {n: [0.37 + 0.1 * i for i in range(size)] for n, size in lengths.items()}
            return self._with(others)(*inputs, **parameters)
        parameters = program.spread(parameters)
        tensors = (*inputs, *parameters.values())
        return caller(tensors)(program, inputs, parameters)

    def _length(self, name: str, value: Any) -> int:
        """How many entries a value has for a parameter that is a vector."""
        shape = getattr(value, "shape", None)
        size = (
            (shape[0] if len(shape) else None)
            if shape is not None
            else (len(value) if isinstance(value, (list, tuple)) else None)
        )
        if not size:
            raise CallError(
                f"the parameter {name!r} of {self.name!r} is a vector, and {value!r:.80} is none\n"
                f"  Give it a list, or a tensor whose first dimension has its entries."
            )
        return int(size)

    def _check_parameters(self, parameters: dict[str, Any]) -> None:
        for name in parameters:
            if name not in self.parameters:
                known = ", ".join(map(repr, self.parameters)) or "none"
                hint = did_you_mean(name, self.parameters, f"it has {known}")
                raise CallError(f"{self.name!r} has no parameter {name!r}; {hint}")

    def _with(self, parameters: dict[str, Any]) -> Activation:
        """The same with other parameter values, and with `scaled=True` brought into scale."""
        if "scaled" in parameters and "scaled" not in self.parameters:
            rest = {name: value for name, value in parameters.items() if name != "scaled"}
            shaped = self._with(rest)
            return shaped.scaled() if parameters["scaled"] else shaped
        if not parameters:
            return self
        self._check_parameters(parameters)
        fixed = parameters.keys() & dict(self.program.fixed).keys()
        if fixed:
            if self._function is None:
                raise CallError(
                    f"{sorted(fixed)} of {self.name!r} shaped it while it was read (a loop's length, an "
                    f"option), and its Python function is not at hand: define it anew with the other value"
                )
            return self._reread(self._function, parameters)
        for name, value in parameters.items():
            if not is_number(value):
                raise self._not_a_number(name, value)
        for name, entries in self.program.vectors:
            if name in parameters and self._length(name, parameters[name]) != len(entries):
                if self._function is None:
                    raise CallError(
                        f"the parameter {name!r} of {self.name!r} has {len(entries)} numbers, and its Python "
                        f"function is not at hand to be read for {self._length(name, parameters[name])}: "
                        f"define it anew with the other length"
                    )
                return self._reread(self._function, parameters)
        given = {n: as_value(v) for n, v in self.program.spread(parameters).items()}
        values = dict(self.program.parameters) | given
        return Activation(
            replace(self.program, parameters=tuple(values.items())), self._function, self._rules
        )

    def _not_a_number(self, name: str, value: Any) -> CallError:
        hint = f"\n  {self.name}.layer({name}=...) and .module(...) take one."
        return CallError(
            f"the parameter {name!r} of {self.name!r} must be a number, and is {value!r}"
            + hint * isinstance(value, (Trainable, Sampled))
        )

    def _reread(self, function: Callable[..., Any], parameters: dict[str, Any]) -> Activation:
        values = self.parameters | parameters

        def with_values(rule: Any) -> Any:
            if isinstance(rule, tuple):
                return tuple(map(with_values, rule))
            if isinstance(rule, dict):
                return {name: with_values(part) for name, part in rule.items()}
            if not callable(rule) or isinstance(rule, Activation):
                return rule
            known = inspect.signature(rule).parameters
            return functools.partial(
                rule, **{n: like(known[n].default, v) for n, v in values.items() if n in known}
            )

        rules: dict[str, Any] = {kind: with_values(rule) for kind, rule in self._rules.items()}
        return activation(with_values(function), name=self.name, **rules)

    # Derivatives.

    @cached_property
    def derivative(self) -> Any:
        """The derivative in force, as an activation; a tuple of them for several inputs."""
        return self._derivatives(self.program)

    def partial(self, name: str) -> Any:
        """The derivative in force by one input or parameter, as an activation of the same arguments.

        By a parameter that is a vector it is a tuple of them, one for each entry.

        Raises `CallError` for a name that it has not, and `NoDerivativeError` where there is none: with
        a `gradient=` rule, or by a parameter of a host function that its rule does not name.

        >>> power = activation(lambda x, a=2.0: x * a, name="power")
        >>> power.partial("a")(3.0), power.partial("x")(3.0)
        (3.0, 2.0)
        """
        entries = dict(self.program.vectors).get(name)
        if entries is not None:
            return tuple(Activation(self.program.partial(entry)) for entry in entries)
        names = [*self.program.inputs, *self.program.settings]
        if name not in names:
            raise CallError(
                f"{self.name!r} has no derivative by {name!r}; it has one by "
                f"{', '.join(map(repr, names))}"
            )
        return Activation(self.program.partial(name))

    @cached_property
    def exact_derivative(self) -> Any:
        """The derivative by rule, of the branch that Python takes, whatever was declared."""
        return self._derivatives(self.program.exact())

    @staticmethod
    def _derivatives(program: Program) -> Any:
        found = tuple(Activation(program.partial(name)) for name in program.inputs)
        return found[0] if len(found) == 1 else found

    # In frameworks.

    def source(self, framework: str) -> str:
        """The generated code for a framework: a file that stands alone. Needs no framework installed.

        For Keras it is the code of its backend.
        """
        backend = keras_backend() if framework == "keras" else framework
        return str(framework_module(backend).source(self.program))

    def native(self, framework: str) -> Callable[..., Any]:
        """The framework's own function: inputs by position, parameters by keyword."""
        function: Callable[..., Any] = framework_module(framework).native(self.program)
        if not self.program.vectors:
            return function

        def of_vectors(*inputs: Any, **parameters: Any) -> Any:
            return function(*inputs, **self.program.spread(parameters))

        return of_vectors

    def layer(self, name: str | None = None, **parameters: Any) -> Any:
        """A Keras layer. Parameters may be numbers, `trainable(...)` or `sampled(...)`.

        Raises `CallError` for anything else, and warns where a parameter cannot be learnt as the
        derivative by it is zero everywhere (`ZeroDerivativeWarning`, `SurrogateWarning`).
        """
        shaped, parameters = self._shaped(parameters)
        return framework_module("keras").layer(shaped.program, name, parameters)

    def _shaped(self, parameters: dict[str, Any]) -> tuple[Activation, dict[str, Any]]:
        """With those parameters put in that shape the reading (a loop's length), and the others."""
        self._check_parameters(parameters)
        fixed = {n: v for n, v in parameters.items() if n in dict(self.program.fixed)}
        for name, value in fixed.items():
            if isinstance(value, (Trainable, Sampled)):
                raise CallError(
                    f"the parameter {name!r} of {self.name!r} shaped it while it was read (a loop's "
                    f"length, an option), so it cannot be learnt or drawn"
                )
        rest = {n: v for n, v in parameters.items() if n not in fixed}
        shaped = self._with(fixed) if fixed else self
        starts = {n: v.initial if isinstance(v, Trainable) else v for n, v in rest.items()}
        vectors = dict(shaped.program.vectors)
        # A vector may start with another length.
        shaped = shaped._with({n: v for n, v in starts.items() if n in vectors and is_number(v)})
        for name, value in rest.items():
            shaped._check_setting(name, value)
        return shaped, rest

    def _check_setting(self, name: str, value: Any) -> None:
        """That a layer or a module can be given this for a parameter; warn where it cannot be learnt."""
        if isinstance(value, Trainable):
            entries = dict(self.program.vectors).get(name, (name,))
            if not set(entries) <= set(self.program.differentiable):
                raise HostError(
                    f"{self.name!r} runs on the host (host=True), so its derivative by {name!r} is not "
                    f"known and {name!r} cannot be learnt\n"
                    f"  Name it in the rule: {{{name!r}: ...}}."
                )
            at = self if value.initial is None else self._with({name: value.initial})
            check_trainable(at.program, name)
        elif isinstance(value, Sampled):
            if name in dict(self.program.vectors):
                raise CallError(
                    f"the parameter {name!r} of {self.name!r} is a vector, and only a number can be drawn"
                )
        elif not is_number(value):
            said = (
                f"the function `{value.__name__}` itself"
                if value in (trainable, sampled)
                else f"{value!r:.80}"
            )
            raise CallError(
                f"the parameter {name!r} of {self.name!r} must be a number, `trainable(...)` or "
                f"`sampled(...)`, and is {said}\n  To learn it: {name}=trainable()."
            )

    def module(self, **parameters: Any) -> Any:
        """A PyTorch module. Parameters may be numbers, `trainable(...)` or `sampled(...)`.

        Raises `CallError` for anything else, and warns where a parameter cannot be learnt as the
        derivative by it is zero everywhere (`ZeroDerivativeWarning`, `SurrogateWarning`).
        """
        shaped, parameters = self._shaped(parameters)
        return framework_module("torch").module(shaped.program, parameters)

    # As data.

    def to_json(self) -> str:
        """The activation as text: data, no code. Equal activations give equal texts."""
        return storage.to_json(self.program)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json()` to a file, at once: a crash leaves the old file as it was."""
        write_text(path, self.to_json())

    def get_config(self) -> dict[str, Any]:
        """What Keras stores."""
        return {"program": self.to_json()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Activation:
        return from_json(config["program"])

    def __reduce__(self) -> Any:
        return from_json, (self.to_json(),)

    def __copy__(self) -> Activation:
        return self

    def __deepcopy__(self, memo: Any) -> Activation:
        return self

    def __eq__(self, other: object) -> bool:
        return self.program == other.program if isinstance(other, Activation) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.program)

    def __repr__(self) -> str:
        arguments = [*self.inputs, *(f"{n}={v!r}" for n, v in self.parameters.items())]
        how = {
            "exact": "",
            "derivative": ", derivative given",
            "surrogate": ", surrogate derivative",
            "gradient": ", whole gradient given",
        }[self.program.kind]
        where = (
            ", runs on the host: cannot be saved, exported or compiled by XLA"
            if self.program.on_host
            else ""
        )
        return f"<activation {self.name}({', '.join(arguments)}) = {self.program}{how}{where}>"

    # New activations from this one.

    def scaled(self) -> Activation:
        """The same function, its derivative in force multiplied by c = √(E f² / E s²), as a surrogate.

        Then a network whose weights have the forward gain passes gradients at their size: chi = 1.
        c belongs to the present parameter values, and stays if those are changed later.

        Raises `CallError` if there is no such c: several inputs, a `gradient=` rule, a zero derivative.

        Source: Zenke and Vogels 2021 (scale matters, shape hardly).

        >>> from actgrad import surrogates
        >>> step = surrogates.fast_sigmoid(slope=100.0)
        >>> round(step.propagation().chi, 5), round(step.scaled().propagation().chi, 5)
        (0.00532, 1.0)
        """
        from actgrad.study.variants import scaled

        return Activation(scaled(self.program))

    def standardised(self, **parameters: Any) -> Activation:
        """(f - E f(Z)) / √Var f(Z): mean 0 and variance 1 for a standard normal input.

        The derivative in force is divided by the same number. Keyword arguments are parameter values.

        Raises `CallError` if the variance is 0 or not finite.

        >>> square = activation(lambda x: x**2, name="square")
        >>> round(float(square.standardised()(2.0)), 6)
        2.12132
        """
        from actgrad.study.variants import standardised

        return Activation(standardised(self._with(parameters).program))

    def polynomial(
        self, degree: int, interval: tuple[float, float] = (-3.0, 3.0), **parameters: Any
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

        return Polynomial(polynomial(self._with(parameters).program, degree, interval))

    @property
    def function(self) -> Callable[..., Any] | None:
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
    name: str | None = None,
    host: bool = False,
) -> Callable[[Callable[..., Any]], Activation]: ...
@overload
def activation(
    function: Callable[..., Any],
    *,
    derivative: Rule = None,
    surrogate: Rule = None,
    gradient: Rule = None,
    name: str | None = None,
    host: bool = False,
) -> Activation: ...
def activation(
    function: Callable[..., Any] | None = None,
    *,
    derivative: Rule = None,
    surrogate: Rule = None,
    gradient: Rule = None,
    name: str | None = None,
    host: bool = False,
) -> Any:
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
        return lambda function: activation(function, name=name, host=host, **given)
    if not callable(function):
        raise DefinitionError(
            f"activation takes a function, and got {function!r} ({type(function).__name__})"
        )
    kind, rule = next(iter(given.items()), ("exact", None))
    if isinstance(function, Activation):
        base = function.program if rule is None else function.program.exact()
        program = base if name is None else replace(base, name=name)
        if rule is not None:
            program = with_rule(program, _as_rule(rule), kind)  # type: ignore[arg-type]
        return Activation(program, function.function, given)
    rewritten = [f for f in (function, *_parts(rule)) if "__autograph_generated_file" in _file(f)]
    if rewritten:
        written = getattr(rewritten[0], "__name__", "?")
        raise TraceError(
            f"{written!r} is written inside of a tf.function, where AutoGraph has rewritten it: "
            f"it is no longer your Python\n"
            f"  Define it outside, and call it inside; or use `tf.function(..., autograph=False)`."
        )
    program = define(function, _as_rule(rule), kind, name, host)  # type: ignore[arg-type]
    return Activation(program, function, given)


activation.autograph_info__ = {}  # type: ignore[attr-defined]  # called in a tf.function, as it is


def _file(function: Any) -> str:
    return getattr(getattr(function, "__code__", None), "co_filename", "")


def _parts(rule: Rule) -> Iterable[Any]:
    """The functions of which a rule is made."""
    return rule.values() if isinstance(rule, dict) else rule if isinstance(rule, tuple) else (rule,)


def _as_rule(rule: Rule) -> Rule:
    if isinstance(rule, tuple):
        return tuple(map(_as_rule, rule))
    if isinstance(rule, dict):
        return {name: _as_rule(part) for name, part in rule.items()}
    return rule.program if isinstance(rule, Activation) else rule


def from_json(text: str | bytes) -> Activation:
    """The activation that `to_json()` wrote. Nothing stored is run; `ProgramError` says what is wrong."""
    return Activation(storage.from_json(text))


def load(path: str | os.PathLike[str]) -> Activation:
    """The activation that `save(path)` wrote."""
    try:
        size = os.path.getsize(path)
        if size > storage.MAX_BYTES:
            raise ProgramError(
                f"{path} has {size:,} bytes, more than the {storage.MAX_BYTES:,} allowed"
            )
        text = Path(path).read_bytes()
    except OSError as error:
        raise ProgramError(f"{path} cannot be read: {error.strerror}") from error
    return Activation(storage.from_json(text, source=str(path)))


def _register_with_keras() -> None:
    for kind in (Activation, Polynomial):
        framework_module("keras").register(kind)


when_imported("keras", _register_with_keras)
