"""A rule for a function's derivative -> one expression for each input and parameter that it names.

A rule may be a function, a number, a program, a tuple of these with one per input, or a dict from the names
of inputs and parameters to these. A function may return one number, a tuple of them, or such a dict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from actgrad.common.text import did_you_mean
from actgrad.common.types import Fields, Function
from actgrad.errors import DefinitionError, TraceError
from actgrad.language.expression import Expr, const, substitute, var
from actgrad.language.length import Length
from actgrad.language.program import Kind, Program, Value, compared, entry_by_entry
from actgrad.reading import randomness
from actgrad.reading.host import on_host
from actgrad.reading.libraries.gradients import each_of
from actgrad.reading.paths import read
from actgrad.reading.refusal import definition
from actgrad.reading.signature import (
    Signature,
    is_number,
    is_plain,
    signature,
)
from actgrad.reading.surroundings.wrappers import unwrap
from actgrad.reading.witnesses import witness
from actgrad.reading.witnesses.original import Original

Rule = Any
"""A derivative, in one of the forms above."""


def parts(rule: Rule) -> Iterable[object]:
    """The functions of which a rule is made."""
    return rule.values() if isinstance(rule, dict) else rule if isinstance(rule, tuple) else (rule,)


def as_rule(rule: Rule) -> Rule:
    """With programs in the place of activations."""

    def part(each: Any) -> Any:
        program = getattr(each, "program", None)
        return program if isinstance(program, Program) else each

    return each_of(rule, part)


class ReadAgain(Exception):
    """Reading a rule needs the plain value of some parameters, or reads some at a computed index: so must the
    function be read."""

    def __init__(
        self, pinned: frozenset[str] = frozenset(), tables: frozenset[str] = frozenset()
    ) -> None:
        self.pinned, self.tables = pinned, tables


class NamesTable(Exception):
    """The rule names a parameter that the function reads at a computed index."""


_UPSTREAM = {"upstream", "dy", "grad", "grad_out", "grad_output", "grad_outputs", "cotangent"}
"""What people call the upstream gradient."""


@dataclass
class RuleReader:
    """Reads a rule into one expression per name; the rule's own parameters join the program's."""

    program: Program
    parameters: dict[str, Value]
    inputs: tuple[str, ...]
    host: bool
    pinned: frozenset[str]
    shared: Mapping[str, object]
    apart: frozenset[str]
    """The tables of the function whose entries are parameters here."""
    fixed: Fields = field(default_factory=dict)
    """The rule's own parameters that are part of its expression."""

    def __post_init__(self) -> None:
        self.vectors = dict(self.program.vectors)
        """The names of the entries of parameters that are vectors, the rule's own too."""
        self.tables: list[str] = []
        """The rule's own parameters that are tables."""

    @property
    def _names(self) -> list[str]:
        """The parameters as the user names them."""
        program = replace(
            self.program,
            parameters=tuple(self.parameters.items()),
            vectors=tuple(self.vectors.items()),
        )
        return list(program.settings)

    @property
    def _rows(self) -> dict[str, Length | None]:
        if self.program.axis is None:
            return {}
        return {**dict(self.program.rows), self.program.upstream: self.program.value.width}

    def stand_in(self, rule: Rule, kind: Kind) -> Expr | None:
        """Of a function of a row: what is differentiated in its place; None for a `gradient=`."""
        name = self.program.name
        if kind == "gradient":
            return None
        if kind == "derivative":
            raise DefinitionError(
                f"`derivative=` of {name!r}, a function of a row, whose derivative is a matrix\n"
                f"  Leave it out for the exact one; give `surrogate=` a function of the row that is "
                f"differentiated in its place, or `gradient=lambda x, upstream: ...`."
            )
        found = self._one(rule) if callable(rule) or isinstance(rule, Program) else []
        if isinstance(found, dict) or len(found) != 1:
            raise DefinitionError(
                f"the surrogate of {name!r}, a function of a row, must be one function of the row, which is "
                f"differentiated in its place{_at(rule)}\n  For a gradient of your own give `gradient=`."
            )
        own, its = self.program.value.width, found[0].width
        if its != own and (own is None or its is None or not own.agrees_with(its)):
            shown = [str(width or "one number") for width in (own, its)]
            raise DefinitionError(
                f"the surrogate of {name!r} has the length {shown[1]}, and {name!r} has {shown[0]}{_at(rule)}"
            )
        return found[0]

    def read(self, rule: Rule) -> dict[str, Expr]:
        if isinstance(rule, dict):
            found: dict[str, Expr] = {}
            for name, part in rule.items():
                found |= self._for(str(name), part)
            return self._checked(found, rule)
        parts = rule if isinstance(rule, tuple) else (rule,)
        outputs: list[Expr] = []
        for part in parts:
            expressions = self._one(part)
            if isinstance(expressions, dict):
                if len(parts) > 1:
                    raise DefinitionError(
                        f"a rule of {self.program.name!r} returns a dict, and is one of a tuple of rules"
                        f"{_at(part)}\n  Give it alone, or a dict of rules: {self._form()}."
                    )
                return self._checked(expressions, part)
            outputs += expressions
        inputs = self.program.inputs
        if is_number(rule) and not isinstance(rule, tuple):
            outputs *= len(inputs)
        if len(outputs) != len(inputs):
            given = getattr(rule, "__name__", None) or getattr(rule, "name", "the tuple of rules")
            raise DefinitionError(
                f"{given!r} gives {_count(len(outputs), 'number')}, and {self.program.name!r} has "
                f"{_count(len(inputs), 'input')} ({', '.join(inputs)}){_at(rule)}\n"
                f"  Return one number per input, in the order of the inputs"
                + (f"; with parameters, return a dict: {self._form()}." if self.parameters else ".")
            )
        return dict(zip(inputs, outputs, strict=True))

    def _for(self, name: str, rule: Rule) -> dict[str, Expr]:
        """The rule for one input or parameter; of a vector by entry, as `name[i]`."""
        self._expect_no_table(name)
        expressions = self._one(rule)
        size = len(self.vectors.get(name, ("",)))
        if isinstance(expressions, list) and is_number(rule):
            expressions *= size
        if isinstance(expressions, dict) or len(expressions) != size:
            raise DefinitionError(
                f"the rule of {self.program.name!r} for {name!r} gives "
                f"{_count(len(expressions), 'number')}{_at(rule)}\n"
                f"  Return {'one number' if size == 1 else f'a list of {size} numbers'} from it: the "
                f"derivative by {name!r}{' entry by entry' * (size > 1)}."
            )
        if name not in self.vectors:
            return {name: expressions[0]}
        return {f"{name}[{i}]": expression for i, expression in enumerate(expressions)}

    def _checked(self, found: dict[str, Expr], rule: Rule) -> dict[str, Expr]:
        """That every name is one that has a derivative."""
        known = [*self.program.inputs, *self._names]
        for name in found:
            self._expect_no_table(name.partition("[")[0])
        found = self._by_entry(found, rule)
        if not found:
            raise DefinitionError(
                f"the rule of {self.program.name!r} names nothing{_at(rule)}\n"
                f"  Name inputs or parameters in it: {self._form()}."
            )
        for name in found:
            if name in self.program.inputs or name in self.parameters:
                continue
            if name in {**dict(self.program.fixed), **self.shared, **self.fixed}:
                raise DefinitionError(
                    f"the rule of {self.program.name!r} names {name!r}, which shaped the function while "
                    f"it was read (a loop's length, an option), so there is no derivative by it{_at(rule)}\n"
                    f"  Leave it out of the rule."
                )
            hint = did_you_mean(name, known)
            raise DefinitionError(
                f"the rule of {self.program.name!r} names {name!r}, which is no input "
                f"({', '.join(self.program.inputs)}) and no parameter "
                f"({', '.join(self._names) or 'it has none'})"
                f"{'; ' * bool(hint)}{hint}{_at(rule)}\n"
                f"  Name inputs and parameters in it: {self._form()}."
            )
        return found

    def _expect_no_table(self, name: str) -> None:
        if name in self.program.tables:
            raise NamesTable

    def _by_entry(self, found: dict[str, Expr], rule: Rule) -> dict[str, Expr]:
        """With the names of entries in the place of `name[i]`."""
        named: dict[str, Expr] = {}
        given = Counter(name.partition("[")[0] for name in found)
        for name, expression in found.items():
            vector, bracket, index = name.partition("[")
            entries = self.vectors.get(vector, ())
            if not entries and vector not in (*self.program.inputs, *self.parameters):
                named[vector] = expression  # an unknown name, of which the caller complains
            elif entries and not bracket and expression.op == "const":
                named |= dict.fromkeys(entries, expression)
            elif bool(bracket) == bool(entries) and given[vector] == (len(entries) or 1):
                named[entries[int(index[:-1])] if bracket else name] = expression
            else:
                raise DefinitionError(
                    f"the rule of {self.program.name!r} gives {_count(given[vector], 'number')} for "
                    f"{vector!r}, which has {len(entries) or 1}{_at(rule)}\n"
                    f"  Return one for each."
                )
        return named

    def _form(self) -> str:
        names = (*self.program.inputs, *self._names)
        return "{" + ", ".join(f'"{name}": ...' for name in names) + "}"

    def _one(self, rule: Rule) -> list[Expr] | dict[str, Expr]:
        """The outputs of one rule: in order, or by name where it returns a dict."""
        if isinstance(rule, Program):
            if len(rule.inputs) != len(self.inputs):
                self._wrong_inputs(rule.name, len(rule.inputs), rule)
            self._expect_order(rule.inputs, rule)
            self._merge(dict(rule.parameters), rule.name)
            own_names = zip(rule.inputs, self.inputs, strict=True)
            names = {its: var(name, self._rows.get(name)) for its, name in own_names}
            if rule.axis is not None and self.program.axis is None:
                raise DefinitionError(
                    f"{rule.name!r} is a function of a row, and {self.program.name!r} is not"
                )
            return [substitute(rule.value, names)]
        if is_number(rule) and np.ndim(rule) == 0:
            return [const(float(rule))]
        if not callable(rule):
            raise DefinitionError(
                f"the rule of {self.program.name!r} is {rule!r}\n"
                f"  Give a function of the same inputs, an activation, a number, or a dict of these: "
                f"{self._form()}."
            )
        rule = unwrap(rule)
        own = self._signature(rule)
        new = {n: v for n, v in own.parameters.items() if n not in self.pinned}
        free = {n: v for n, v in own.vectors.items() if n in new and n not in self.parameters}
        self.vectors = free | self.vectors
        self._merge(entry_by_entry(new, self.vectors), own.name)
        known = self.parameters | dict(self.program.fixed) | dict(self.shared)
        for name, default in own.defaults.items():
            if name not in known and name not in self.vectors and is_plain(default):
                self.fixed[name] = default
        try:
            tables = frozenset(self.program.tables) | frozenset(self.tables)
            with randomness.refused(own.name, rule):
                reading = read(rule, own, self.inputs, self.pinned, self.vectors, False, tables)
                if reading.fixed - self.pinned:
                    raise ReadAgain(pinned=reading.fixed)
                known_whole = {*self.program.tables, *self.apart}
                conflict = reading.tables & self.program.lengths.keys() - known_whole
                if conflict:
                    raise ReadAgain(tables=conflict)
                original = Original(rule, own, self.inputs, self.pinned, self.vectors, reading)
                witness.check(original)
        except TraceError:
            if not self.host:
                raise
            witness.check_elementwise(rule, own, self.pinned)
            return [on_host(rule, own, self.inputs)]
        for name in reading.tables - tables - self.apart:  # the rule's own
            for entry in self.vectors.pop(name, ()):
                del self.parameters[entry]
            self.parameters[name] = own.parameters[name]
            self.tables.append(name)
        outputs = compared(reading.outputs, {name: self.vectors[name] for name in self.apart})
        if isinstance(reading.form, tuple):
            return dict(zip(reading.form, outputs, strict=True))
        return outputs

    def _signature(self, rule: Function) -> Signature:
        """Arguments named like parameters of the function are those, with the function's defaults."""
        own = signature(rule)
        values = {name: self.program.settings[name] for name in self.vectors}
        pinned = {**values, **dict(self.program.fixed), **self.shared}
        known = self.parameters | pinned
        shared = {name: known[name] for name in own.inputs if name in known}
        plain = tuple(name for name in own.inputs if name not in shared)
        if len(plain) != len(self.inputs):
            self._wrong_inputs(own.name, len(plain), rule)
        self._expect_order(plain, rule)
        fixed = {n: v for n, v in pinned.items() if n in own.defaults}
        return Signature(
            own.name,
            plain,
            {**own.defaults, **shared, **fixed},
            own.keywords | set(shared),
            self._rows,
        )

    def _expect_order(self, names: Sequence[str], rule: Rule) -> None:
        """Inputs go by position, so that none may have the name of another one."""
        inputs = self.inputs
        crossed = any(n != own and n in inputs for n, own in zip(names, inputs, strict=True))
        if self.program.upstream in inputs:
            crossed |= any(n in _UPSTREAM and n not in inputs for n in names[:-1])
        if crossed:
            raise DefinitionError(
                f"the rule of {self.program.name!r} takes ({', '.join(names)}), and its arguments go by "
                f"position: ({', '.join(inputs)}){_at(rule)}\n"
                f"  Write it with its arguments in this order."
            )

    def _wrong_inputs(self, name: str, got: int, rule: Rule) -> None:
        raise DefinitionError(
            f"{name!r} takes {_count(got, 'input')}, and the rule of {self.program.name!r} needs "
            f"{len(self.inputs)}: ({', '.join(self.inputs)}){_at(rule)}\n"
            f"  Arguments named like a parameter of {self.program.name!r} are parameters; "
            f"all others are inputs."
        )

    def _merge(self, new: Mapping[str, Value], name: str) -> None:
        for key, value in new.items():
            if key in self.program.inputs:
                raise DefinitionError(
                    f"{key!r} is a parameter of {name!r} and an input of {self.program.name!r}; rename one"
                )
            if self.parameters.setdefault(key, value) != value:
                raise DefinitionError(
                    f"the parameter {key!r} is {self.parameters[key]!r} in {self.program.name!r} "
                    f"and {value!r} in {name!r}\n"
                    f"  They share it, so give it one default (in the rule it needs none)."
                )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _at(rule: Rule) -> str:
    """Where the rule is written, as a line of a message."""
    where = definition(rule)
    return f"\n{where}" if where else ""
