"""What an object, a class or a namespace holds, to compare with later: who changed it is impure."""

from __future__ import annotations

import collections
import types
from typing import Any

from actgrad.common.types import Fields
from actgrad.reading.surroundings.origins import is_library

LIBRARY_CONTAINERS = (
    collections.deque,
    collections.defaultdict,
    collections.OrderedDict,
    collections.Counter,
)


def own_names(kind: type) -> dict[str, object]:
    return {name: item for name, item in vars(kind).items() if not name.startswith(("__", "_abc_"))}


def attributes_of(value: object) -> dict[str, object]:
    """What an object holds, in its `__dict__` and in its slots."""
    slots = {
        name: getattr(value, name)
        for kind in type(value).__mro__
        for name, item in vars(kind).items()
        if isinstance(item, types.MemberDescriptorType)
        and not is_library(kind)
        and hasattr(value, name)
    }
    return slots | getattr(value, "__dict__", {})


def contents_of(value: object) -> object:
    if isinstance(value, dict):
        return dict(value)
    return list(value) if isinstance(value, (list, tuple, set, *LIBRARY_CONTAINERS)) else []


SNAPSHOT = "__actgrad_snapshot__"
# Python writes the second of these when a warning is given.
_NOT_THE_USERS = frozenset({SNAPSHOT, "__warningregistry__"})


def changed_names(namespace: Fields) -> str | None:
    before = namespace[SNAPSHOT]
    for name, value in namespace.items():
        if name not in _NOT_THE_USERS and before.get(name, namespace) is not value:
            if name in before:
                namespace[name] = before[name]
            return f"the global variable {name!r}"
    return None


def same_items(now: Any, before: Any) -> bool:
    if len(now) != len(before):
        return False
    if isinstance(now, dict):
        return all(key in before and before[key] is item for key, item in now.items())
    return all(a is b for a, b in zip(now, before, strict=True))
