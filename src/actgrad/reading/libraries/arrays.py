"""Reading and writing parts of arrays: `y[x < 0] = 0`, `x.at[mask].set(0)`, `x[..., None]`.

A condition chooses elements, so a masked assignment is a select. Single places cannot be told apart:
an activation computes every element alike.
"""

from __future__ import annotations

from actgrad.language.expression import Expr
from actgrad.language.rewrite import build
from actgrad.reading.reader import table_method, unknown
from actgrad.reading.refusal import COPY_FIRST, depends_on, refuse
from actgrad.reading.symbol import Symbol, apply, number, of_row, refuse_forms, truth


def get_item(x: Symbol, key: object) -> object:
    if key is Ellipsis or key == () or (isinstance(key, slice) and key == slice(None)):
        return x
    mask = as_mask(key)
    if mask is not None:
        return selected(x, mask)
    parts = key if isinstance(key, tuple) else (key,)
    if all(part is None or part is Ellipsis or _is_all(part) for part in parts):
        return x.viewed(("index", _positions(parts)))
    if x.form and all(_is_zero(part) or part is Ellipsis or _is_all(part) for part in parts):
        added = tuple(None if _is_zero(part) else part for part in parts)
        if x.form[-1] == ("index", _positions(added)):
            return Symbol(x.expr, x.form[:-1], x.mask, writable=False)
    x.refuse_sequence()


def _is_all(part: object) -> bool:
    return isinstance(part, slice) and part == slice(None)


def _is_zero(part: object) -> bool:
    return isinstance(part, int) and not isinstance(part, bool) and part == 0


def set_item(x: Symbol, key: object, value: object) -> None:
    if key is Ellipsis or _is_all(key):
        x.assign(value)
        return
    if of_row(x) and table_method("set_part")(x, key, value):
        return
    write(x, _written_at(x, key, "the function writes to single places of its input"), value)


def _written_at(x: Symbol, key: object, otherwise: str) -> Symbol:
    """The condition that a key is, or the place of a row that it chooses."""
    mask: Symbol | None = table_method("place_of")(x, key) if of_row(x) else as_mask(key)
    return refuse(otherwise, COPY_FIRST) if mask is None else mask


def _positions(parts: tuple[object, ...]) -> tuple[str, ...]:
    return tuple("None" if part is None else "..." if part is Ellipsis else ":" for part in parts)


class At:
    """JAX's `x.at[mask].set(value)`: a new array."""

    def __init__(
        self, target: Symbol, mask: Symbol | None = None, part: slice | None = None
    ) -> None:
        self._target, self._mask, self._part = target, mask, part

    def __getitem__(self, key: object) -> At:
        if of_row(self._target) and isinstance(key, slice):
            return At(self._target, part=key)
        otherwise = "`x.at[...]` with indices writes to single places"
        return At(self._target, _written_at(self._target, key, otherwise))

    def __getattr__(self, name: str) -> object:
        operations = {"set": None, "add": "add", "subtract": "sub", "multiply": "mul"}
        operations |= {"mul": "mul", "divide": "div", "power": "pow"}
        where = self._mask if self._part is None else self._part
        if name.startswith("__"):
            raise AttributeError(name)
        if where is None or name not in operations:
            unknown(f"x.at[mask].{name}")
        operation, target = operations[name], self._target

        def update(value: object) -> Symbol:
            changed = copied(target)
            if isinstance(where, slice):
                chosen: object = table_method("part_of")(changed, where)
            else:
                chosen = selected(changed, where)
            set_item(
                changed, where, value if operation is None else apply(operation, chosen, value)
            )
            return changed

        return update


def as_mask(key: object) -> Symbol | None:
    """The condition in `y[x < 0]`, and in `y[np.where(x < 0)]`."""
    if isinstance(key, tuple) and len(key) == 1:
        key = key[0]
    if isinstance(key, Positions):
        key = key.mask
    return key if isinstance(key, Symbol) and key.expr.boolean else None


class Positions:
    """Where a condition holds, as `np.where(x < 0)` and `np.nonzero(x < 0)` tell it: only an index."""

    __slots__ = ("mask",)

    def __init__(self, mask: Symbol) -> None:
        self.mask = mask

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        depends_on("positions of the elements")


def selected(x: object, mask: Symbol) -> Symbol:
    """`x[mask]`: the elements for which the condition holds."""
    x = number(x) if not isinstance(x, Symbol) else x
    if x.form != mask.form or x.mask is not mask.mask:
        refuse_forms()
    return Symbol(x.expr, x.form, _both(x.mask, mask.expr))


def _both(mask: Expr | None, other: Expr) -> Expr:
    return other if mask is None else build("and", mask, other)


def write(target: Symbol, mask: Symbol, value: object) -> Symbol:
    """`target[mask] = value`."""
    if not target.writable:
        target.assign(value)  # refuses
    value = truth(value) if target.expr.boolean else number(value)
    inside = _both(target.mask, mask.expr)
    if value.form is not None and (value.form != target.form or value.mask is not inside):
        refuse(
            "the function writes a whole array into the places where a condition holds",
            "Choose the same places on both sides, as in `y[m] = f(x[m])`, or use `np.where(m, f(x), y)`.",
        )
    target.expr = build("select", mask.expr, value.expr, target.expr)
    return target


def copied(x: object) -> Symbol:
    """A copy that may be written to."""
    return Symbol(x.expr, x.form, x.mask) if isinstance(x, Symbol) else number(x)
