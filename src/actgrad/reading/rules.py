"""Custom gradients: `torch.autograd.Function`, `tf.custom_gradient`, `jax.custom_vjp` and their relatives.

Value and rule are both run with symbols. The rule is run with a symbolic upstream gradient (or tangent);
its result must be that symbol times a local derivative. The value is then declared to have this derivative.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from actgrad.errors import TraceError
from actgrad.language.expression import (
    Expr,
    const,
    evaluate,
    is_const,
    substitute,
    var,
    variables,
    walk,
)
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, given, number, reader, reading

Parts = tuple[Any, list[Any], Callable[..., Any], Sequence[int]]
"""The outputs of a function, its inputs, the function of its gradients, and the outputs that have none."""

_UPSTREAM = "the upstream gradient"


class NonlinearRuleError(TraceError):
    """A rule whose result is not the upstream gradient times a local derivative."""


class _Without:
    """The reader at work, for code that must not decide on the upstream gradient."""

    def __init__(self, outer: Any, name: str) -> None:
        self._outer, self._name = outer, name

    def decide(self, condition: Expr) -> bool:
        if self._name in variables(condition):
            _nonlinear("branches on the upstream gradient")
        answer: bool = self._outer.decide(condition)
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outer, name)


@contextmanager
def _upstream() -> Iterator[str]:
    """A name for the upstream gradient; a rule that uses another rule has two."""
    outer = reader()
    depth = 0
    at: Any = outer
    while isinstance(at, _Without):
        depth, at = depth + 1, at._outer
    name = f"{_UPSTREAM} {depth}"
    with reading(_Without(outer, name)):
        yield name


def _nonlinear(what: str) -> NoReturn:
    refuse(
        f"the custom gradient {what}, so it is not the upstream gradient times a derivative",
        "Make an activation of that function alone, which keeps the rule as a whole "
        "(`activation(MyFunction.apply)`); or give the rule yourself: "
        "`activation(f, gradient=lambda x, upstream: ...)`.",
        NonlinearRuleError,
    )


def _is_linear(root: Expr, name: str) -> bool:
    """Whether the formula shows that an expression is a variable times something without it."""
    mentions: set[Expr] = set()
    linear: set[Expr] = set()
    for node in walk(root):
        if node.op == "var" and node.value == name:
            mentions.add(node)
            linear.add(node)
        elif any(arg in mentions for arg in node.args):
            mentions.add(node)
            if _keeps_linear(node, mentions, linear):
                linear.add(node)
    return root in linear


def _keeps_linear(node: Expr, mentions: set[Expr], linear: set[Expr]) -> bool:
    """Whether an operation on something linear is linear, too."""

    def scaled(*args: Expr) -> bool:
        return all(arg in linear or is_const(arg, 0.0) for arg in args)

    if node.op in {"neg", "given"}:
        return node.args[0] in linear
    if node.op in {"add", "sub"}:
        return scaled(*node.args)
    if node.op in {"mul", "div", "select"}:
        first, *rest = node.args
        if node.op == "select":
            return first not in mentions and scaled(*rest)
        if first in linear:
            return rest[0] not in mentions
        return node.op == "mul" and first not in mentions and rest[0] in linear
    return False


_SCALES = (-1e6, -37.5, -2.0, -0.75, -1e-3, 1e-6, 0.3, 1.7, 12.0, 4e3, 1e8)


def _measures_linear(root: Expr, unit: Expr, name: str) -> bool:
    """Whether an expression is, at many points, a variable times `unit`."""
    steps = np.arange(1, 41)
    points = np.concatenate([0.137 * steps * (1 + 0.0137 * steps), -0.131 * steps, [1e-4, 31.7]])
    names = sorted(variables(root) - {name})
    values = {n: np.roll(points, 17 * i) for i, n in enumerate(names)}
    slope = np.broadcast_to(evaluate(unit, values), points.shape)
    for scale in _SCALES:
        found = evaluate(root, values | {name: np.full(points.shape, scale)})
        if not np.allclose(found, scale * slope, rtol=1e-9, atol=0.0, equal_nan=True):
            return False
    return True


def _coefficient(result: Any, name: str) -> Any:
    """The local derivative in a rule's result, which is the symbol `name` times it."""
    if result is None:
        return 0.0
    symbol = number(result)
    root = symbol.expr
    if is_const(root, 0.0) or is_const(root, -0.0):
        return 0.0
    unit = substitute(root, {name: const(1.0)})
    if not _is_linear(root, name) and not _measures_linear(root, unit, name):
        _nonlinear("is not linear in the upstream gradient")
    return Symbol(unit, symbol.form, symbol.mask)


