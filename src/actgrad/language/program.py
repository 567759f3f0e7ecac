"""The frozen plan of an activation: names, expression, derivative.

A declared derivative lives inside the expression, as a `given` node, so that derivatives of any order
follow it. A `gradient=` rule stands beside it: one expression per input, of the upstream gradient too,
or one per input and parameter where the rule names a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal
from weakref import WeakValueDictionary

import numpy as np

from actgrad.common.locks import Lock
from actgrad.common.types import Fields
from actgrad.errors import NoDerivativeError
from actgrad.language import adjoint
from actgrad.language.derive import derive
from actgrad.language.expression import (
    LENGTH,
    Expr,
    as_row,
    const,
    evaluate,
    make,
    only_passes_nan,
    plain,
    rebuild,
    show,
    show_lines,
    substitute,
    transform,
    var,
    variables,
    vector,
    walk,
)
from actgrad.language.kept import kept
from actgrad.language.length import Length, N
from actgrad.language.of_rows import OfRows, reverse_only
from actgrad.language.rewrite import rewrite

Kind = Literal["exact", "derivative", "surrogate", "gradient"]
Value = float | tuple[Any, ...]
"""A parameter's value: a number, or nested tuples of them for an array."""


class _MadeOnce(type):
    """Programs with the same content are the same object, as expressions are."""

    def __call__(cls, *args: object, **kwargs: object) -> Any:
        made = super().__call__(*args, **kwargs)
        # By their texts 0.0 and -0.0 are two, and every nan is one.
        by_text = {name: repr(getattr(made, name)) for name in ("parameters", "fixed")}
        content = vars(made) | by_text
        with _one_at_a_time:
            program = _programs.setdefault(tuple(content.values()), made)
            if program is made:
                open_ = tuple((name, 0.0) for name, _ in made.parameters)
                axis = None if made.axis is None else -1
                opened = {"parameters": repr(open_), "fixed": "()", "axis": axis}
                structure = None
                if opened.items() - content.items():
                    # Looked for before it is made: a new number for a parameter is everyday work.
                    structure = _programs.get(tuple((content | opened).values())) or replace(
                        made, parameters=open_, fixed=(), axis=axis
                    )
                # Not a cached property: torch.compile follows this attribute, and no lock.
                object.__setattr__(made, "_structure", structure)
            return program


_programs: WeakValueDictionary[object, Program] = WeakValueDictionary()
_one_at_a_time = Lock()


@dataclass(frozen=True, eq=False)
class Lookup:
    """One place of a program that reads a table."""

    table: str
    index: Program
    """The index, of the same arguments."""
    name: str
    """What is read, as a parameter of the opened program."""
    node: Expr


def is_lookup(node: Expr) -> bool:
    """Whether it reads a table that is a parameter."""
    return node.op == "gather" and node.args[0].op == "var"


