"""What cannot be read is refused, with the user's file, line, and the way out."""

from __future__ import annotations

import collections
import datetime
import functools
import io
import json
import logging
import math
import os
import random
import threading
import time
from datetime import datetime as Clock
from random import random as draw
from time import perf_counter

import numpy as np
import pytest

from actgrad.activation import activation
from actgrad.errors import ActgradError, ImpureError, TraceError, UnboundedError
from actgrad.language.expression import walk
from actgrad.reading import run
from actgrad.reading.define import define

COUNTER = 0
SEEN = []
LATEST = {}
TAGS = {1, 2}
QUEUE = collections.deque([1.0])
COUNTS = collections.defaultdict(int)
ARRAY = np.array([1.0, 2.0])
GENERATOR = np.random.default_rng(0)
RANDOM = random.Random(0)
LOG = logging.getLogger(__name__)
FILE = io.StringIO()


class Store:
    made = 0

    def __init__(self):
        self.last = None
        self.history = []


STORE = Store()


class Slots:
    __slots__ = ("last",)


SLOTS = Slots()
SLOTS.last = 0


def unbounded_while(x):
    while x > 1:
        x = x * 1.5
    return x


def unbounded_range(x):
    total = 0
    for k in range(int(x)):
        total += k
    return total


def unbounded_recursion(x):
    return unbounded_recursion(x - 1) if x > 0 else x


def endless_recursion(x):
    return endless_recursion(x + 1)


def too_many_paths(x):
    total = 0
    for k in range(14):
        if math.sin(k * x) > 0:
            total += x
    return total


def infinite_sum(x):
    total = 0
    while True:
        total = total + x


def index(x):
    return [1, 2, 3][x]


def slice_by_input(x):
    return sum([1, 2, 3][:x])


def iterates(x):
    return sum(part for part in x)


def subscripts(x):
    return x[0]


def length(x):
    return len(x)


def changes_in_place(x):
    x[x < 0] = 0
    return x


def dict_key(x):
    return {0.0: 1, 1.0: 2}.get(x, 3)


def set_member(x):
    return 1 if x in {0, 1} else x


def unknown_method(x):
    return x.hex()


def unknown_numpy(x):
    return np.real_if_close(x)


def unknown_ufunc(x):
    return np.spacing(x)


def reduces_a_ufunc(x):
    return np.add.reduce(x)


def unknown_standard_library(x):
    return json.loads(json.dumps(x))


def unknown_c_function(x):
    return math.ulp(x)


def bits_of_an_integer(x):
    return int(x) & 3


def shift(x):
    return int(x) << 1


def modular_power(x):
    return pow(x, 2, 5)


def to_complex(x):
    return abs(complex(x, 1))


def fills_an_array(x):
    y = np.zeros(2)
    y[0] = x
    return y.sum()


def by_global(x):
    global COUNTER
    COUNTER += 1
    return x


def by_list(x):
    SEEN.append(1)
    return x


def by_list_of_symbols(x):
    SEEN.append(x)
    return x


def by_dict(x):
    LATEST["x"] = 1
    return x


def by_set(x):
    TAGS.add(3)
    return x


def by_deque(x):
    QUEUE.append(2.0)
    return x


def by_defaultdict(x):
    COUNTS["calls"] += 1
    return x


def by_attribute(x):
    STORE.last = 1
    return x


def by_attribute_list(x):
    STORE.history.append(1)
    return x


def by_slot(x):
    SLOTS.last = 1
    return x


def by_class_attribute(x):
    Store.made += 1
    return x


def by_array(x):
    ARRAY[0] = 3.0
    return x


def by_array_in_place(x):
    global ARRAY
    ARRAY += 1
    return x


def by_module(x):
    math.tau2 = 1
    return x


def by_function_attribute(x):
    by_function_attribute.calls = 1
    return x


