"""Derivatives that a function takes by `torch.autograd.functional`, whose results are constants unless it
is called with `create_graph=True`.
"""

from __future__ import annotations

from actgrad.common.types import Function
from actgrad.reading.libraries import gradients
from actgrad.reading.libraries.gradients import Places, each_of, jacobian_of
from actgrad.reading.libraries.meanings import stop_gradient
from actgrad.reading.libraries.totals import Total

MEANINGS = ("torch_jacobian", "torch_hessian", "torch_vjp", "torch_jvp", "torch_vhp")


def _constant(value: object) -> object:
    return Total(stop_gradient(value.terms)) if isinstance(value, Total) else stop_gradient(value)


def _kept(found: object, create_graph: bool) -> object:
    return found if create_graph else each_of(found, _constant)


def _primals(inputs: object) -> tuple[object, ...]:
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def _like(inputs: object, found: tuple[object, ...]) -> object:
    return found if isinstance(inputs, (tuple, list)) else found[0]


def _by(inputs: object) -> Places:
    return tuple(range(len(inputs))) if isinstance(inputs, (tuple, list)) else 0


def torch_jacobian(g: Function, inputs: object, create_graph: bool = False) -> object:
    """`torch.autograd.functional.jacobian(g, x)`."""
    return _kept(jacobian_of(g, _by(inputs))(*_primals(inputs)), create_graph)


def torch_hessian(g: Function, inputs: object, create_graph: bool = False) -> object:
    """`torch.autograd.functional.hessian(g, x)`."""
    return _kept(gradients.hessian_of(g, _by(inputs))(*_primals(inputs)), create_graph)


def torch_vjp(
    g: Function, inputs: object, v: object = None, create_graph: bool = False
) -> tuple[object, object]:
    """`torch.autograd.functional.vjp(g, x, v)`: the value, and v times its derivative."""
    value, pull = gradients.vjp(g, *_primals(inputs))
    found = _like(inputs, pull(1.0 if v is None else v))
    return _kept(value, create_graph), _kept(found, create_graph)


def torch_jvp(
    g: Function, inputs: object, v: object = None, create_graph: bool = False
) -> tuple[object, object]:
    """`torch.autograd.functional.jvp(g, x, v)`: the value, and its derivative along v."""
    primals = _primals(inputs)
    tangents = (1.0,) * len(primals) if v is None else _primals(v)
    value, along = gradients.jvp(g, primals, tangents)
    return _kept(value, create_graph), _kept(along, create_graph)


def torch_vhp(
    g: Function, inputs: object, v: object = None, create_graph: bool = False
) -> tuple[object, object]:
    """`torch.autograd.functional.vhp(g, x, v)` and `hvp`: the value, and its second derivative times v."""
    primals = _primals(inputs)
    every = tuple(range(len(primals)))
    upstream = (1.0,) * len(primals) if v is None else _primals(v)
    _, pull = gradients.vjp(jacobian_of(g, every), *primals)
    found = _like(inputs, pull(upstream))
    return _kept(g(*primals), create_graph), _kept(found, create_graph)
