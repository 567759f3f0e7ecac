"""Lengths of rows: the same arithmetic as that of the number n."""

from __future__ import annotations

import random

import pytest

from actgrad.language.length import Length, N, read_length


def _random(choose: random.Random, depth: int) -> tuple[Length, str]:
    if depth == 0:
        return (N, "n") if choose.random() < 0.7 else (Length(0, 3), "3")
    one, text = _random(choose, depth - 1)
    if choose.random() < 0.5:
        by = choose.choice((1, 2, 3, 4))
        try:
            return one // by, f"({text}) // {by}"
        except ValueError:
            return one + 2, f"({text}) + 2"
    if choose.random() < 0.2:
        times = choose.choice((2, 4, 6))
        return one * times, f"({text}) * {times}"
    other, more = _random(choose, depth - 1)
    sign = choose.choice("+-")
    return (one + other if sign == "+" else one - other), f"({text}) {sign} ({more})"


@pytest.mark.parametrize("seed", range(90))
def test_a_length_is_what_python_computes(seed: int) -> None:
    length, text = _random(random.Random(seed), 3)
    for n in range(1, 40):
        assert length.at(n) == eval(text, {"n": n}), (text, n)
        assert eval(length.text("n"), {"n": n}) == length.at(n)
    assert read_length(length.written) == length


def test_equal_lengths_are_written_alike() -> None:
    assert N // 2 + (N + 1) // 2 == N
    assert (N * 4) // 2 == N * 2
    assert N // 2 // 2 == N // 4
    assert (N // 2 * 6 + 3) // 3 == N // 2 * 2 + 1
    assert N - N == Length(0)
    assert (N // 2).agrees_with(N - N // 2)
    assert not (N // 2).agrees_with(N)


@pytest.mark.parametrize(
    "wrong", [[1], [1, 0, [1, 1, 0]], [1.0, 0], [1, 0, [1, 1, 0, 0]], [1, 0, [2, 2, 0, 2]]]
)
def test_what_is_no_length_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="length"):
        read_length(wrong)