def _nonlocal():
    calls = 0

    def by_nonlocal(x):
        nonlocal calls
        calls += 1
        return x

    return by_nonlocal


def by_mutable_default(x, seen=[]):  # noqa: B006
    seen.append(1)
    return x


def random_number(x):
    return x * random.random()


def random_by_name(x):
    return x * draw()


def random_generator(x):
    return x + RANDOM.gauss(0, 1)


def random_numpy(x):
    return x + np.random.rand()


def random_numpy_generator(x):
    return x + GENERATOR.normal()


def random_new_generator(x):
    return x + np.random.default_rng().normal()


def the_time(x):
    return x * time.time()


def the_time_by_name(x):
    return x * perf_counter()


def the_date(x):
    return x * datetime.datetime.now().hour


def the_date_by_name(x):
    return x * Clock.now().hour


def prints(x):
    print(x)
    return x


def opens(x):
    with open("values.txt", "a") as file:
        file.write(str(x))
    return x


def asks(x):
    return x * float(input())


def logs(x):
    LOG.info("x")
    return x


def logs_by_module(x):
    logging.info("x")
    return x


def writes(x):
    FILE.write("x")
    return x


def reads_environment(x):
    return x * float(os.environ.get("SLOPE", 1))


def evaluates(x):
    return eval("x + 1")


UNBOUNDED = {
    unbounded_while: "while x > 1:",
    unbounded_range: "for k in range(int(x)):",
    unbounded_recursion: "return unbounded_recursion(x - 1) if x > 0 else x",
    endless_recursion: "return endless_recursion(x + 1)",
    too_many_paths: "if math.sin(k * x) > 0:",
    infinite_sum: "total = total + x",
}
UNREADABLE = {
    index: "return [1, 2, 3][x]",
    slice_by_input: "return sum([1, 2, 3][:x])",
    iterates: "return sum(part for part in x)",
    subscripts: "return x[0]",
    length: "return len(x)",
    changes_in_place: "x[x < 0] = 0",
    dict_key: "return {0.0: 1, 1.0: 2}.get(x, 3)",
    set_member: "return 1 if x in {0, 1} else x",
    unknown_method: "return x.hex()",
    unknown_numpy: "return np.real_if_close(x)",
    unknown_ufunc: "return np.spacing(x)",
    reduces_a_ufunc: "return np.add.reduce(x)",
    unknown_standard_library: "return json.loads(json.dumps(x))",
    unknown_c_function: "return math.ulp(x)",
    bits_of_an_integer: "return int(x) & 3",
    shift: "return int(x) << 1",
    modular_power: "return pow(x, 2, 5)",
    to_complex: "return abs(complex(x, 1))",
    fills_an_array: "y[0] = x",
}
CHANGES = {
    by_global: "'COUNTER'",
    by_list: "'SEEN'",
    by_list_of_symbols: "'SEEN'",
    by_dict: "'LATEST'",
    by_set: "'TAGS'",
    by_deque: "'QUEUE'",
    by_defaultdict: "'COUNTS'",
    by_attribute: "Store",
    by_attribute_list: "list",
    by_slot: "Slots",
    by_class_attribute: "Store",
    by_array: "array",
    by_array_in_place: "array",
    by_module: "math.tau2",
    by_function_attribute: "by_function_attribute",
    _nonlocal(): "'calls'",
    by_mutable_default: "list",
}
ACTS = {
    random_number: "return x * random.random()",
    random_by_name: "return x * draw()",
    random_generator: "return x + RANDOM.gauss(0, 1)",
    random_numpy: "return x + np.random.rand()",
    random_numpy_generator: "return x + GENERATOR.normal()",
    random_new_generator: "return x + np.random.default_rng().normal()",
    the_time: "return x * time.time()",
    the_time_by_name: "return x * perf_counter()",
    the_date: "return x * datetime.datetime.now().hour",
    the_date_by_name: "return x * Clock.now().hour",
    prints: "print(x)",
    opens: 'with open("values.txt", "a") as file:',
    asks: "return x * float(input())",
    logs: 'LOG.info("x")',
    logs_by_module: 'logging.info("x")',
    writes: 'FILE.write("x")',
    reads_environment: 'return x * float(os.environ.get("SLOPE", 1))',
    evaluates: 'return eval("x + 1")',
}


