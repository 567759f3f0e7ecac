"""The runs of a function: the decisions of each are answered from a list, then with True, and noted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actgrad.common.types import Function
from actgrad.errors import ImpureError, UnboundedError
from actgrad.language.expression import Expr, const, var, variables
from actgrad.language.length import Turn
from actgrad.language.rewrite import build
from actgrad.reading.bounds import is_whole
from actgrad.reading.facts import Facts
from actgrad.reading.libraries import names
from actgrad.reading.refusal import CHOOSE, HOST, depends_on, refuse, user_line
from actgrad.reading.turns import Turns

MAX_PATHS = 4096
MAX_DECISIONS = 2500
MAX_PARAMETER_DECISIONS = 50
"""After this many decisions on parameters alone, the loop that asks is one over a plain number."""
MAX_ENTRY_DECISIONS = 3
"""So too of the entries of a vector: then it is a list of options, such as a mask."""
MAX_QUESTIONS = 16
"""So many times a path may ask for the input's shape or dtype."""
MAX_OPERATIONS = 500_000
MAX_CHOICES = 64
"""As many values an index may have that is no index of a constant table."""

BOUND_IT = (
    "Bound the loop, as in `for _ in range(20):` with a `break`, or write independent choices as "
    "values (`max`, `min`, `np.where`), which cost no path. " + HOST
)


_QUESTION = "whether the input's "
Path = list[tuple[Expr, bool]]
"""The decisions of a run."""
Questions = dict[Expr, tuple[str, str]]
"""What was asked for of the input, and the line where."""


class NeedsPlain(BaseException):
    """Python needs the plain value of a parameter. Not an Exception: the user's `except` must not see it."""

    def __init__(self, names: set[str], refusal: Exception | None = None) -> None:
        self.names = names
        self.refusal = refusal
        """What is refused if they cannot be plain: they have chosen the path that it is on."""


class NeedsTables(BaseException):
    """These parameters, read entry by entry so far, are read at a computed index."""

    def __init__(self, names: set[str]) -> None:
        self.names = names