def _differentiable(value: Any) -> bool:
    return isinstance(value, Symbol) and not value.expr.boolean


def _like(symbol: Symbol) -> Symbol:
    """The symbol as it is now: its code may write into it."""
    return Symbol(symbol.expr, symbol.form, symbol.mask)


def _results(rule: str, found: Any, count: int) -> tuple[Any, ...]:
    """What a rule returned, one for each argument."""
    results = tuple(found) if isinstance(found, (tuple, list)) else (found,)
    while len(results) > count and results[-1] is None:
        results = results[:-1]
    if len(results) != count:
        refuse(
            f"the custom gradient of {rule!r} returns {len(results)} gradients for {count} arguments",
            "Return one for each argument, None for those without.",
        )
    return results


def declared(
    name: str,
    outputs: Any,
    inputs: Sequence[Any],
    backward: Callable[..., Any],
    fixed: Sequence[int] = (),
) -> Any:
    """The outputs with the derivatives by `inputs` that `backward(*upstreams)` says; the outputs at the
    places `fixed` have none."""
    several = isinstance(outputs, (tuple, list))
    parts = list(outputs) if several else [outputs]
    made = []
    for i, output in enumerate(parts):
        plain = isinstance(output, Symbol) and output.expr.boolean
        if output is None or plain or i in fixed:
            made.append(output)
            continue
        output = number(output)
        with _upstream() as upstream:
            shape = (
                output if output.form is not None else next(filter(_differentiable, inputs), output)
            )
            gradients = [Symbol(const(0.0), shape.form, shape.mask) for _ in parts]
            gradients[i] = Symbol(var(upstream), shape.form, shape.mask)
            results = _results(name, backward(*gradients), len(inputs))
            slopes = [
                _coefficient(result, upstream) if _differentiable(x) else None
                for x, result in zip(inputs, results, strict=True)
            ]
        pairs = [
            part
            for x, slope in zip(inputs, slopes, strict=True)
            if slope is not None
            for part in (x, slope)
        ]
        made.append(given(output, *pairs) if pairs else output)
    return type(outputs)(made) if several and type(outputs) in (tuple, list) else made[0]


class Context:
    """What `torch.autograd.Function` calls ctx."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self.saved_tensors: tuple[Any, ...] = ()
        self._fixed: tuple[Any, ...] = ()

    @property
    def saved_variables(self) -> tuple[Any, ...]:
        return self.saved_tensors

    def save_for_backward(self, *tensors: Any) -> None:
        self.saved_tensors = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """For forward mode, which has no rule of its own here."""

    def mark_non_differentiable(self, *outputs: Any) -> None:
        self._fixed = outputs

    def mark_dirty(self, *inputs: Any) -> None:
        """Says what the forward pass wrote into; that it did so is seen where it happens."""

    def set_materialize_grads(self, value: bool) -> None:
        """Of an output that is not used: it has no part in the result."""


def _plain_rule(function: Any) -> Any:
    """A static method inside of the decorators that PyTorch offers for one (`once_differentiable`,
    `torch.amp.custom_fwd`): they compute the same."""
    while True:
        home = getattr(function, "__globals__", {}).get("__name__", "")
        inner = getattr(function, "__wrapped__", None)
        if inner is None or home not in ("torch.autograd.function", "torch.amp.autocast_mode"):
            return function
        function = inner


class Function:
    """Stands in for `torch.autograd.Function`, of which the user's class is derived."""

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        return declared(cls.__name__, *cls._run(*args, **kwargs))

    @classmethod
    def _run(cls, *args: Any, **kwargs: Any) -> Parts:
        kind: Any = cls
        split = hasattr(kind, "setup_context")
        if split or kwargs:
            skip = () if split else (None,)
            bound = inspect.signature(kind.forward).bind(*skip, *args, **kwargs)
            bound.apply_defaults()
            args = bound.args[len(skip) :]
        before = [_like(arg) if isinstance(arg, Symbol) else arg for arg in args]
        context = Context(tuple(map(_differentiable, args)))
        if split:
            outputs = kind.forward(*args)
            kind.setup_context(context, args, outputs)
        else:
            outputs = kind.forward(context, *args)
        parts = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        fixed = [
            i for i, part in enumerate(parts) if any(part is marked for marked in context._fixed)
        ]

        def backward(*gradients: Any) -> Any:
            rule = getattr(kind, "backward", None) or getattr(kind, "vjp", None)
            if rule is None:
                refuse(
                    f"{cls.__name__!r} has no `backward`",
                    "Give it one, or give the rule with `activation(f, surrogate=...)`.",
                )
            if getattr(kind, "boxed_grads_call", False):
                return rule(context, list(gradients))
            return rule(context, *gradients)

        return outputs, before, backward, fixed


