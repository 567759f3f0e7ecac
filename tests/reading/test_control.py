"""Every construct of Python's own language is read as what Python computes."""

from __future__ import annotations

import functools
import math
import operator
import sys
import textwrap

import pytest

CASES = []
CLOSE = []  # powers, whose last digit differs between C libraries, and Python's int, which has no -0


def case(function):
    CASES.append(function)
    return function


def close(function):
    CLOSE.append(function)
    return function


# From Python 3.12 on, `sum` makes up for what rounding takes away; what is read adds one by one.
summed = close if sys.version_info >= (3, 12) else case


# Branches.


@case
def if_else(x):
    if x > 0:
        y = x
    else:
        y = 0.1 * x
    return y


@case
def elif_chain(x):
    if x < -1:
        return -1
    elif x < 0:
        return x
    elif x <= 2:
        return x * x
    else:
        return 4 + x


@case
def early_return(x):
    if x < 0:
        return 0
    r = x % 1
    if r <= 0.5:
        return r
    return 0


@case
def nested_branches(x):
    if x > 0:
        if x > 2:
            return 2 * x
        return x if x > 1 else 3 * x
    if x == 0:
        return 5
    return -x if not x < -3 else 7


@case
def ternary_in_ternary(x):
    return x if x > 1 else (-x if x < -1 else 0.5 * x)


@case
def and_condition(x):
    return x if x > -1 and x < 1 else 0


@case
def or_condition(x):
    return x if x < -1 or x > 1 else 2 * x


@case
def not_condition(x):
    return x if not x > 0 else -x


@case
def mixed_logic(x):
    return 3 * x if (x > 0 and not x > 2) or x < -2.5 else x


@case
def and_of_numbers(x):
    return x and 2 * x


@case
def or_of_numbers(x):
    return x or 7.0


@case
def max_by_and_or(x):
    return (x > 0 and x) or 0.25


@case
def truth_of_a_number(x):
    if x:
        return x + 1
    return -3


@case
def truth_of_a_remainder(x):
    return x if x // 1 % 2 else -x


@case
def chained_comparison(x):
    return x if -1 < x <= 1 else 0


@case
def long_chain(x):
    return 1 + x if -2 <= x < x + 1 <= 3 != x else x


@case
def equality(x):
    return 1 if x == 0.5 else (2 if x != 2.5 else 3)


@case
def membership(x):
    return 10 if x in (0, 1, 2.5) else x


@case
def not_membership(x):
    return x if x not in [0.5, -1] else 10


@case
def comparison_as_number(x):
    return (x > 0) * x + (x <= 0) * 0.1 * x


@case
def comparison_arithmetic(x):
    return (x > 0) - (x < 0) + x


@case
def comparison_of_comparisons(x):
    return 1.0 + x if (x > 0) == (x > 1) else x


@case
def bitwise_logic(x):
    return x if (x > -1) & (x < 1) | (x == 2) else 0.5 * x


@case
def bitwise_negation(x):
    return x if not ((x > 0) ^ (x > 1)) else -x


@case
def pass_branch(x):
    y = 2 * x
    if y > 3:
        pass
    return y


# Builtins.


@case
def min_of_two(x):
    return min(x, 1.0)


@case
def max_of_two(x):
    return max(0, x)


@case
def max_of_zeros_keeps_the_first(x):
    return max(0.0, x) + 0 * x


@case
def max_keeps_the_first_zero(x):
    return max(x, 0.0)


@case
def min_of_three(x):
    return min(x, x * x, 1.5)


@case
def max_of_a_list(x):
    return max([x, -x, 1])


@case
def max_of_a_generator(x):
    return max(x * k for k in range(-2, 3))


@case
def min_with_key(x):
    return min((x, 1.0, -2.0), key=lambda v: abs(v - 0.75))


@case
def max_with_key_abs(x):
    return max(x, 0.6, key=abs)


@case
def max_with_default(x):
    return x + max([], default=2)


@case
def clip_by_min_max(x):
    return max(-1, min(1, x))


@case
def absolute(x):
    return abs(x) + abs(-2)


@close
def rounding(x):
    return round(x) + 0.5 * x


@case
def rounding_to_zero_digits(x):
    return round(x, 0) + x


@close
def to_int(x):
    return int(x) + x


@case
def to_float(x):
    return float(x) * float(2) + float("0.5")


@case
def to_bool(x):
    return 3 * bool(x) + x


@case
def bool_of_comparison(x):
    return bool(x > 1) + x


@case
def int_of_comparison(x):
    return int(x > 1) + x


@case
def float_of_comparison(x):
    return float(x > 0) * x


@case
def power_of_two_numbers(x):
    return pow(x, 2) + pow(2, 3)


@case
def divmod_both(x):
    q, r = divmod(x, 0.75)
    return q + 2 * r


@case
def divmod_by_input(x):
    q, r = divmod(2.0, x)
    return r + q if x > 1 else x


@case
def sum_of_terms(x):
    return sum(x**k for k in range(3))


