"""The design of a comparison: flags or a TOML file -> data that is known to be usable."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import math
import tomllib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from actgrad.activation import Activation
from actgrad.catalogue.activations import ENTRIES as ACTIVATIONS
from actgrad.catalogue.surrogates import ENTRIES as SURROGATES
from actgrad.common.text import did_you_mean
from actgrad.common.types import Fields
from actgrad.errors import ActgradError, HostError, InputError
from actgrad.frameworks.parameters import check_known
from actgrad.workbench import data as data_files
from actgrad.workbench.load import load
from actgrad.workbench.networks import NETWORKS, check_one_input, check_shape

OPTIMIZERS = ("adam", "adamw", "sgd", "momentum", "rmsprop", "nadam", "lion")
CATALOGUE: Fields = {**SURROGATES, **ACTIVATIONS}
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Choice:
    """One of the activations that are compared."""

    label: str
    target: str
    parameters: Fields
    hash: str
    program: str | None
    """As JSON; None for a Python function that runs on the host, which each worker reads from `target`."""
    source: str
    """The Python text, where it is at hand."""


@dataclass(frozen=True)
class Try:
    optimizer: str
    rate: float

    def __str__(self) -> str:
        return f"{self.optimizer} {self.rate:g}"


@dataclass(frozen=True)
class Design:
    activations: tuple[Choice, ...]
    networks: tuple[str, ...]
    data: tuple[str, ...]
    digests: tuple[str, ...]
    optimizers: tuple[str, ...]
    rates: tuple[float, ...]
    seeds: int
    tuning_seeds: int
    epochs: int
    batch_size: int
    reference: str
    backend: str

    @property
    def tries(self) -> list[Try]:
        return [Try(o, r) for o in self.optimizers for r in self.rates]

    @property
    def places(self) -> list[tuple[str, str]]:
        """Where activations are compared: each network on each data."""
        return [(network, data) for data in self.data for network in self.networks]

    @property
    def size(self) -> int:
        """Of all runs."""
        tuning = len(self.tries) * self.tuning_seeds if len(self.tries) > 1 else 0
        return len(self.activations) * len(self.places) * (tuning + self.seeds)

    @classmethod
    def from_json(cls, text: str) -> Design:
        """What `to_json` wrote."""
        found: Fields = json.loads(text)
        found |= {n: tuple(value) for n, value in found.items() if isinstance(value, list)}
        return cls(**found | {"activations": tuple(Choice(**a) for a in found["activations"])})

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Asked:
    """What was asked for, before it is looked at. A TOML file has these keys."""

    activations: tuple[object, ...]
    networks: tuple[str, ...] = ("mlp",)
    data: tuple[str, ...] = ("digits",)
    optimizers: tuple[str, ...] = ("adam",)
    rates: tuple[float, ...] = (1e-3, 3e-4)
    seeds: int = 10
    tuning_seeds: int = 1
    epochs: int = 20
    batch_size: int = 32
    reference: str | None = None


def read_toml(path: Path) -> Asked:
    """Raises `InputError` for what is not a design, and names the key."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    known = {f.name for f in fields(Asked)}
    for key in content:
        if key not in known:
            raise InputError(f"{path} has the key {key!r}{_nearest(key, known)}")
    if not content.get("activations"):
        raise InputError(f"{path} has no activations: activations = ['relu', 'FILE:NAME']")
    for key, value in content.items():
        if key in ("networks", "data", "optimizers", "rates", "activations"):
            content[key] = tuple(value) if isinstance(value, list) else (value,)
    content["activations"] = tuple(_beside(path, item) for item in content["activations"])
    content["data"] = tuple(_where(path, item) for item in content.get("data", ("digits",)))
    return Asked(**content)


def _beside(path: Path, item: object) -> object:
    if isinstance(item, dict):
        return {**item, "name": _where(path, item.get("name"))}
    return _where(path, item)


def _where(path: Path, text: object) -> object:
    """A file of a TOML file's own folder is found from anywhere."""
    if not isinstance(text, str):
        return text
    file, colon, rest = text.partition(":")
    beside = path.parent / file
    return f"{beside}{colon}{rest}" if not Path(file).exists() and beside.is_file() else text


def make(asked: Asked, backend: str, warn: Warn) -> Design:
    """Raises `InputError` for what cannot be compared, before anything is made."""
    choices = _labelled([c for item in asked.activations for c in _choices(item, warn)])
    labels = [c.label for c in choices]
    _numbers(asked)
    _each("networks", asked.networks, NETWORKS)
    _each("optimizers", asked.optimizers, OPTIMIZERS)
    _each("data", asked.data, None)
    _each("rates", asked.rates, None)
    digests = []
    for name in asked.data:
        data = data_files.load(name)
        digests.append(data.digest)
        if len(data.x_train) < 10:
            raise InputError(f"{name} has {len(data.x_train)} samples for training: too few")
        for network in asked.networks:
            check_shape(network, data.shape)
    reference = asked.reference or ("relu" if "relu" in labels else labels[0])
    if reference not in labels:
        raise InputError(f"reference {reference!r} is not compared{_nearest(reference, labels)}")
    found: Fields = {"activations": tuple(choices), "rates": tuple(map(float, asked.rates))}
    found |= {"digests": tuple(digests), "reference": reference, "backend": backend}
    return Design(**(vars(asked) | found))


