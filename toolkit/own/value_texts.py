"""Texts for a value that a function names, the same in every process: for plain data, and for objects with their state.

Functions and classes are the caller's: `toolkit.own.function_digest`.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from toolkit.own.calls import name_of

if TYPE_CHECKING:
    import numpy as np

PLAIN = (str, bytes, int, float, complex, bool, type(None), type(Ellipsis))
DEEPEST, MOST = 60, 20_000  # objects in objects, and objects in all, of which more than the name is told
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")


@dataclass
class Seen:
    """What was told already, and how many objects lie around the one that is being told."""

    numbers: dict[int, tuple[int, Any]] = field(default_factory=dict)  # id -> number, and the object, which keeps it
    depth: int = 0


Code = Callable[[FunctionType | type, str, Seen], Iterator[str]]


def value_texts(value: Any, module: str, seen: Seen, code: Code) -> Iterator[str]:
    """The texts of a value. `module`: of what names it. `code`: gives the texts of functions and classes. What was seen
    before is told by its number, so that an object that holds itself has an end."""
    if isinstance(value, Enum):
        yield f"{type(value).__qualname__}.{value.name} {value.value!r}"
    elif isinstance(value, PLAIN):
        yield repr(value)
    elif isinstance(value, ModuleType):
        yield value.__name__
    elif id(value) in seen.numbers:
        yield f"again {seen.numbers[id(value)][0]}"
    elif seen.depth >= DEEPEST or len(seen.numbers) >= MOST:
        yield name_of(value)
    else:
        seen.numbers[id(value)] = (len(seen.numbers), value)
        seen.depth += 1
        yield from _new_texts(value, module, seen, code)
        seen.depth -= 1


def _new_texts(value: Any, module: str, seen: Seen, code: Code) -> Iterator[str]:
    def inner(*parts: Any, of: str = module) -> Iterator[str]:
        for one in parts:
            yield from value_texts(one, of, seen, code)

    if isinstance(value, (list, tuple)):
        yield f"{len(value)}"
        yield from inner(*value)
    elif isinstance(value, Mapping):
        for name, one in sorted(value.items(), key=lambda item: repr(item[0])):
            yield from inner(name, one)
    elif isinstance(value, (set, frozenset)):
        each = [list(value_texts(one, module, Seen(dict(seen.numbers), seen.depth), code)) for one in value]
        yield repr(sorted(each))
    elif isinstance(value, (FunctionType, type)):
        yield value.__qualname__
        yield from code(value, module, seen)
    elif isinstance(value, MethodType):
        yield from inner(value.__func__, value.__self__)
    elif isinstance(value, functools.partial):
        yield from inner(value.func, value.args, value.keywords)
    elif hasattr(value, "__wrapped__"):  # a function with a cache, or one that TensorFlow has traced
        yield from inner(value.__wrapped__)
    elif (array := _array(value)) is not None:
        yield f"{array.dtype} {array.shape}"
        yield hashlib.sha256(array.tobytes()).hexdigest()
    else:
        yield name_of(value)
        texts = list(code(type(value), module, seen))
        yield from texts
        yield from _state_texts(value, inner, known=bool(texts))


def _state_texts(value: Any, inner: Callable[..., Iterator[str]], *, known: bool) -> Iterator[str]:
    """What an object holds: its configuration, if it has one, as objects of Keras do; what it shows of itself, if that
    is the same in every process; else its attributes. `known`: its class is the caller's, whose attributes count."""
    of = type(value).__module__ if known else ""
    if (config := _config(value)) is not None:
        yield from inner(config, of=of)
        return
    text = _shown(value)
    if known or text is None:
        slots = {name for kind in type(value).__mro__ for name in _names(vars(kind).get("__slots__", ()))}
        state = {name: getattr(value, name) for name in slots if hasattr(value, name)} | getattr(value, "__dict__", {})
        for name, one in sorted(state.items()):
            if name != "__weakref__":
                yield name
                yield from inner(one, of=of)
    else:
        yield text


def _array(value: Any) -> np.ndarray | None:
    """An array, a tensor or a variable with values of a plain type."""
    if isinstance(value, type) or not hasattr(value, "dtype") or not hasattr(value, "shape"):
        return None
    if not (hasattr(value, "tobytes") or hasattr(value, "numpy")):
        return None
    import numpy as np

    try:
        array = np.asarray(value)
    except Exception:  # a tensor of a graph has no values
        return None
    return None if array.dtype.hasobject else array


def _config(value: Any) -> Any:
    """The configuration of an object, without the numbers that Keras gives to names by a counter of the process, and
    its weights."""
    try:
        return _unnumbered(value.get_config()), value.get_weights() if hasattr(value, "get_weights") else None
    except Exception:  # it has none, or its class raises whatever it does
        return None


def _unnumbered(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {
            name: re.sub(r"_\d+$", "", one) if name == "name" and isinstance(one, str) else _unnumbered(one)
            for name, one in config.items()
        }
    return [_unnumbered(one) for one in config] if isinstance(config, (list, tuple)) else config


def _shown(value: Any) -> str | None:
    """What an object shows of itself; None if that has an address in it."""
    try:
        text = repr(value)
    except Exception:  # a class of anybody's
        return None
    return None if _ADDRESS.search(text) else text


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)