_OWN_TO_TORCH = ("_backward_cls", "_compiled_autograd_backward_state")
"""What PyTorch's metaclass adds to a class."""


def shadow(environment: Any, kind: Any) -> type:
    """A user's `torch.autograd.Function` again, on copies of its methods."""
    bases = tuple(
        Function if _is_torch_function_itself(base) else environment.copy(base)
        for base in kind.__bases__
    )
    body = {
        name: item
        for name, item in vars(kind).items()
        if name not in (*_OWN_TO_TORCH, "__dict__", "__weakref__")
    }
    copy = type(kind.__name__, bases, {})
    environment._copies[id(kind)] = copy
    for name, item in body.items():
        if isinstance(item, staticmethod):
            item = staticmethod(_plain_rule(item.__func__))
        if isinstance(item, (staticmethod, classmethod)) or not name.startswith("__"):
            setattr(copy, name, environment._member(item))
    copy.__module__ = kind.__module__
    return copy


def _is_torch_function_itself(kind: Any) -> bool:
    return kind.__module__ == "torch.autograd.function"


class WithGradient:
    """A function that returns its value and the function of the gradient, as TensorFlow, Keras and
    `jax.custom_gradient` have it."""

    __actgrad_reads__ = True

    def __init__(self, function: Any, by_name: bool = False) -> None:
        self.function = function
        self.by_name = by_name
        """Whether the gradient is called with the inputs, and `upstream=`: Keras does so on PyTorch."""
        self.__name__ = getattr(function, "__name__", "function")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return declared(self.__name__, *self._run(*args, **kwargs))

    def _run(self, *args: Any, **kwargs: Any) -> Parts:
        before = [_like(arg) if isinstance(arg, Symbol) else arg for arg in args]
        returned = self.function(*args, **kwargs)
        if (
            not isinstance(returned, (tuple, list))
            or len(returned) != 2
            or not callable(returned[1])
        ):
            refuse(
                f"{self.__name__!r} has a custom gradient, and does not return a value and the function of "
                f"its gradient",
                "Return `value, grad`, where `grad(upstream)` gives the gradient.",
            )
        value, gradient = returned

        def backward(*upstream: Any) -> Any:
            return gradient(*args, upstream=upstream[0]) if self.by_name else gradient(*upstream)

        return value, before, backward, ()


def with_gradient(f: Any = None) -> Any:
    return WithGradient if f is None else WithGradient(f)


