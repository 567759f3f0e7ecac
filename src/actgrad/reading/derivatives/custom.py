"""Recognises the functions with custom gradients of each library, and makes what stands in for them."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from actgrad.reading.derivatives.jax_rules import CustomJvp, CustomVjp, FilterJvp, FilterVjp
from actgrad.reading.derivatives.rules import (
    Function,
    WithGradient,
    gradients_of,
    pass_through,
    plain_rule,
    value_of,
    with_gradient,
)
from actgrad.reading.libraries import names
from actgrad.reading.reader import Environment
from actgrad.reading.surroundings.origins import public, root_of
from actgrad.reading.surroundings.weights import is_any
from actgrad.reading.surroundings.wrappers import is_made_by

_OWN_TO_TORCH = ("_backward_cls", "_compiled_autograd_backward_state")
"""What PyTorch's metaclass adds to a class."""


def shadow(environment: Environment, kind: Any) -> type:
    """A user's `torch.autograd.Function` again, on copies of its methods."""
    bases = tuple(
        Function if base.__module__ == "torch.autograd.function" else environment.copy(base)
        for base in kind.__bases__
    )
    body = {
        name: item
        for name, item in vars(kind).items()
        if name not in (*_OWN_TO_TORCH, "__dict__", "__weakref__")
    }
    copy = type(kind.__name__, bases, {})
    environment.copies[id(kind)] = copy
    for name, item in body.items():
        if isinstance(item, staticmethod):
            item = staticmethod(plain_rule(item.__func__))
        if isinstance(item, (staticmethod, classmethod)) or not name.startswith("__"):
            setattr(copy, name, environment.member(item))
    copy.__module__ = kind.__module__
    return copy