@summed
def sum_with_start(x):
    return sum([x, 1, 2 * x], 10)


@case
def any_of_conditions(x):
    return x if any([x > 2, x < -2, x == 0.5]) else -x


@case
def all_of_conditions(x):
    return x if all(x > k for k in (-1, 0, 0.25)) else -x


@case
def any_as_a_number(x):
    return any([x > 1, x < -1]) * x + x


@case
def sorted_median(x):
    return sorted([x, 1.0, -1.0])[1]


@summed
def zipped(x):
    return sum(a * x**b for a, b in zip((1, 2, 3), (0, 1, 2), strict=True))


@case
def enumerated(x):
    return sum(i * c * x for i, c in enumerate([0.5, 0.25, -1]))


@case
def mapped(x):
    return sum(map(lambda k: k * x, (1, 2, 3)))


@case
def filtered(x):
    return sum(filter(lambda v: v > 0, [x, -x, 1.0]))


@case
def reversed_horner(x):
    value = 0.0
    for c in reversed((1.0, -0.5, 0.25)):
        value = value * x + c
    return value


@case
def is_instance(x):
    return x if isinstance(x, (int, float)) else 0


@case
def type_is_float(x):
    return 2 * x if type(x) is float else 0


@case
def float_methods(x):
    return 2 * x if x.is_integer() else x.real


# Arithmetic.


@case
def floor_division(x):
    return x // 0.75 + x


@case
def floor_division_by_negative(x):
    return x // -2 + x


@case
def remainder(x):
    return x % 1


@case
def remainder_of_negative_divisor(x):
    return x % -1.5


@case
def remainder_by_input(x):
    return 3.5 % x if x != 0 else 0


@close
def integer_power(x):
    return x**3 - x**2 + x**1 + x**0 + x**4 + x**5


@close
def negative_power(x):
    return x**-2 if x != 0 else 1


@case
def division(x):
    return 1 / x if abs(x) > 1 else x / 3


@case
def unary(x):
    return -x + +x - -x


@case
def negated_zero(x):
    return -x


@case
def augmented(x):
    y = x
    y += 1
    y *= x
    y -= 0.5
    y /= 4
    y //= 0.01
    y %= 3
    return y + x


# Patterns.


@case
def match_literal(x):
    match x:
        case 0:
            return 1
        case 1 | 2:
            return 2 * x
        case -0.5:
            return 9
        case _:
            return x


@case
def match_guard(x):
    match x:
        case y if y > 1:
            return y
        case y if y < -1:
            return -y
    return 0.5 * x


@case
def match_class(x):
    match x:
        case bool():
            return 0
        case int():
            return 1
        case float() if x > 0:
            return x
        case float():
            return -2 * x


@case
def match_class_with_capture(x):
    match x:
        case float(y) if y > 0:
            return y
        case float(z):
            return 3 * z


@case
def match_sequence(x):
    match (x, 2.0):
        case (0, y):
            return y
        case (z, 2.0) if z > 1:
            return z * z
        case [z, *_]:
            return -0.5 * z


@case
def match_mapping(x):
    match {"kind": "scale", "by": 3.0}:
        case {"kind": "shift", "by": b}:
            return x + b
        case {"kind": "scale", "by": b}:
            return x * b


@case
def walrus(x):
    if (r := x % 2) > 1:
        return 2 - r
    return r


@case
def walrus_in_comprehension(x):
    return sum(y for k in range(3) if (y := x * k) > 1)


# Loops.


@case
def for_range(x):
    total = 0.0
    for k in range(5):
        total += k * x
    return total


@case
def for_break(x):
    y = x
    for _ in range(6):
        if abs(y) < 1:
            break
        y = y / 2
    return y


@case
def for_continue_else(x):
    total = 0
    for k in range(4):
        if k * x > 3:
            continue
        total += k * x
    else:
        total += 1
    return total


@case
def for_over_string_keys(x):
    table = {"a": 1.0, "b": -2.0}
    return sum(table[k] * x for k in table if k != "c")


@case
def nested_loops(x):
    total = 0
    for i in range(3):
        for j in range(i):
            total += i * x - j
    return total


@case
def while_counter(x):
    n = 0
    y = x
    while n < 4:
        y = y * 0.5 + 1
        n += 1
    return y


@case
def while_bounded_by_both(x):
    n = 0
    while x > 1 and n < 10:
        x = x - 1
        n += 1
    return x + n


@case
def while_shrinking_a_clipped_number(x):
    y = min(abs(x), 5.0)
    while y >= 1:
        y -= 1
    return y


@case
def while_halving_a_clipped_number(x):
    y, halvings = min(max(x, -8.0), 8.0), 0
    while y > 1:
        y /= 2
        halvings += 1
    return y + halvings


@case
def while_true_with_break(x):
    k = 0
    while True:
        if k * 0.5 >= 2 or k > x:
            break
        k += 1
    return k + x