def pass_through(f: Any) -> Any:
    """`tf.grad_pass_through(f)`: the value of f, the derivative of the identity."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return declared("grad_pass_through", f(*args, **kwargs), args, lambda *upstream: upstream)

    return call


class _Custom:
    """What `jax.custom_jvp` and `jax.custom_vjp` share."""

    __actgrad_reads__ = True

    def __init__(self, fun: Any, nondiff_argnums: Any = (), nondiff_argnames: Any = ()) -> None:
        self.fun = fun
        self.__name__ = getattr(fun, "__name__", "function")
        names = list(inspect.signature(fun).parameters)
        numbers = [i % len(names) for i in nondiff_argnums]
        self.fixed = sorted({*numbers, *map(names.index, nondiff_argnames)})

    def _arguments(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """All arguments, those with a derivative, and those without."""
        bound = inspect.signature(self.fun).bind(*args, **kwargs)
        bound.apply_defaults()
        every = list(bound.args)
        inputs = [
            _like(arg) if isinstance(arg, Symbol) else arg
            for i, arg in enumerate(every)
            if i not in self.fixed
        ]
        return every, inputs, [every[i] for i in self.fixed]

    def _rule(self, rule: Any) -> Any:
        if rule is None:
            refuse(
                f"{self.__name__!r} has no rule for its derivative yet",
                "Define it before the activation is made, with `defjvp` or `defvjp`.",
            )
        return rule


class CustomVjp(_Custom):
    """`jax.custom_vjp`."""

    fwd: Any = None
    bwd: Any = None

    def defvjp(self, fwd: Any, bwd: Any, symbolic_zeros: bool = False, **_: Any) -> None:
        self.fwd, self.bwd = fwd, bwd
        if symbolic_zeros:
            _symbolic_zeros()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return declared(self.__name__, *self._run(*args, **kwargs))

    def _run(self, *args: Any, **kwargs: Any) -> Parts:
        every, inputs, fixed = self._arguments(args, kwargs)
        outputs = self.fun(*every)
        _, residuals = self._rule(self.fwd)(*every)
        rule = self._rule(self.bwd)

        def backward(*upstream: Any) -> Any:
            several = isinstance(outputs, (tuple, list))
            return rule(*fixed, residuals, upstream if several else upstream[0])

        return outputs, inputs, backward, ()


class CustomJvp(_Custom):
    """`jax.custom_jvp`."""

    jvp: Any = None

    def defjvp(self, jvp: Any, symbolic_zeros: bool = False) -> Any:
        self.jvp = jvp
        if symbolic_zeros:
            _symbolic_zeros()
        return jvp

    def defjvps(self, *jvps: Any) -> None:
        def jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
            output = self.fun(*primals)
            total: Any = 0.0
            for tangent, rule in zip(tangents, jvps, strict=True):
                total = total if rule is None else total + rule(tangent, output, *primals)
            return output, total

        self.jvp = jvp

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        every, inputs, fixed = self._arguments(args, kwargs)
        output = self.fun(*every)
        if isinstance(output, (tuple, list)):
            refuse(
                f"{self.__name__!r} has a `custom_jvp` and returns several values",
                "Make a function of each.",
            )
        rule = self._rule(self.jvp)
        pairs: list[Any] = []
        for i, x in enumerate(inputs):
            if not _differentiable(x):
                continue
            with _upstream() as name:
                tangents: list[Any] = [
                    Symbol(const(0.0), y.form, y.mask) if isinstance(y, Symbol) else 0.0
                    for y in inputs
                ]
                tangents[i] = Symbol(var(name), x.form, x.mask)
                _, tangent = rule(*fixed, tuple(inputs), tuple(tangents))
                pairs += [x, _coefficient(tangent, name)]
        return given(output, *pairs) if pairs else output


def _symbolic_zeros() -> NoReturn:
    refuse("a rule with `symbolic_zeros=True`", "Leave it out: here every gradient is a number.")


def _public(path: str) -> Any:
    """What a library offers under a path, if the library was imported."""
    root, *names = path.split(".")
    value = sys.modules.get(root)
    for name in names:
        value = getattr(value, name, None)
    return value


_DECORATORS: dict[str, Any] = {
    "torch.autograd.Function": Function,
    "tensorflow.custom_gradient": with_gradient,
    "tensorflow.grad_pass_through": pass_through,
    "tensorflow.recompute_grad": lambda f: f,
    "keras.ops.custom_gradient": with_gradient,
    "jax.custom_gradient": with_gradient,
    "jax.custom_jvp": CustomJvp,
    "jax.custom_vjp": CustomVjp,
}
"""What stands in for the libraries' own decorators."""


def stand_in(environment: Any, value: Any) -> Any:
    """What stands in for a function with a custom gradient, or for what makes one; or None."""
    kind = type(value)
    if not callable(value) or isinstance(value, types.ModuleType):
        return None
    made = _made(environment, value, kind.__module__)
    if made is not None:
        environment.uses_frameworks = True
    return made


def _made(environment: Any, value: Any, home: str) -> Any:
    module = getattr(value, "__module__", None)
    if isinstance(module, str) and module.partition(".")[0] in {
        "torch",
        "tensorflow",
        "keras",
        "jax",
    }:
        for path, decorator in _DECORATORS.items():
            if _public(path) is value:
                return decorator
    if isinstance(value, type):
        base = _public("torch.autograd.Function")
        return shadow(environment, value) if base and issubclass(value, base) else None
    owner = getattr(value, "__self__", None)
    if isinstance(owner, type) and isinstance(
        owner, type(_public("torch.autograd.Function") or int)
    ):
        copied = environment.copy(owner)
        if isinstance(copied, type) and issubclass(copied, Function):
            return getattr(copied, value.__name__)
    if home == "tensorflow.python.ops.custom_gradient":
        return _tensorflow(environment, value)
    if home.startswith("keras.src.backend.") and type(value).__name__ == "custom_gradient":
        by_name = hasattr(value, "forward_fn")
        inner = value.forward_fn if by_name else value.fun
        return WithGradient(environment.copy(inner), by_name)
    if home.startswith("jax."):
        return _jax(environment, value)
    if (
        getattr(value, "__qualname__", "")
        == "custom_gradient.<locals>.fun_with_custom_gradient_wrapper"
    ):
        return environment.copy(_closure(value, "fun_with_custom_gradient"))
    return None


def _closure(function: Any, name: str) -> Any:
    return inspect.getclosurevars(function).nonlocals[name]