_DECORATORS: dict[str, object] = {
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


def stand_in(environment: Environment, value: Any) -> object:
    """What stands in for a function with a custom gradient, or for what makes one; or None."""
    if not callable(value) or isinstance(value, types.ModuleType):
        return None
    if root_of(value) in ("torch", "tensorflow", "keras", "jax"):
        for path, decorator in _DECORATORS.items():
            if public(path) is value:
                return decorator
    base = public("torch.autograd.Function")
    if isinstance(value, type):
        return shadow(environment, value) if base and issubclass(value, base) else None
    if isinstance(value, types.FunctionType):
        derivative = _derivative(environment, value)
        if derivative is not None:
            return derivative
    owner = getattr(value, "__self__", None)
    if base and isinstance(owner, type) and issubclass(owner, base):
        return getattr(environment.copy(owner), value.__name__)
    if _is_tensorflows(value):
        return _tensorflow(environment, value)
    users = _users_function(value)
    if users is not None:
        return WithGradient(environment.copy(users), hasattr(value, "forward_fn"))
    if is_any(value, _EQUINOX):
        return _equinox(environment, value)
    return _jax(environment, value) if type(value).__module__.startswith("jax.") else None


def _is_tensorflows(value: object) -> bool:
    """Whether `tf.custom_gradient`, or one of its relatives, has made it."""
    maker = public("tensorflow.custom_gradient")
    return maker is not None and type(value).__module__ == maker.__module__


def _users_function(value: Any) -> object:
    """The user's function under `keras.ops.custom_gradient` or `jax.custom_gradient`, or None."""
    if type(value).__name__ == "custom_gradient" and type(value).__module__.startswith("keras."):
        return value.forward_fn if hasattr(value, "forward_fn") else value.fun
    if getattr(value, "__name__", None) == "fun_with_custom_gradient_wrapper":
        return _users_function(_closure(value, "fun_with_custom_gradient"))
    vjp = public("jax.custom_vjp")
    if vjp is None or not isinstance(value, vjp) or _is_users(value.fwd):
        return None
    return _closure(value.fwd, "fun")


def _closure(function: Any, name: str) -> Any:
    return inspect.getclosurevars(function).nonlocals[name]


def _tensorflow(environment: Environment, value: Any) -> object:
    """A function under `tf.custom_gradient`, or one of its relatives, which are written with it."""
    function = environment.copy(value.__wrapped__)
    if is_made_by("tensorflow.grad_pass_through", value):
        return pass_through(function)
    return function if is_made_by("tensorflow.recompute_grad", value) else WithGradient(function)


def _jax(environment: Environment, value: object) -> object:
    jvp, vjp = public("jax.custom_jvp"), public("jax.custom_vjp")
    if not isinstance(value, (jvp, vjp)):
        return None
    copied: Any
    if isinstance(value, jvp):
        copied = CustomJvp(environment.copy(value.fun), value.nondiff_argnums)
        environment.copies[id(value)] = copied
        if "defjvps" in getattr(value.jvp, "__qualname__", ""):
            copied.defjvps(*(environment.copy(rule) for rule in _closure(value.jvp, "jvps")))
        elif value.jvp is not None:
            copied.defjvp(environment.copy(value.jvp), value.symbolic_zeros)
        return copied
    copied = CustomVjp(environment.copy(value.fun), value.nondiff_argnums)
    environment.copies[id(value)] = copied
    if value.fwd is not None:
        copied.defvjp(
            environment.copy(value.fwd), environment.copy(value.bwd), value.symbolic_zeros
        )
    return copied


_EQUINOX = ("equinox.filter_custom_vjp", "equinox.filter_custom_jvp")


def _equinox(environment: Environment, value: Any) -> object:
    users = environment.copy(_equinox_users(value))
    if is_any(value, _EQUINOX[:1]):
        copied: Any = FilterVjp(users)
        environment.copies[id(value)] = copied
        copied.defvjp(environment.copy(value.fn_fwd), environment.copy(value.fn_bwd))
        return copied
    copied = FilterJvp(users)
    environment.copies[id(value)] = copied
    if value.fn.jvp is not None:
        copied.defjvp(environment.copy(_closure(value.fn.jvp, "fn_jvp")))
    return copied


def _equinox_users(value: Any) -> object:
    """The user's function under one of Equinox's decorators."""
    return value.fn if is_any(value, _EQUINOX[:1]) else _closure(value.fn.fun, "fn")


_DIFFERENTIATING = (
    *("jax.grad", "jax.value_and_grad", "jax.jacrev", "jax.jacfwd"),
    *("torch.func.grad", "torch.func.grad_and_value", "torch.func.jacrev", "torch.func.jacfwd"),
)


def _derivative(environment: Environment, value: types.FunctionType) -> object:
    """What stands in for a function that `jax.grad` or a relative made before, or None."""
    root = root_of(value)
    if root not in ("jax", "torch") or not hasattr(value, "__wrapped__"):
        return None
    makers = (p for p in _DIFFERENTIATING if p.startswith(root) and is_made_by(p, value))
    maker = next(makers, None)
    made = names.meaning(public(maker)) if maker else None
    if made is None:
        return None
    held = _held(value)
    options = {option: held[option] for option in ("argnums", "has_aux")}
    return made(environment.copy(value.__wrapped__), **options)


def _held(function: types.FunctionType) -> dict[str, Any]:
    """The names that a library's functions within one hold, the outer ones first."""
    names: dict[str, Any] = {}
    queue = [function]
    while queue:
        held = inspect.getclosurevars(queue.pop(0)).nonlocals
        names = {**held, **names}
        queue += [
            item
            for item in held.values()
            if isinstance(item, types.FunctionType) and root_of(item) == root_of(function)
        ]
    return names


def _is_users(function: object) -> bool:
    """Whether it is no function that JAX has written; nor is none."""
    return not str(getattr(function, "__module__", "")).startswith("jax.")


# A custom gradient passed to `activation`.


class Applied:
    """A function with a custom gradient, under the name and with the arguments of the user's own."""

    def __init__(
        self, target: object, call: Callable[..., object], users: Any, skip: int = 0
    ) -> None:
        self.target = target
        """What has a copy in the sandbox: a `torch.autograd.Function`, or the function."""
        self.original = call
        self.defined_by = users
        self.__name__ = getattr(users, "__name__", "function")
        self.__doc__ = users.__doc__
        self.__signature__ = inspect.Signature(
            list(inspect.signature(users).parameters.values())[skip:]
        )

    def __call__(self, *args: object, **kwargs: Function) -> object:
        return self.original(*args, **kwargs)

    def copied(self, environment: Environment) -> object:
        copy: object = environment.copy(self.target)
        function: Any = getattr(copy, "apply") if inspect.isclass(copy) else copy  # noqa: B009
        signature = self.__signature__

        def call(*args: object, **kwargs: object) -> object:
            bound = signature.bind(*args, **kwargs)
            return function(*bound.args, **bound.kwargs)

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

    def __call__(self, *args: object, **kwargs: object) -> object:
        return self.function(*args, **kwargs)

    def copied(self, environment: Environment) -> object:
        copy = environment.copy(self.function)
        outer = inspect.signature(self.function)
        inputs = [p.name for p in outer.parameters.values() if p.default is p.empty]

        def call(*args: object, **kwargs: object) -> object:
            arguments = dict(self.__signature__.bind(*args, **kwargs).arguments)
            upstream = arguments.pop("upstream", None)
            bound = outer.bind(**arguments)

            def run() -> object:
                return copy(*bound.args, **bound.kwargs)

            if not self.gradient:
                return value_of(run)
            found = gradients_of(run, arguments, upstream)
            own = {
                n: 0.0 if found.pop(n) is None else g
                for n, g in found.copy().items()
                if n in inputs
            }
            more = {n: g for n, g in found.items() if g is not None}
            if more:
                return own | more
            return own[inputs[0]] if len(inputs) == 1 else tuple(own[n] for n in inputs)

        call.__name__ = self.__name__
        return call


def adapted(function: Any) -> object:
    """What `activation` reads in the place of a function whose arguments cannot be seen from outside:
    of a `torch.autograd.Function`, and under the decorators of Keras and JAX."""
    base: Any = public("torch.autograd.Function")
    kind: Any = function
    if isinstance(function, types.MethodType) and function.__name__ == "apply":
        kind = function.__self__
    if base and inspect.isclass(kind) and issubclass(kind, base):
        kind = typing.cast(Any, kind)
        forward = plain_rule(kind.forward)
        adapter = Applied(kind, kind.apply, forward, kind.setup_context is base.setup_context)
        adapter.__name__, adapter.__doc__ = kind.__name__, kind.__doc__
        return adapter
    users = _equinox_users(function) if is_any(function, _EQUINOX) else _users_function(function)
    return function if users is None else Applied(function, function, users)