def compared(roots: Sequence[Expr], entries: Mapping[str, tuple[str, ...]]) -> list[Expr]:
    """The expressions with what they read of these tables chosen among the entries by comparisons."""

    def chosen(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if not (is_lookup(node) and node.args[0].value in entries):
            return rebuild(node, args)
        *others, last = map(var, entries[str(node.args[0].value)])
        index, found = args[1], last
        for i, entry in reversed(list(enumerate(others))):
            found = make("select", make("lt", index, const(i + 1.0)), entry, found)
        return make("select", make("eq", index, index), found, const(math.nan))

    return transform(roots, chosen)


def entry_by_entry(
    values: Mapping[str, Any], vectors: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Values of parameters by name, each vector's as its entries'."""
    spread: dict[str, Any] = {}
    for name, value in values.items():
        if name in vectors:
            spread.update({entry: value[i] for i, entry in enumerate(vectors[name])})
        else:
            spread[name] = value
    return spread


@dataclass(frozen=True, eq=False)
class Program(OfRows, metaclass=_MadeOnce):
    name: str
    inputs: tuple[str, ...]
    parameters: tuple[tuple[str, Value], ...]
    value: Expr
    kind: Kind = "exact"
    gradient: tuple[Expr, ...] = ()
    fixed: tuple[tuple[str, float | bool | str | None], ...] = ()
    """Parameters whose values are part of the expression, such as a loop's length."""
    vectors: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The parameters that are vectors, each with the names of its entries, which stand in `parameters`."""
    tables: tuple[str, ...] = ()
    """The parameters that are vectors read at a computed index, and stay whole: see `opened`."""
    axis: int | None = None
    """The axis of a tensor along which its rows lie; None where it is elementwise. Kernels have it last."""
    rows: tuple[tuple[str, Length], ...] = ()
    """The inputs that are rows, and the parameters that have a number for each place in one, with their
    lengths. Every other argument is one number, or one for each row."""
    _structure: ClassVar[Program | None] = None

    @property
    def settings(self) -> dict[str, Value]:
        """The parameters as a caller names them: of a vector the numbers, not each entry."""
        values = dict(self.parameters)
        vector_of = {entry: name for name, entries in self.vectors for entry in entries}
        entries = dict(self.vectors)
        settings: dict[str, Value] = {}
        for name, value in self.parameters:
            vector = vector_of.get(name)
            if vector is None:
                settings[name] = value
            else:
                settings.setdefault(vector, tuple(values[entry] for entry in entries[vector]))
        return settings

    def spread(self, parameters: Mapping[str, Any]) -> Fields:
        return entry_by_entry(parameters, dict(self.vectors))

    def shown(self, name: str) -> str:
        """What a user calls it: an entry of a vector `c` is `c[1]`."""
        for owner, entries in self.vectors:
            if name in entries:
                return f"{owner}[{entries.index(name)}]"
        return name

    @property
    def arguments(self) -> tuple[str, ...]:
        """What is a number for each element: inputs before parameters, without the tables."""
        return self.inputs + tuple(name for name, _ in self.parameters if name not in self.tables)

    @property
    def lengths(self) -> dict[str, int]:
        """How many numbers each parameter has that is a vector or a table."""
        tables = {name: len(np.asarray(dict(self.parameters)[name])) for name in self.tables}
        return {name: len(entries) for name, entries in self.vectors} | tables

    @cached_property
    def lookups(self) -> tuple[Lookup, ...]:
        """Where tables are read, but for what only the index of another one needs."""

        def into(node: Expr) -> tuple[Expr, ...]:
            return () if is_lookup(node) else node.args

        nodes = [node for node in walk(*self.expressions, into=into) if is_lookup(node)]
        taken = {*self.arguments, *self.tables, self.upstream}
        found = []
        for i, node in enumerate(nodes):
            table = str(node.args[0].value)
            name = f"{table}_at_{i}"
            while name in taken:
                name += "_"
            others = set(self.tables) - variables(node.args[1])
            index = replace(
                self,
                name=f"{self.name}_index",
                parameters=tuple((n, v) for n, v in self.parameters if n not in others),
                value=node.args[1],
                kind="exact",
                gradient=(),
                tables=tuple(n for n in self.tables if n not in others),
            )
            found.append(Lookup(table, index, name, node))
        return tuple(found)

    @cached_property
    def opened(self) -> Program:
        """The program with what it reads of its tables as further parameters: no table is left, and each
        element is computed of numbers. Frameworks read the tables by operations of their own.
        """
        names = {lookup.node: var(lookup.name) for lookup in self.lookups}
        roots = transform(
            self.expressions,
            lambda node, args: names[node] if node in names else rebuild(node, args),
        )
        plain_ones = tuple((n, v) for n, v in self.parameters if n not in self.tables)
        return replace(
            self,
            parameters=plain_ones + tuple((lookup.name, 0.0) for lookup in self.lookups),
            value=roots[0],
            gradient=tuple(roots[1:]),
            tables=(),
        )

    @cached_property
    def shows_nan(self) -> bool:
        """Whether the opened program is nan of itself where an index is."""
        if not all(only_passes_nan(each.node.args[1]) for each in self.lookups):
            return False
        opened = self.opened
        names = {x for each in self.lookups for x in variables(each.node.args[1])}
        arguments = dict.fromkeys(opened.arguments, 0.5)
        return all(
            np.isnan(evaluate(opened.value, {**arguments, name: math.nan}))
            for name in names.intersection(opened.arguments)
        )

    @cached_property
    def unrolled(self) -> Program:
        """The program with its tables as vectors, each entry chosen by a comparison: to study, as its
        size grows with the tables.
        """
        entries = {t: tuple(f"{t}_{i}" for i in range(self.lengths[t])) for t in self.tables}
        roots = compared(self.expressions, entries)
        return replace(
            self,
            parameters=tuple(entry_by_entry(dict(self.parameters), entries).items()),
            value=roots[0],
            gradient=tuple(roots[1:]),
            vectors=(*self.vectors, *entries.items()),
            tables=(),
        )

    @property
    def structure(self) -> Program:
        """The same for all values of its parameters: what kernels are made for."""
        return self if self._structure is None else self._structure

    @cached_property
    def expressions(self) -> tuple[Expr, ...]:
        return (self.value, *self.gradient)

    @cached_property
    def reverse_only(self) -> tuple[str, ...]:
        """The arguments whose gradient a `gradient=` rule gives."""
        return self.arguments[: len(self.gradient)]

    @cached_property
    def differentiable(self) -> tuple[str, ...]:
        """The arguments by which there is a derivative; of a host function those that its rule names."""
        if not self.on_host:
            return self.arguments
        named = self.value.args[1::2] if self.value.op == "given" else ()
        declared = {*self.reverse_only, *(node.value for node in named)}
        return tuple(name for name in self.arguments if name in declared)

    @cached_property
    def on_host(self) -> bool:
        return any(node.op == "host" for node in walk(*self.expressions))

    @cached_property
    def upstream(self) -> str:
        """The name of the upstream gradient, which no argument has."""
        name = "upstream"
        while name in self.arguments or name in self.tables:
            name += "_"
        return name

    @cached_property
    def spans_inputs(self) -> bool:
        """Whether the value mentions every argument, simplified too: so its shape needs no help."""
        value = plain(self.value)
        if self.axis is None:
            value = rewrite(value)[0]
        return variables(value) >= set(self.arguments)

    @kept
    def bound(self, but: frozenset[str] = frozenset()) -> Program:
        """The program with its parameters' values put in, but for those that stay arguments."""
        values = {n: const(v) for n, v in self.parameters if n not in but and isinstance(v, float)}
        values |= {
            n: vector(v)  # type: ignore[arg-type]
            for n, v in self.parameters
            if n in self.tables and n not in but and np.ndim(v) == 1
        }
        if not values:
            return self
        new = rewrite(*(substitute(root, values) for root in self.expressions))
        value, *gradient = (
            as_row(root, before.width) for root, before in zip(new, self.expressions, strict=True)
        )
        pairs = zip(self.reverse_only, gradient, strict=True)
        return replace(
            self,
            parameters=tuple((n, v) for n, v in self.parameters if n not in values),
            value=value,
            gradient=tuple(part for n, part in pairs if n not in values),
            vectors=tuple((n, names) for n, names in self.vectors if not values.keys() & names),
            tables=tuple(n for n in self.tables if n not in values),
        )

    def with_input(self, name: str) -> Program:
        """The same function with one of its parameters as the last input."""
        parameters = tuple((n, v) for n, v in self.parameters if n != name)
        inputs = (*self.inputs, name)
        gradient = dict(zip(self.reverse_only, self.gradient, strict=True))
        if gradient:
            gradient.setdefault(name, self.vjp(name).value)
        order = [*inputs, *(n for n, _ in parameters)]
        return replace(
            self,
            inputs=inputs,
            parameters=parameters,
            vectors=tuple((n, entries) for n, entries in self.vectors if name not in entries),
            gradient=tuple(gradient[n] for n in order if n in gradient),
        )

    @cached_property
    def closed(self) -> Program:
        """With every number among its parameters put in."""
        return self.bound()

    @kept
    def partial(self, name: str) -> Program:
        """The derivative in force by one input or parameter, as a program of the same arguments."""
        if name in self.reverse_only:
            raise reverse_only(self.name)
        if self.axis is not None:
            raise NoDerivativeError(
                f"{self.name!r} is a function of a row (axis={self.axis}), whose derivative is a matrix\n"
                f"  Ask the framework for a gradient or a jacobian: torch.func.jacrev, jax.jacobian, "
                f"tf.GradientTape."
            )
        if name not in self.differentiable:
            raise NoDerivativeError(
                f"{self.name!r} runs on the host (host=True), so its derivative by {name!r} is not known\n"
                f"  Give one in the rule: `derivative={{{name!r}: ...}}`."
            )
        return self._derived("derivative", name, derive(self.value, name))

    @kept
    def slope(self, name: str) -> Program:
        """The derivative in force; of a `gradient=` rule, which need not be linear, what it makes of an
        upstream gradient of 1."""
        if name not in self.reverse_only or self.axis is not None:
            return self.partial(name)
        value = substitute(self.vjp(name).value, {self.upstream: const(1.0)})
        return self._derived("derivative", name, rewrite(value)[0])

    @kept
    def vjp(self, name: str) -> Program:
        """The gradient by one argument, as a program of the arguments and the upstream gradient."""
        above = var(self.upstream, self.value.width)
        if name in self.reverse_only:
            value = self.gradient[self.reverse_only.index(name)]
        elif self.axis is not None:
            value = adjoint.adjoint(self.value, above, self.variable(name))
        else:
            value = make("mul", above, self.partial(name).value)
        value = value if self.axis is not None else rewrite(value)[0]
        row = () if above.width is None else ((self.upstream, above.width),)
        inputs, rows = (*self.inputs, self.upstream), (*self.rows, *row)
        return self._derived("gradient", name, value, inputs=inputs, rows=rows)

    def _derived(self, what: str, name: str, value: Expr, **changes: Any) -> Program:
        """A program whose derivative is that of its formula."""
        suffix = "" if len(self.arguments) == 1 else f"_{name}"
        changes |= {"name": f"{self.name}_{what}{suffix}", "value": value}
        return replace(self, kind="exact", gradient=(), **changes)

    def exact(self) -> Program:
        """The same function with the derivative that its formula has."""
        return replace(self, value=plain(self.value), kind="exact", gradient=())

    def evaluate(self, *inputs: Any, **parameters: Any) -> Any:
        """The value in NumPy float64."""
        values = {name: np.asarray(value) for name, value in self.parameters} | parameters
        given = dict(zip(self.inputs, inputs, strict=True))
        if self.axis is not None:
            n = max(np.shape(given[name])[-1] for name, width in self.rows if width == N)
            given[LENGTH] = n
        return evaluate(self.value, given | values)

    def __str__(self) -> str:
        return show(self.value)

    @property
    def formula(self) -> str:
        """As in `str`; a long formula of several pieces over as many lines."""
        return show_lines(self.value)

    @cached_property
    def kept(self) -> dict[object, Any]:
        """What others make of the program and want again; it goes with it."""
        return {}