def name_of(value):
    return getattr(value, "__name__", None)


def refusal(function, kind):
    with pytest.raises(kind) as caught:
        define(function)
    return str(caught.value)


def line_of(function, text):
    """The line's number in this file, found by its text."""
    with open(__file__) as file:
        lines = file.read().splitlines()
    start = function.__code__.co_firstlineno
    return start + next(i for i, line in enumerate(lines[start - 1 :]) if text in line)


@pytest.mark.parametrize(("function", "line"), UNBOUNDED.items(), ids=name_of)
def test_what_does_not_end(function, line, monkeypatch):
    monkeypatch.setattr(run, "MAX_PATHS", 200)
    monkeypatch.setattr(run, "MAX_OPERATIONS", 20_000)
    message = refusal(function, UnboundedError)
    assert message.startswith(f"{function.__name__!r}")
    assert f'File "{__file__}", line {line_of(function, line)}, in {function.__name__}' in message
    assert f"    {line}" in message
    assert "for _ in range(20)" in message
    assert "host=True" in message


@pytest.mark.parametrize(("function", "line"), UNREADABLE.items(), ids=name_of)
def test_what_cannot_be_followed(function, line):
    message = refusal(function, TraceError)
    assert message.startswith(f"{function.__name__!r} cannot be read: ")
    assert f'File "{__file__}", line {line_of(function, line)}, in ' in message
    assert f"    {line}" in message
    assert len(message.splitlines()[-1]) > 30, "a way out"


@pytest.mark.parametrize(("function", "changed"), CHANGES.items(), ids=name_of)
def test_what_changes_something_that_outlives_the_call(function, changed):
    message = refusal(function, ImpureError)
    assert function.__name__ in message
    assert changed in message
    assert f'File "{__file__}", line ' in message
    assert f", in {function.__name__}" in message
    assert "outlives the call" in message or "act once" in message
    assert "local variables" in message or "Copy the array" in message or "parameter" in message


def test_refused_changes_were_not_made():
    assert (COUNTER, SEEN, LATEST, TAGS) == (0, [], {}, {1, 2})
    assert (list(QUEUE), dict(COUNTS), ARRAY.tolist()) == ([1.0], {}, [1.0, 2.0])
    assert (STORE.last, STORE.history, SLOTS.last, Store.made) == (None, [], 0, 0)
    assert not hasattr(math, "tau2")
    assert not hasattr(by_function_attribute, "calls")
    assert by_mutable_default.__defaults__ == ([],)
    assert FILE.getvalue() == ""