class Run:
    """The runs of the function, one after another: each answers decisions from a list, then True, and notes
    them."""

    def __init__(
        self,
        parameters: frozenset[str],
        entries: frozenset[str],
        libraries: tuple[str, ...] | None,
    ) -> None:
        """`libraries`: what a function of a row is written with; None for a function of numbers."""
        self.parameters = parameters
        self.entries = entries
        self.rows = libraries is not None
        self.libraries = libraries or ()
        self.facts = Facts()
        self.questions: Questions = {}
        self.rounds: set[str] = set()
        self.asked: dict[Expr, None] = {}
        """The conditions that were asked of each number of a row."""
        self.operations = 0
        self.paths = 0
        self.start([])

    def start(self, prefix: Path) -> None:
        """Begin a run, the first decisions of which are these."""
        self.prefix = prefix
        self.path: Path = []
        self.turns: list[Turns] = []
        self.mixed: set[Expr] = set()
        self.loop: Turn | None = None
        self.each: Turn | None = None

    def count(self) -> None:
        self.operations += 1
        if self.operations > MAX_OPERATIONS:
            refuse(
                f"reading the function took more than {MAX_OPERATIONS:,} operations: a loop does not end, "
                f"or there are too many paths",
                BOUND_IT,
                UnboundedError,
            )

    def method(self, name: str) -> Function | None:
        return names.method(name)

    def meaning(self, function: object) -> Callable[..., object] | None:
        return names.meaning(function)

    def range_of(self, value: Expr) -> tuple[float, float]:
        """Bounds of a value, as far as the decisions so far tell them."""
        return self.facts.range_of(len(self.path), value)

    def whole_tables(self, values: Sequence[Expr]) -> None:
        """Ask that parameters be tables of which entries stand in these values."""
        names = variables(*values) & self.entries
        if names:
            raise NeedsTables(names)

    def settle(self, value: Expr) -> None:
        names = variables(value)
        if names and names <= self.parameters:
            raise NeedsPlain(names)

    def index(self, value: Expr) -> int:
        """The index as a plain integer: one decision for each that it may be."""
        if value.boolean:
            return int(self.decide(value))
        self.settle(value)
        low, high = self.range_of(value)
        if not (is_whole(value) and high - low < MAX_CHOICES):
            refuse(
                "an index or a count depends on the input",
                f"Compare instead (`if`, `np.select`); or bound the index, as in "
                f"`table[int(np.clip(x, 0, {MAX_CHOICES - 1}))]`. A loop runs to a fixed bound.",
            )
        for choice in range(int(low), int(high) + 1):
            if self.decide(build("le", value, const(float(choice)))):
                return choice
        raise ValueError("cannot convert float NaN to integer")

    def decide(self, condition: Expr) -> bool:
        if condition.op == "const":
            return bool(condition.value)
        if condition.op == "not":
            return not self.decide(condition.args[0])
        step = len(self.path)
        if step < len(self.prefix) and self.prefix[step][0] is condition:
            self.path.append(self.prefix[step])
            return self.prefix[step][1]
        known = self.facts.known(condition)
        if known is not None:
            return known
        if step < len(self.prefix):
            refuse(
                "the function asks different questions for the same answers, so it is not a function "
                "of its arguments alone",
                "Remove what varies between two calls (randomness, time, stored state).",
                ImpureError,
            )
        if step >= MAX_DECISIONS:
            refuse(
                f"this condition is still open after {MAX_DECISIONS:,} decisions on one path: the loop "
                f"has no bound that holds for every input",
                BOUND_IT,
                UnboundedError,
            )
        if self.paths >= MAX_PATHS:
            refuse(f"it has more than {MAX_PATHS:,} paths", BOUND_IT, UnboundedError)
        self._pin_parameters(condition)
        self.path.append((condition, True))
        self.facts.learn(condition, True)
        return True

    def decide_each(self, condition: Expr, length: Turn) -> bool:
        """What is asked of each number of a row: within a generator a way through it. Elsewhere the paths of
        the function, which are joined number by number, so that nothing may mix the numbers from here on."""
        if condition.op != "const":
            self.asked[condition] = None
        if self.turns:
            return self.turns[-1].decide(condition)
        if self.each not in (None, length):
            refuse("an `if` on each number of two rows of different lengths", CHOOSE)
        self.each = length
        return self.decide(condition)

    def mixes(self, row: Expr) -> None:
        """Note an operation on a row. Refuse one that was not there before its numbers were asked each."""
        if self.each is None:
            self.mixed.add(row)
        elif row not in self.mixed:
            refuse(
                "the function asks each number of a row for something, and mixes them then", CHOOSE
            )

    def ask(self, what: str, question: str) -> bool:
        """Whether this holds of the input's shape, dtype or device, of which the result must not depend."""
        self.count()
        asked = build("eq", var(f"{_QUESTION}{what} {question}"), const(1.0))
        if asked not in self.questions:
            self.questions[asked] = what, user_line()
        if sum(condition in self.questions for condition, _ in self.path) >= MAX_QUESTIONS:
            depends_on(what)
        return self.decide(asked)

    def on_parameters_alone(self) -> bool:
        """Whether parameters have chosen this path: their values may be ones that nobody gives them."""
        return len(self._by_parameters()) == len(self.path)

    def deciding_parameters(self) -> set[str]:
        """The parameters that alone have made a decision on this path."""
        return variables(*self._by_parameters())

    def _by_parameters(self) -> list[Expr]:
        """The conditions on this path that are on parameters alone."""
        mentions = self.facts.mentions_others
        return [c for c, _ in self.path if not mentions(c, self.parameters)]

    def has_gradient(self) -> bool:
        """Whether this path supposes that a gradient is asked for, which is so where nothing asked."""
        asked = [
            answer
            for c, answer in self.path
            if c in self.questions and self.questions[c][0] == "requires_grad"
        ]
        return all(asked)

    def _pin_parameters(self, condition: Expr) -> None:
        """Many decisions on parameters alone are a loop over a plain number."""
        if not self.facts.mentions_others(condition, self.parameters):
            asked = len(self._by_parameters())
            names = variables(condition)
            if not names and asked >= MAX_PARAMETER_DECISIONS:
                refuse(
                    "a loop counts to the length of a row, which is not known yet",
                    "Loop over the numbers, `for v in x` or `for i in range(len(x))`, or sum the row.",
                    UnboundedError,
                )
            if asked >= (MAX_ENTRY_DECISIONS if names & self.entries else MAX_PARAMETER_DECISIONS):
                raise NeedsPlain(names)
