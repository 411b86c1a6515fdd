"""Checks the values of a settings record against a table of rules. The error names the first wrong value in one
line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.errors import UnfreezeError

Number = (int, float)


@dataclass(frozen=True)
class Rule:
    """The values that a field may have."""

    kind: type | tuple[type, ...]
    expected: str  # the end of the error's text: what to give
    holds: Callable[[Any], bool] = lambda value: True
    each: bool = False  # the field is a tuple of such values
    optional: bool = False  # the field may also be None


def check(record: object, rules: Mapping[str, Rule]) -> None:
    """Turn lists and single values of the fields that hold tuples into tuples, in place. `record` is new, so that it
    may be frozen. Raises UnfreezeError for the first field that does not follow its rule."""
    for name, rule in rules.items():
        value = getattr(record, name)
        if rule.optional and value is None:
            continue
        if rule.each:
            value = as_tuple(value)
            object.__setattr__(record, name, value)
        for one in value if rule.each else (value,):
            check_value(name, one, rule, value)


def check_value(name: str, value: Any, rule: Rule, shown: Any = None) -> None:
    """Raises UnfreezeError if one value does not follow its rule. `shown`: what the error names in its place."""
    if not _follows(value, rule):
        told = value if shown is None else shown
        raise UnfreezeError(f"{name} is {told if _is_number(told) else repr(told)}; give {rule.expected}")


def as_tuple(value: Any) -> tuple:
    """A tuple as it is, a list as a tuple, and a single value as a tuple of one."""
    if isinstance(value, tuple):
        return value
    return tuple(value) if isinstance(value, (list, range)) else (value,)


def one_of(choices: tuple[str, ...]) -> Rule:
    """The rule of a field whose value is one of `choices`."""
    return Rule(str, f"one of {', '.join(choices)}", lambda value: value in choices)


def at_least(least: int, *, optional: bool = False) -> Rule:
    """The rule of a whole number that is `least` or more. `optional`: it may also be None."""
    expected = f"a whole number, {least} or more{', or None' if optional else ''}"
    return Rule(int, expected, lambda value: value >= least, optional=optional)


def _follows(value: Any, rule: Rule) -> bool:
    return isinstance(value, rule.kind) and (rule.kind is bool or not isinstance(value, bool)) and rule.holds(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))
