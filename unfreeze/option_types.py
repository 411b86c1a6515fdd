"""The types of options that click does not have."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from toolkit.storage.local_path import local_path

LONGEST = 1e9  # seconds
_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(rf"{_NUMBER}|(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?", re.ASCII)  # 1h30 is neither
_UNITS = (1, 3600, 60, 1)  # seconds of a number alone, of hours, minutes and seconds
LONGEST_RANGE = 1000  # numbers in a range at most


class Numbers(click.ParamType):
    """`0,64,256`, or `0:0.5` and `0:0.5:0.1` (from, to, step) -> a tuple of distinct numbers, ascending."""

    def __init__(self, kind: type, step: float) -> None:
        self.kind, self.step = kind, step
        self.name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple:
        if isinstance(value, tuple):
            return value
        try:
            numbers = self._range(value) if ":" in value else [self.kind(part) for part in value.split(",")]
        except (ValueError, OverflowError):
            numbers = []
        if not numbers:
            step = f"the step is {self.step:g} if not given and must lead to the last number"
            self.fail(f"{value!r} is neither a list 0,1,2 nor a range FROM:TO or FROM:TO:STEP ({step})", param, ctx)
        return tuple(sorted(set(numbers)))

    def _range(self, value: str) -> list:
        bounds = [self.kind(part) for part in value.split(":")]
        if len(bounds) > 3:
            raise ValueError
        first, last, step = bounds if len(bounds) == 3 else (*bounds, self.kind(self.step))
        count = round((last - first) / step) if step > 0 else -1
        if not 0 <= count < LONGEST_RANGE or abs(first + count * step - last) > 1e-9:
            raise ValueError  # the last number must be on a step: none is dropped silently
        return [round(first + n * step, 9) for n in range(count + 1)]


class Duration(click.ParamType):
    """`90`, `90s`, `30m`, `2h` or `1h30m` -> seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        found = _DURATION.fullmatch(value.strip().lower())
        parts = found.groups(default="0") if found else ("0",) * len(_UNITS)
        seconds = sum(float(part) * unit for part, unit in zip(parts, _UNITS, strict=True))
        if not 0 < seconds < LONGEST:
            self.fail(f"{value!r} is no time; give seconds, or a time such as 90s, 30m, 2h or 1h30m", param, ctx)
        return seconds


class Names(click.ParamType):
    """`onnx,tflite` -> a tuple of names."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple:
        if isinstance(value, tuple):
            return value
        names = tuple(filter(None, (name.strip() for name in value.split(","))))
        return names or self.fail("it is empty; give names, separated by commas", param, ctx)


class Several(click.ParamType):
    """`a,b` -> a tuple of distinct values of another type, in their order; one value alone -> that value."""

    def __init__(self, kind: click.ParamType | type) -> None:
        self.kind = click.types.convert_type(kind)
        self.name = self.kind.name

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        told = self.kind.get_metavar(param, ctx) or self.name.upper()
        return f"{told}[,...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        parts = list(filter(None, (part.strip() for part in value.split(","))))
        values = tuple(dict.fromkeys(self.kind.convert(part, param, ctx) for part in parts))
        if not values:
            self.fail("it is empty; give values, separated by commas", param, ctx)
        return values if len(values) > 1 else values[0]


class Choice(click.Choice):
    """One of a few words. For any other word the nearest is proposed."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        near = get_close_matches(str(value), self.choices, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        return super().get_invalid_choice_message(value, ctx) + hint


class LocalPath(click.Path):
    """A path on this machine -> Path. Raises UnfreezeError for a URL."""

    def __init__(self, expected: str = "a file or folder on this machine") -> None:
        super().__init__(path_type=Path)
        self.expected = expected

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(local_path(value, self.expected), param, ctx)