@pytest.mark.parametrize(("function", "line"), ACTS.items(), ids=name_of)
def test_what_acts_on_the_world(function, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    message = refusal(function, ImpureError)
    assert message.startswith(f"{function.__name__!r} cannot be read: ")
    assert f'File "{__file__}", line {line_of(function, line)}, in {function.__name__}' in message
    assert f"    {line}" in message
    assert "pass what varies as an input or a parameter" in message.lower()
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""


def test_drawing_refused_leaves_the_generators_alone():
    before = GENERATOR.bit_generator.state, RANDOM.getstate(), random.getstate()
    refusal(random_numpy_generator, ImpureError)
    refusal(random_generator, ImpureError)
    refusal(random_by_name, ImpureError)
    assert (GENERATOR.bit_generator.state, RANDOM.getstate(), random.getstate()) == before


@pytest.mark.parametrize(
    ("function", "way_out"),
    [
        (dict_key, "Compare instead, as in `x in (0, 1)`"),
        (set_member, "Compare instead, as in `x in (0, 1)`"),
        (index, "Compare instead (`if`, `np.select`)"),
        (fills_an_array, "Collect the values in a list"),
        (unknown_numpy, "host=True"),
        (iterates, "Make it one of the row: `activation(..., axis=-1)`"),
    ],
)
def test_the_way_out_fits(function, way_out):
    assert way_out in refusal(function, TraceError)


def bounded_by_a_nan(x):
    y = min(x, x * math.inf)  # nan at 0: bounds must not believe that it is below anything
    k = 0
    while y < 1 and k < 3:
        y = y + 0.5
        k += 1
    return k + x


def test_bounds_do_not_decide_for_nan():
    program = define(bounded_by_a_nan)
    for x in (0.0, -1.0, 0.25, 2.0):
        assert program.evaluate(x) == bounded_by_a_nan(x)


# Results.


def forgets_a_return(x):
    if x > 0:
        return x


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        (forgets_a_return, "None (is a `return` missing on one path?)"),
        (lambda x: "x" if x > 0 else x, "'x'"),
        (lambda x: x if x > 0 else 1 + 2j, "(1+2j)"),
        (lambda x: {"y": x}, "a dict of y"),
        (lambda x: np.array([x, x]), "array"),
        (lambda x: np.array([1.0, 2.0]), "array"),
        (lambda x: print, "built-in function print"),
        (lambda x: None, "None"),
    ],
)
def test_a_result_that_is_not_a_number(function, shown):
    message = refusal(function, TraceError)
    assert shown in message
    assert "is not a number" in message
    assert f'File "{__file__}", line {function.__code__.co_firstlineno}' in message
    assert "Every path must return one number" in message


@pytest.mark.parametrize(
    "function",
    [lambda x: [x, x], lambda x: (x, 1.0), lambda x: (x,), lambda x: []],
)
def test_an_activation_returns_one_number(function):
    message = refusal(function, TraceError)
    assert "an activation returns one" in message
    assert f'File "{__file__}", line {function.__code__.co_firstlineno}' in message


@pytest.mark.parametrize(
    "function", [lambda x: (x, x) if x > 0 else x, lambda x: (x, x) if x > 0 else (x, x, x)]
)
def test_the_same_number_of_results_on_every_path(function):
    message = refusal(function, TraceError)
    assert "on one path and" in message
    assert f'File "{__file__}", line {function.__code__.co_firstlineno}' in message


# What is found by comparing with Python itself.


def swallows_a_domain_error(x):
    try:
        return math.log(x)
    except ValueError:
        return -7.0


def swallows_a_division_by_zero(x):
    try:
        return 1 / x
    except ZeroDivisionError:
        return 0.0


def swallows_at_one_number(x):
    try:
        return 1 / (x - 3)
    except ZeroDivisionError:
        return 5.0


def matches_truth_values(x):
    match (x > 0, x > 1):
        case (True, True):
            return x
        case (True, False):
            return 2 * x
    return 3 * x


def swallows_an_overflow(x):
    try:
        return math.exp(x)
    except OverflowError:
        return 99.0


def swallows_everything(x):
    try:
        return float(str(x))
    except Exception:
        return 0.0


def looks_at_its_text(x):
    return 1.0 if "." in str(x) else x


def looks_at_its_class(x):
    return x if type(x).__name__ == "float" else 0


def compares_identity(x):
    return 1 if (x > 0) is True else 0


@pytest.mark.parametrize(
    "function",
    [
        swallows_a_domain_error,
        swallows_a_division_by_zero,
        swallows_at_one_number,
        swallows_an_overflow,
        matches_truth_values,
        swallows_everything,
        looks_at_its_text,
        compares_identity,
    ],
)
def test_a_function_that_is_not_what_was_read_is_found_out(function):
    message = refusal(function, ActgradError)
    assert function.__name__ in message
    assert f'File "{__file__}", line ' in message
    assert "host=True" in message