def _tensorflow(environment: Any, value: Any) -> Any:
    """A function under `tf.custom_gradient`, or one of its relatives, which are written with it."""
    inner = value._f
    if inner.__module__ != type(value).__module__:
        return WithGradient(environment.copy(inner))
    function = environment.copy(value.__wrapped__)
    return pass_through(function) if "pass_through" in inner.__qualname__ else function


def _jax(environment: Any, value: Any) -> Any:
    jvp, vjp = _public("jax.custom_jvp"), _public("jax.custom_vjp")
    if not isinstance(value, (jvp, vjp)):
        return None
    copied: Any
    if isinstance(value, jvp):
        copied = CustomJvp(environment.copy(value.fun), value.nondiff_argnums)
        environment._copies[id(value)] = copied
        if "defjvps" in getattr(value.jvp, "__qualname__", ""):
            copied.defjvps(*(environment.copy(rule) for rule in _closure(value.jvp, "jvps")))
        elif value.jvp is not None:
            copied.defjvp(environment.copy(value.jvp), value.symbolic_zeros)
        return copied
    if "custom_gradient" in getattr(value.fwd, "__qualname__", "") and not _is_users(value.fwd):
        return WithGradient(environment.copy(_closure(value.fwd, "fun")))
    copied = CustomVjp(environment.copy(value.fun), value.nondiff_argnums)
    environment._copies[id(value)] = copied
    if value.fwd is not None:
        copied.defvjp(
            environment.copy(value.fwd), environment.copy(value.bwd), value.symbolic_zeros
        )
    return copied


def _is_users(function: Any) -> bool:
    return not str(getattr(function, "__module__", "")).startswith("jax.")


# A custom gradient passed to `activation`.


class Applied:
    """`MyFunction` or `MyFunction.apply`, with the arguments that its `forward` has."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.__name__ = kind.__name__
        self.__doc__ = kind.__doc__
        forward = list(inspect.signature(_plain_rule(kind.forward)).parameters.values())
        split = kind.setup_context is not _public("torch.autograd.Function").setup_context
        self.__signature__ = inspect.Signature(forward if split else forward[1:])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.kind.apply(*args, **kwargs)

    def copied(self, environment: Any) -> Any:
        environment.uses_frameworks = True
        kind = environment.copy(self.kind)
        signature = self.__signature__

        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            return kind.apply(*bound.args, **bound.kwargs)

        call.__name__ = self.__name__
        return call


class Half:
    """The value, or the whole gradient, of a function whose rule is not linear."""

    def __init__(self, function: Any, gradient: bool) -> None:
        self.function, self.gradient = function, gradient
        self.__name__ = getattr(function, "__name__", "function")
        own = list(inspect.signature(function).parameters.values())
        inputs = [p for p in own if p.default is p.empty]
        rest = [p for p in own if p.default is not p.empty]
        upstream = inspect.Parameter("upstream", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.__signature__ = inspect.Signature([*inputs, *[upstream] * gradient, *rest])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def copied(self, environment: Any) -> Any:
        target = self.function.kind if isinstance(self.function, Applied) else self.function
        run = environment.copy(target)._run
        outer = inspect.signature(self.function)
        inputs = [p.default is p.empty for p in outer.parameters.values()]

        def call(*args: Any, **kwargs: Any) -> Any:
            arguments = dict(self.__signature__.bind(*args, **kwargs).arguments)
            upstream = arguments.pop("upstream", None)
            bound = outer.bind(**arguments)
            value, _, backward, _ = run(*bound.args, **bound.kwargs)
            if not self.gradient:
                return value
            found = _results(self.__name__, backward(upstream), len(bound.arguments))
            chosen = [0.0 if g is None else g for g, own in zip(found, inputs, strict=False) if own]
            return chosen[0] if len(chosen) == 1 else tuple(chosen)

        call.__name__ = self.__name__
        return call


def halves(function: Any) -> tuple[Half, Half] | None:
    """The value and the whole gradient of a function that is nothing but a custom gradient."""
    whole = isinstance(function, Applied) or (
        type(function).__module__ == "tensorflow.python.ops.custom_gradient"
    )
    vjp = _public("jax.custom_vjp")
    if whole or (vjp is not None and isinstance(function, vjp)):
        return Half(function, False), Half(function, True)
    return None


def adapted(function: Any) -> Any:
    """What `activation` reads in the place of a `torch.autograd.Function`; anything else as it is."""
    base = _public("torch.autograd.Function")
    kind = function
    if isinstance(function, types.MethodType) and function.__name__ == "apply":
        kind = function.__self__
    return Applied(kind) if base and isinstance(kind, type) and issubclass(kind, base) else function