def _numbers(asked: Asked) -> None:
    for name in ("seeds", "tuning_seeds", "epochs", "batch_size"):
        value = getattr(asked, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(f"{name} {value!r}: it should be a whole number, 1 or more")
    for rate in asked.rates:
        if isinstance(rate, bool) or not isinstance(rate, (int, float)):
            raise InputError(f"rates {rate!r}: it should be a number")
        if not (math.isfinite(rate) and rate > 0):
            raise InputError(f"rates {rate}: it should be a number above 0")


def _each(key: str, values: tuple[object, ...], known: Collection[str] | None) -> None:
    if not values:
        raise InputError(f"{key}: at least one is needed")
    for value in values:
        if values.count(value) > 1:
            raise InputError(f"{key}: {value} is given twice")
        if known is not None and value not in known:
            raise InputError(f"{key} {value!r} is not known{_nearest(str(value), known)}")
        if key == "data" and not isinstance(value, str):
            raise InputError(f"data {value!r}: it should be 'digits' or the path of an .npz file")


def _nearest(name: str, known: Iterable[str]) -> str:
    return "; " + did_you_mean(name, known, f"there are {', '.join(sorted(known))}")


def _choices(item: object, warn: Warn) -> list[Choice]:
    """An activation, once for each value of its parameters."""
    target, grid = _grid(item)
    f = _activation(target, warn)
    check_one_input(f)
    combinations = [dict(zip(grid, v, strict=True)) for v in itertools.product(*grid.values())]
    return [_choice(f, target, parameters) for parameters in combinations]


def _grid(item: object) -> tuple[str, dict[str, Sequence[object]]]:
    if isinstance(item, dict):
        unknown = set(item) - {"name", "parameters"}
        if unknown or not isinstance(item.get("name"), str):
            raise InputError(f"an activation has a name and perhaps parameters, and here is {item}")
        grid = item.get("parameters", {})
        if not isinstance(grid, dict):
            raise InputError(f"parameters of {item['name']}: they are named, as in slope = [1, 5]")
        lists: dict[str, Sequence[object]] = {
            n: v if isinstance(v, list) else [v] for n, v in grid.items()
        }
        return item["name"], lists
    if not isinstance(item, str):
        raise InputError(f"an activation is FILE:NAME or a name of the catalogue, not {item!r}")
    target, _, query = item.partition("?")
    return target, dict(_parameter(item, part) for part in query.split("&") if part)


def _parameter(item: str, part: str) -> tuple[str, list[float]]:
    name, _, values = part.partition("=")
    try:
        return name, [int(v) if v.lstrip("+-").isdigit() else float(v) for v in values.split(",")]
    except ValueError:
        raise InputError(
            f"{item}: parameters are NAME=NUMBER,NUMBER after a ?, as in spiky.py:spiky?slope=1,5"
        ) from None


def _activation(target: str, warn: Warn) -> Activation:
    if target in CATALOGUE:
        return CATALOGUE[target].activation
    if ":" not in target and not target.endswith((".py", ".json")):
        raise InputError(f"no activation {target!r} in the catalogue{_nearest_name(target)}")
    return load(target, warn)


def _nearest_name(name: str) -> str:
    hint = did_you_mean(name, CATALOGUE)
    return f"{'; ' * bool(hint)}{hint}\n  One of your own is FILE:NAME, as in spiky.py:spiky"


def with_parameters(f: Activation, parameters: Fields) -> Activation:
    check_known(f.program, parameters)
    return f(**parameters) if parameters else f


def rebuild(choice: Choice) -> Activation:
    """The activation elsewhere: from the program, which is data, or from its file as it was."""
    if choice.program is not None:
        import actgrad

        return actgrad.from_json(choice.program)
    f = _activation(choice.target, lambda _: None)
    if _choice(f, choice.target, choice.parameters).hash != choice.hash:
        raise InputError(f"{choice.target} is another one than when the comparison began")
    return with_parameters(f, choice.parameters)


def _choice(f: Activation, target: str, parameters: Fields) -> Choice:
    try:
        g = with_parameters(f, parameters)
    except ActgradError as error:
        raise InputError(f"{target} with {parameters}: {error}") from error
    source = _source(f)
    program: str | None
    try:
        program = g.to_json()
        identity = program
    except HostError:
        program, identity = None, f"{target}\n{parameters}\n{source}"
    label = f.name if f.name != "relu_" else "relu"
    if target in CATALOGUE:
        label = target
    if parameters:
        label += f"({', '.join(f'{n}={v}' for n, v in parameters.items())})"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return Choice(label, target, parameters, digest, program, source)


def _source(f: Activation) -> str:
    try:
        return inspect.getsource(f.function) if f.function is not None else ""
    except (OSError, TypeError):
        return ""


def _labelled(choices: list[Choice]) -> list[Choice]:
    """Each label once: those of one name from two places are told apart by the place."""
    counts = [c.label for c in choices]
    found = []
    for c in choices:
        label = c.label
        if counts.count(label) > 1:
            label = f"{c.target}{label[label.index('(') :] if '(' in label else ''}"
        found.append(replace(c, label=label))
    labels = [c.label for c in found]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice:
        raise InputError(f"{twice} is given twice")
    return found
