"""A digest of a Python function or object, by which a changed one is told from that of which a run or a cache was made.

It is of the source of the function, and of what the source names: constants, objects with their state, functions and
classes. Those of installed packages are told by their names alone, and what a function finds in another module when it
runs, as `module.VALUE`, is not seen. A lambda, whose source is its whole statement, and a function without a source, as
`exec` makes them, are told by their byte code, which differs between versions of Python; where there is none either,
the name stands for it.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

from toolkit.own.value_texts import Seen, value_texts

FRAMEWORKS = (  # packages whose code is never looked at, wherever it lies
    *("keras", "keras_hub", "keras_nlp", "keras_tuner", "tensorflow", "numpy"),
    *("toolkit", "tuning", "export", "unfreeze"),
)


def function_digest(function: Any) -> str:
    """64 hexadecimal digits, of a function or of an object with `__call__`."""
    inner = _function(function)
    return _digest(function, inner.__module__ if isinstance(inner, FunctionType) else type(function).__module__)


def class_digest(kind: type) -> str:
    """The same of a class, and of those that it is derived from, but for those of frameworks."""
    return _digest(kind, kind.__module__)


def digest_of(function: Any) -> str:
    """What the digest is of: "source", "code" or "name"."""
    inner = _function(function)
    if not isinstance(inner, FunctionType):
        return "name"
    return "code" if _source(inner) is None else "source"


def _digest(value: Any, module: str) -> str:
    digest = hashlib.sha256()
    for text in value_texts(value, module, Seen(), _code_texts):
        digest.update(text.encode("utf-8", "backslashreplace") + b"\0")
    return digest.hexdigest()


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


def _is_python(called: Any) -> bool:
    return isinstance(called, (FunctionType, MethodType))


def _code_texts(coded: FunctionType | type, module: str, seen: Seen) -> Iterator[str]:
    """All texts of a function or a class that is looked at; none if only its name counts. `module`: of what names it,
    whose own functions are looked at wherever they lie."""
    if isinstance(coded, type):
        for kind in coded.__mro__:
            if _is_looked_at(kind.__module__, module):
                yield from _class_texts(kind, seen)
    elif _is_looked_at(coded.__module__, module):
        yield from _function_texts(coded, seen)


def _is_looked_at(module: str, namer: str) -> bool:
    root = str(module).partition(".")[0]
    if root in FRAMEWORKS:
        return False
    return module == namer or not (root in sys.stdlib_module_names or _is_installed(root))


@functools.cache
def _is_installed(root: str) -> bool:
    """Whether a package was installed, as by pip, and is not the caller's own work."""
    file = getattr(sys.modules.get(root), "__file__", None)
    return file is not None and not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)


def _function_texts(function: FunctionType, seen: Seen) -> Iterator[str]:
    source = _source(function)
    if source is None:
        yield from _bytecode_texts(function.__code__, function.__module__, seen)
    else:
        yield source
    named = {"defaults": function.__defaults__, "keywords": function.__kwdefaults__} | _named(function)
    for name, value in sorted(named.items()):
        yield name
        yield from value_texts(value, function.__module__, seen, _code_texts)


def _class_texts(kind: type, seen: Seen) -> Iterator[str]:
    """Its functions, of properties too, and its other values."""
    yield kind.__qualname__
    for name, value in sorted(vars(kind).items()):
        inner = next((found for key in ("__func__", "fget", "func") if (found := getattr(value, key, None))), value)
        if isinstance(inner, FunctionType) or not name.startswith("__"):
            yield name
            yield from value_texts(inner, kind.__module__, seen, _code_texts)


def _source(function: FunctionType) -> str | None:
    if function.__name__ == "<lambda>":
        return None
    try:
        return textwrap.dedent(inspect.getsource(function.__code__))  # of the function itself, not of one that it wraps
    except (OSError, TypeError):
        return None


def _bytecode_texts(code: CodeType, module: str, seen: Seen) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names}"
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _bytecode_texts(one, module, seen)
        else:
            yield from value_texts(one, module, seen, _code_texts)


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