def two_answers():
    calls = iter(range(10**6))

    def alternates(x):
        return x if next(calls) % 2 else -x

    return alternates


def two_questions():
    calls = iter(range(10**6))

    def wanders(x):
        return x if x > next(calls) else -x

    return wanders


@pytest.mark.parametrize("make", [two_answers, two_questions])
def test_different_paths_for_the_same_decisions_are_detected(make):
    message = refusal(make(), ImpureError)
    assert "Remove what varies between two calls" in message
    assert f'File "{__file__}", line ' in message


def test_a_symbol_kept_after_reading_is_refused():
    kept = []

    class Leaky:
        def __eq__(self, other):
            return True

        def keep(self, x):
            kept.append(x)

    def leaks(x):
        Leaky().keep(x)
        return x

    with pytest.raises(ImpureError):
        define(leaks)
    assert kept == []


def test_a_symbol_used_after_reading_is_refused():
    from actgrad.language.expression import var
    from actgrad.reading.symbol import Symbol

    symbol = Symbol(var("x"))
    with pytest.raises(ImpureError, match="kept after its function had been read"):
        symbol + 1
    with pytest.raises(ImpureError, match="kept after its function had been read"):
        bool(symbol > 0)


# User exceptions.


def raises_always(x):
    raise KeyError("nothing here")


def raises_on_both_paths(x):
    if x > 0:
        raise ValueError("positive")
    raise ValueError("negative")


def stumbles(x):
    return "a" + 1 if x > 0 else x


@pytest.mark.parametrize("function", [raises_always, stumbles])
def test_an_exception_of_the_user_is_named_with_its_line(function):
    with pytest.raises(TraceError) as caught:
        define(function)
    message = str(caught.value)
    assert "it raised KeyError: 'nothing here'" in message or "it raised TypeError" in message
    line = function.__code__.co_firstlineno + 1
    assert f'File "{__file__}", line {line}, in {function.__name__}' in message
    assert isinstance(caught.value.__cause__, (KeyError, TypeError))


def test_raising_on_every_path_is_an_error():
    message = refusal(raises_on_both_paths, TraceError)
    assert "raises an exception on every path" in message
    assert f'File "{__file__}", line {raises_on_both_paths.__code__.co_firstlineno}' in message


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interruptions_pass_through(interruption):
    def interrupted(x):
        raise interruption

    with pytest.raises(interruption):
        define(interrupted)


@pytest.mark.parametrize("function", [raises_always, unbounded_while, prints, by_global])
def test_a_failed_reading_leaves_nothing_behind(function):
    from actgrad.reading.reader import reader

    threads = threading.active_count()
    with pytest.raises(ActgradError):
        define(function)
    with pytest.raises(ImpureError):
        reader()
    assert threading.active_count() <= threads
    assert define(lambda x: 2 * x).evaluate(3.0) == 6.0


def test_a_reading_inside_a_reading_is_its_own():
    from actgrad import activation

    def outer(x):
        inner = activation(lambda y: y * y if y > 0 else y)
        return inner(x) + 1

    program = define(outer)
    assert (program.evaluate(3.0), program.evaluate(-3.0)) == (10.0, -2.0)


def test_eight_threads_read_at_once():
    def make(k):
        def curve(x):
            total = 0.0
            for i in range(5):
                if x > i + k:
                    total += math.tanh(x * k)
            return total

        return curve

    expected = [define(make(k)).value for k in range(1, 9)]
    found = [None] * 8
    start = threading.Barrier(8)

    def work(i):
        start.wait()
        for _ in range(5):
            found[i] = define(make(i + 1)).value

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(a is b for a, b in zip(found, expected, strict=True))


# Size.


def steps(count):
    def unrolled(x):
        y = x
        for _ in range(count):
            y = y + 0.01 * math.sin(y)
        return y

    return unrolled


