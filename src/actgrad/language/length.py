"""How long a row is: a whole number that follows n, the length of the rows that an activation is given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any


@dataclass(frozen=True)
class Length:
    """`per * n + plus`, and for each part `times * ((over * n + add) // by)`."""

    per: int
    plus: int = 0
    parts: tuple[tuple[int, int, int, int], ...] = ()
    """(times, over, add, by), with 0 <= over, add < by: equal lengths are written alike."""

    def at(self, n: Any) -> Any:
        """Of rows of length n: a number, or what a framework has for one that it does not know yet."""
        value = self.per * n + self.plus
        for times, over, add, by in self.parts:
            value = value + times * ((over * n + add) // by)
        return value

    def text(self, n: str) -> str:
        """As Python code, where `n` is the name of the length."""
        terms = [] if not self.per else [n if self.per == 1 else f"{self.per} * {n}"]
        for times, over, add, by in self.parts:
            inner = n if over == 1 else f"{over} * {n}"
            inner = f"({inner} + {add}) // {by}" if add else f"{inner} // {by}"
            terms.append({1: inner, -1: f"-({inner})"}.get(times, f"{times} * ({inner})"))
        if self.plus or not terms:
            terms.append(str(self.plus))
        return " + ".join(terms).replace("+ -", "- ")

    def __str__(self) -> str:
        return self.text("n")

    def __add__(self, other: Length | int) -> Length:
        if isinstance(other, int):
            return Length(self.per, self.plus + other, self.parts)
        return _made(self.per + other.per, self.plus + other.plus, [*self.parts, *other.parts])

    def __sub__(self, other: Length | int) -> Length:
        return self + other * -1

    def __mul__(self, factor: int) -> Length:
        parts = [(factor * times, *rest) for times, *rest in self.parts]
        return _made(self.per * factor, self.plus * factor, parts)  # type: ignore[arg-type]

    def __floordiv__(self, by: int) -> Length:
        """Raises `ValueError` where it has no such form."""
        if by < 1:
            raise ValueError("a part of a length is divided by 1, 2, ...")
        if not any(times % by for times in (self.per, *(part[0] for part in self.parts))):
            parts = tuple((times // by, *rest) for times, *rest in self.parts)
            return Length(self.per // by, self.plus // by, parts)  # type: ignore[arg-type]
        if not self.parts:
            return _made(0, 0, [(1, self.per, self.plus, by)])
        (times, over, add, inner), *more = self.parts
        if more or times != 1:
            raise ValueError(f"{self} // {by}")
        return _made(0, 0, [(1, over + self.per * inner, add + self.plus * inner, inner * by)])

    def agrees_with(self, other: Length) -> bool:
        """Whether rows of some length make the two equal."""
        return self == other or any(self.at(n) == other.at(n) > 0 for n in range(2, MOST))

    @property
    def written(self) -> list[object]:
        """As JSON has it."""
        return [self.per, self.plus, *map(list, self.parts)]


class Turn(Length):
    """The length of a row whose numbers are taken one after another, as in a loop over it."""

    @classmethod
    def of(cls, length: Length) -> Turn:
        return cls(length.per, length.plus, length.parts)

    @property
    def whole(self) -> Length:
        return Length(self.per, self.plus, self.parts)


def _made(per: int, plus: int, parts: Iterable[tuple[int, int, int, int]]) -> Length:
    kept: dict[tuple[int, int, int], int] = {}
    for times, over, add, by in parts:
        per, plus = per + times * (over // by), plus + times * (add // by)
        if over % by:
            key = over % by, add % by, by
            kept[key] = kept.get(key, 0) + times
    both = min(max(kept.get((1, add, 2), 0), 0) for add in (0, 1))
    if both:  # n // 2 + (n + 1) // 2 is n
        per += both
        kept |= {(1, add, 2): kept[1, add, 2] - both for add in (0, 1)}
    ordered = sorted((times, *key) for key, times in kept.items() if times)
    return Length(per, plus, tuple(ordered))


MOST = 200
"""Rows up to this length are tried, to see which an activation can take."""
LONGEST = 10**6
"""No number of a length in a file is larger, nor of one that is made of them."""
N = Length(1)
ONE = Length(0, 1)


def read_length(written: Any) -> Length:
    """From `written`. Raises `ValueError` for what is none."""
    if not isinstance(written, list) or not 2 <= len(written) <= 10:
        raise ValueError("a length is a list of two to ten")
    per, plus, *parts = written
    if any(not isinstance(part, list) or len(part) != 4 for part in parts):
        raise ValueError("a part of a length has four numbers")
    if any(type(number) is not int for number in chain([per, plus], *parts)):
        raise ValueError("a length is of whole numbers")
    if any(part[3] < 1 for part in parts):
        raise ValueError("a part of a length is divided by 1, 2, ...")
    length = _made(per, plus, [tuple(part) for part in parts])
    if length.written != written:
        raise ValueError("a length that is written otherwise")
    return bounded(length)


def bounded(length: Length) -> Length:
    """As it is, if a row of a file may have it."""
    if max(map(abs, chain([length.per, length.plus], *length.parts))) > LONGEST:
        raise ValueError("a length beyond a million")
    return length