@case
def range_to_a_clipped_input(x):
    total = 0.0
    for k in range(min(max(int(x), 0), 5)):
        total += k + x
    return total


@case
def fixed_point(x):
    y = x
    for _ in range(5):
        step = 0.3 * (y - 1)
        y = y - step
        if abs(step) < 1e-3:
            return y
    return y


@case
def list_comprehension(x):
    return sum([k * x for k in range(4) if k % 2])


@case
def dict_comprehension(x):
    return sum({k: x / k for k in (1, 2, 4)}.values())


@case
def set_comprehension(x):
    return sum(x * k for k in {k % 2 for k in range(4)})


@case
def nested_comprehension(x):
    return sum(sum(i * j * x for j in range(i)) for i in range(4))


@case
def conditional_comprehension(x):
    return sum(v for v in (x, -x, 2.0) if v > 0.3)


@case
def growing_local_list(x):
    terms = [x]
    for k in range(1, 4):
        terms.append(terms[-1] * 0.5 + k)
    terms[0] = 1.0
    return sum(terms) + terms.pop() - len(terms)


@case
def local_dict(x):
    table = {}
    table["y"] = 2 * x
    table["z"] = table["y"] + 1
    return table["z"] if "z" in table else 0


@case
def unpacking(x):
    a, *rest = x, 2 * x, 3 * x
    (b, c), d = rest, 1
    return a + b * c + d


@case
def swapped(x):
    low, high = 0.5, x
    if low > high:
        low, high = high, low
    return high - low


@case
def generator_function(x):
    def powers():
        y = 1.0
        for _ in range(3):
            yield y
            y *= x

    return sum(powers())


@case
def try_finally(x):
    y = x
    try:
        if y > 1:
            return y
        y = 2 * x
    finally:
        y = 100
    return x


@case
def next_with_default(x):
    return next((k * x for k in range(1, 4) if k * x > 2), x)


@case
def reduced(x):
    return functools.reduce(lambda a, k: a * x + k, (1, -2, 0.5), 0)


@case
def reduced_by_operator(x):
    return functools.reduce(operator.mul, [x, x, 0.5])


@case
def reduced_by_max(x):
    return functools.reduce(max, [x, 0.5, -x])


@case
def operators(x):
    return operator.add(x, 1) * operator.neg(x) + operator.truediv(x, 2) + operator.pow(x, 2)


@case
def raises_outside_its_domain(x):
    if x < -4:
        raise RuntimeError(f"{x:.2f} is too small")
    return abs(x)


@pytest.mark.parametrize("function", CASES, ids=lambda function: function.__name__)
def test_is_read_as_python(function, reads_as_python):
    reads_as_python(function)


CLOSE += [
    lambda x: abs(x) ** 0.5,
    lambda x: x**0.5,
    lambda x: abs(x) ** x,
    lambda x: 2**x,
    lambda x: 2.5**x,
    lambda x: (-2) ** (2 * int(x)) if abs(x) < 9 else x,
    lambda x: pow(abs(x), 1.5),
    lambda x: x**2.0 + x**7,
    lambda x: round(x, 2) + x,
    lambda x: round(x * 3, -1) + x,
    lambda x: x ** (1 / 3) if x >= 0 else -((-x) ** (1 / 3)),
]


@pytest.mark.parametrize("function", CLOSE)
def test_is_read_as_python_to_12_digits(function, reads_as_python):
    reads_as_python(function, tolerance=1e-12)


def compile_function(text):
    """As typed in a REPL: no source, and out of reach of pytest's rewriting of asserts."""
    names = {}
    exec(textwrap.dedent(text), names)
    return names.popitem()[1]


def exception(x):
    if x > 1:
        raise KeyError("no")
    return x


failed_assertion = compile_function(
    """
    def failed_assertion(x):
        assert x <= 1, "too large"
        return x
    """
)


def domain_error(x):
    if x > 1:
        return math.sqrt(-2)
    return x


def own_exception(x):
    class Bad(Exception):
        pass

    if x > 1:
        raise Bad
    return x


@pytest.mark.parametrize("function", [exception, failed_assertion, domain_error, own_exception])
def test_a_path_that_raises_is_nan(function):
    from actgrad.reading.define import define

    program = define(function)
    assert program.evaluate(0.5) == 0.5
    assert math.isnan(program.evaluate(2.0))


def local_exception(x):
    class Bad(Exception):
        pass

    try:
        if x > 1:
            raise Bad
    except Bad:
        return 3 * x
    return x


def test_an_exception_raised_and_caught_inside_is_control_flow(reads_as_python):
    reads_as_python(local_exception)


def test_what_is_known_is_not_asked_again():
    from actgrad.reading.define import define

    def asks_twice(x):
        if x < 1:
            return x if x < 2 else 5.0
        if x > 2:
            return 7.0 if x <= 2 else x * x
        return 0.5

    plainly = lambda x: x if x < 1 else x * x if x > 2 else 0.5
    assert define(asks_twice) == define(plainly, name="asks_twice")