def test_the_graph_of_a_loop_is_linear_in_its_length():
    sizes = [len(walk(define(steps(n)).value)) for n in (250, 500, 1000)]
    assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0])
    assert sizes[2] <= 4 * 1000


def branching_steps(count):
    def unrolled(x):
        y = x
        for _ in range(count):
            y = max(y * 0.9, y - 0.1)
        return y

    return unrolled


def test_the_graph_of_a_loop_of_choices_is_linear_in_its_length():
    sizes = [len(walk(define(branching_steps(n)).value)) for n in (250, 500, 1000)]
    assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0])
    assert sizes[2] <= 6 * 1000


def test_256_paths_are_read():
    def staircase(x):
        for k in range(255):
            if x < k * 0.1:
                return k * x
        return x

    program = define(staircase)
    points = np.linspace(-1, 30, 500)
    assert program.evaluate(points).tolist() == [staircase(float(p)) for p in points]


def test_derivatives_of_a_long_loop_are_linear_too():
    sizes = [len(walk(define(steps(n)).partial("x").value)) for n in (250, 500, 1000)]
    assert sizes[2] <= 2.2 * sizes[1] <= 2.2 * 2.2 * sizes[0]


def test_what_would_take_minutes_is_refused_at_its_definition():
    def rows(x):
        for _ in range(100):
            x = x / (1.0 + np.sum(x * x))
        return x

    sines, root = steps(3000), activation(math.sqrt)
    cases = {
        "the value has": lambda: activation(sines),
        "the value has [0-9,]+": lambda: activation(root, surrogate=steps(3000)),
        "the gradient by x has": lambda: activation(rows, axis=-1),
    }
    for words, make in cases.items():
        with pytest.raises(
            TraceError, match=rf"too large: {words}.* more than the 20,000"
        ) as caught:
            make()
    assert 'test_errors.py", line' in str(caught.value)
    assert "in rows" in str(caught.value)


class Counts:
    calls = 0

    def __call__(self, x):
        self.calls += 1
        return x * self.calls


@pytest.mark.parametrize("wrap", [lambda f: f, functools.partial], ids=["object", "partial of it"])
def test_an_object_that_is_called_is_shown_by_its_call(wrap):
    line = Counts.__call__.__code__.co_firstlineno
    assert f'File "{__file__}", line {line}, in __call__' in refusal(wrap(Counts()), ImpureError)


def _typo_in_a_module(x):
    return np.tahn(x)


def _typo_in_a_method(x):
    return x.sigmiod()


def _typo_in_a_name(x):
    return _typo_in_a_nam(x)  # noqa: F821


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (_typo_in_a_module, "numpy has no attribute 'tahn'; did you mean 'tanh'?"),
        (_typo_in_a_method, "'sigmiod' that actgrad knows; did you mean 'sigmoid'?"),
        (
            _typo_in_a_name,
            "the name '_typo_in_a_nam' is not defined; did you mean '_typo_in_a_name'?",
        ),
    ],
    ids=["module", "method", "name"],
)
def test_a_typo_is_told_what_was_meant(function, said):
    message = refusal(function, TraceError)
    assert said in message
    assert "answer every number" not in message


@pytest.mark.parametrize(
    "function",
    [lambda x: abs(x + 1j), lambda x: np.exp(1j * x).real, lambda x: np.maximum(x, 2j)],
    ids=["sum", "product", "argument"],
)
def test_complex_numbers_lead_to_two_inputs(function):
    message = refusal(function, TraceError)
    assert "computes with complex numbers" in message
    assert "`def f(re, im): ...`" in message


@pytest.mark.filterwarnings(
    "ignore::RuntimeWarning", "ignore::actgrad.errors.ZeroDerivativeWarning"
)
def test_a_function_that_is_infinite_everywhere_is_read():
    assert define(lambda x: np.rint(0.5) ** -2.0 - x).evaluate(3.0) == math.inf
