"""A digest of a Python function, by which a changed function is told from the one that a run or a cache was made with.

It is of the source of the function, and of what the source names: constants and functions of the same module, those in
which it is nested, and default values. What other modules do is not seen. Without a source, as for functions made by
`exec`, the byte code stands for it, which differs between versions of Python; where there is none either, the name.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import textwrap
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from toolkit.own.calls import name_of

PLAIN = (str, bytes, int, float, complex, bool, type(None))


def function_digest(function: Any) -> str:
    """64 hexadecimal digits."""
    digest = hashlib.sha256()
    for text in _told(function, set()):
        digest.update(text.encode("utf-8", "backslashreplace") + b"\0")
    return digest.hexdigest()


def digest_of(function: Any) -> str:
    """What the digest is of: "source", "code" or "name"."""
    inner = _function(function)
    if not isinstance(inner, FunctionType):
        return "name"
    return "code" if _source(inner) is None else "source"


def _function(called: Any) -> Any:
    """The function behind a partial, a cached one, a bound method or an object with `__call__`. A decorator's function
    names the decorated one, and stays."""
    while isinstance(called, functools.partial) or (hasattr(called, "__wrapped__") and not _is_python(called)):
        called = called.func if isinstance(called, functools.partial) else called.__wrapped__
    if isinstance(called, MethodType):
        return called.__func__
    if isinstance(called, FunctionType):
        return called
    return getattr(type(called), "__call__", called)  # noqa: B004  the function of the class, not the object's


def _told(called: Any, seen: set[int]) -> Iterator[str]:
    """All texts that the digest is made of."""
    if id(called) in seen:
        return
    seen.add(id(called))
    if isinstance(called, functools.partial):
        yield from _value((called.args, called.keywords), "", seen)
    elif not _is_python(called):
        yield from _value(getattr(called, "__dict__", {}), "", seen)  # the state of an object with `__call__`
    elif isinstance(called, MethodType):
        yield from _value(getattr(called.__self__, "__dict__", {}), "", seen)
    function = _function(called)
    if not isinstance(function, FunctionType):
        yield name_of(called)
        return
    source = _source(function)
    yield _code_text(function.__code__) if source is None else source
    yield from _value((function.__defaults__, function.__kwdefaults__), function.__module__, seen)
    for name, value in sorted(_named(function).items()):
        yield name
        yield from _value(value, function.__module__, seen)


def _is_python(called: Any) -> bool:
    return isinstance(called, (FunctionType, MethodType))


def _source(function: FunctionType) -> str | None:
    try:
        return textwrap.dedent(inspect.getsource(function.__code__))  # of the function itself, not of one that it wraps
    except (OSError, TypeError):
        return None


def _code_text(code: CodeType) -> str:
    inner = [_code_text(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {inner}"


def _named(function: FunctionType) -> dict[str, Any]:
    """The global and enclosing variables that a function names, in functions inside it, too."""
    waiting, names = [function.__code__], set()
    while waiting:
        code = waiting.pop()
        names |= set(code.co_names)
        waiting += [one for one in code.co_consts if isinstance(one, CodeType)]
    found = {name: function.__globals__[name] for name in names if name in function.__globals__}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found


def _value(value: Any, module: str, seen: set[int]) -> Iterator[str]:
    """A text for a value: the same in every process. Of an object that is neither plain data nor a function of the
    same module, its class or its name."""
    if isinstance(value, PLAIN):
        yield repr(value)
    elif isinstance(value, (list, tuple)):
        yield f"{len(value)}"
        for one in value:
            yield from _value(one, module, seen)
    elif isinstance(value, dict):
        for name, one in sorted(value.items(), key=lambda item: repr(item[0])):
            yield repr(name)
            yield from _value(one, module, seen)
    elif isinstance(value, (set, frozenset)):
        yield repr(sorted(map(repr, value)))
    elif isinstance(value, (FunctionType, MethodType, functools.partial)) and _function(value).__module__ == module:
        yield from _told(value, seen)
    elif hasattr(value, "dtype") and hasattr(value, "tobytes"):  # an array
        yield f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    else:
        yield value.__name__ if isinstance(value, ModuleType) else name_of(value)
