"""The paths in a CSV -> paths of files that are there.

If none is there as it stands, it is looked for below the CSV's folder: in a sub-folder, with a suffix added, with
slashes in place of backslashes, or without folders of another machine. A way is taken only if every path leads to a
file in this way and in no other. If some are there, each of the others is looked for by itself.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePosixPath

from toolkit.data.sources.walk import has_picture_suffix, visible
from toolkit.errors import UnfreezeError, one_line

MOST_ENTRIES = 300_000  # files and folders that are looked at; where there are more, nothing is guessed
WAYS = 8  # that are tried for paths of which others are there as they stand
TRIED = 20  # paths that ways are derived from
SAMPLE = 10  # further paths by which the best of the ways is found that fit some paths only


@dataclass(frozen=True, order=True)
class Way:
    """How a path in the CSV becomes that of a file."""

    dropped: int  # folders taken off its beginning
    folder: str  # put before it
    suffix: str  # put behind it

    def path(self, given: str) -> str:
        return posixpath.join(self.folder, *given.split("/")[self.dropped :]) + self.suffix


@dataclass
class Below:
    """The images below a folder."""

    files: set[str] = field(default_factory=set)  # POSIX paths
    named: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # file name -> paths
    stems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # without its suffix -> paths


def locate(file: Path, base: Path, given: Sequence[str], suffix: str) -> tuple[list[str], str]:
    """(a path below `base` for each one given, a sentence if it was guessed). `suffix` is put behind each.

    Raises UnfreezeError if none is there, and if they could be meant in several ways.
    """
    plain = [posixpath.normpath(path + suffix) if path else "" for path in given]
    absent = [path for path in dict.fromkeys(plain) if path and not _leads_out(path) and not _is_there(base, path)]
    if not absent:
        return plain, ""
    if len(absent) < len({path for path in plain if path and not _leads_out(path)}):
        return _row_by_row(file, base, plain, absent)
    slashed = ["/".join(_steps(path)) if path else "" for path in plain]
    wanted = [path for path in dict.fromkeys(slashed) if path]
    below = _look_below(base)
    ways = _ways(wanted, below)
    whole = [way for way in ways if _is_whole(way, wanted, below)]
    if len(whole) == 1:
        way = whole[0]
        found = [way.path(path) if path else "" for path in slashed]
        return found, _told(file, *next(pair for pair in zip(plain, found, strict=True) if pair[0]))
    if len(whole) > 1:
        calls = " or ".join(_call(base, way) for way in whole[:4])
        raise UnfreezeError(one_line(f"{file}: its paths fit the files in {len(whole)} ways; give {calls}"))
    by_name = _each_by_name(wanted, below)
    if by_name is not None:
        folders = sorted({posixpath.dirname(path) for path in by_name.values()})
        told = f"{file.name}: found its paths in the folders {', '.join(folders[:4])}, each in one of them"
        return [by_name.get(path, "") for path in slashed], told
    apart = _apart(wanted, set(), below)
    if len(apart) == len(wanted):
        return [apart.get(path, "") for path in slashed], _told_row_by_row(file, len(wanted), apart, [])
    raise UnfreezeError(one_line(_not_there(file, base, plain, wanted, ways, below)))


def _row_by_row(file: Path, base: Path, plain: Sequence[str], absent: Sequence[str]) -> tuple[list[str], str]:
    """The paths where some are there as they stand: each other one is led to the only file that it may mean, unless
    that is another row's."""
    found = _apart(absent, {*plain} - {*absent}, _look_below(base))
    lost = [path for path in absent if path not in found]
    return [found.get(path, path) for path in plain], _told_row_by_row(file, len({*plain} - {""}), found, lost)


def _apart(absent: Sequence[str], taken: set[str], below: Below) -> dict[str, str]:
    """Path -> the only file that it may mean, if that is not among `taken` and no other path's."""
    given = {path: "/".join(_steps(path)) for path in absent}
    ends = _by_ends({one.count("/") + 1 for one in given.values()}, below)
    fit = {path: {*ends[has_picture_suffix(one), one]} for path, one in given.items()}
    others = [given[path] for path in absent if not fit[path]]
    ways = [way for way in _ways(others, below) if way.dropped][:WAYS]
    ways = [way for way in ways if _found(way, others, below) * 2 > len(others)]
    fit |= {path: {way.path(given[path]) for way in ways} & below.files for path in absent if not fit[path]}
    counts = Counter(file for files in fit.values() for file in files)
    single = {path: next(iter(files)) for path, files in fit.items() if len(files) == 1}
    return {path: file for path, file in single.items() if counts[file] == 1 and file not in taken}


def _told_row_by_row(file: Path, count: int, found: Mapping[str, str], lost: Sequence[str]) -> str:
    there = count - len(found) - len(lost)
    told = [f"{file.name}: {there or 'none'} of its {count} paths are there as they stand"]
    if found:
        told.append(f"{len(found)} were found elsewhere, such as {next(iter(found))} as {next(iter(found.values()))}")
    if lost:
        told.append(f"{len(lost)} are no file, such as {lost[0]}")
    return "; ".join(told)


def _leads_out(path: str) -> bool:
    return path.split("/", 1)[0] == ".."


def _is_there(base: Path, path: str) -> bool:
    return os.path.isfile(os.path.join(base, path))


def _steps(path: str) -> list[str]:
    """The folders and the name of a path as Windows or POSIX writes it, without drive and root."""
    return [step for step in re.split(r"[/\\]", re.sub(r"^[A-Za-z]:", "", path)) if step not in ("", ".", "..")]


def _look_below(base: Path) -> Below:
    """The pictures by their names; nothing is opened, and folders that cannot be read are passed over. Empty if there
    is too much to look through."""
    below, seen, waiting = Below(), 0, [base]
    while waiting:
        try:
            folders, files = visible(waiting.pop())
        except UnfreezeError:
            continue
        seen += len(folders) + len(files)
        if seen > MOST_ENTRIES:
            return Below()
        waiting += [folder for folder in folders if not folder.is_symlink()]
        for image in (file for file in files if has_picture_suffix(file.name)):
            path = image.relative_to(base).as_posix()
            below.files.add(path)
            below.named[image.name].append(path)
            below.stems[image.stem].append(path)
    return below


def _candidates(given: str, below: Below) -> list[str]:
    """The files with the name of a path; if that has no image's suffix, those with its name and a suffix."""
    name = PurePosixPath(given).name
    return below.named.get(name, []) if has_picture_suffix(name) else below.stems.get(name, [])


def _ways(wanted: Sequence[str], below: Below) -> list[Way]:
    """The ways in which one of the first paths leads to a file, those that drop the fewest folders first."""
    found = set()
    for given in wanted[:TRIED]:
        steps = given.split("/")
        for path in _candidates(given, below):
            suffix = "" if has_picture_suffix(given) else posixpath.splitext(path)[1]
            there = path.removesuffix(suffix).split("/")
            same = _common_end(steps, there)
            found.add(Way(len(steps) - same, "/".join(there[: len(there) - same]), suffix))
    return sorted(found)


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    """How many steps two paths have in common at their end."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _is_whole(way: Way, wanted: Sequence[str], below: Below) -> bool:
    """Whether each path leads to a file of its own. The first that does not ends it: where many folders hold files of
    the same names, there are as many ways as folders."""
    taken: set[str] = set()
    for given in wanted:
        path = way.path(given)
        if path in taken or path not in below.files:
            return False
        taken.add(path)
    return True


def _found(way: Way, wanted: Sequence[str], below: Below) -> int:
    """How many of the paths lead to files of their own."""
    return len({way.path(given) for given in wanted} & below.files)


def _each_by_name(wanted: Sequence[str], below: Below) -> dict[str, str] | None:
    """Path -> the only file whose path ends with it, all with one suffix; None if a path has none, or several."""
    found = {}
    ends = _by_ends({given.count("/") + 1 for given in wanted}, below)
    for given in wanted:
        paths = ends[has_picture_suffix(given), given]
        if len(paths) != 1:
            return None
        found[given] = paths[0]
    added = {Path(path).suffix for given, path in found.items() if not has_picture_suffix(given)}
    return found if len(added) <= 1 and len({*found.values()}) == len(found) else None


def _by_ends(lengths: set[int], below: Below) -> dict[tuple[bool, str], list[str]]:
    """(whether with its suffix, the last steps of a path) -> the paths that end so, for each number of steps."""
    ends: dict[tuple[bool, str], list[str]] = defaultdict(list)
    for path in below.files:
        for whole, text in ((True, path), (False, posixpath.splitext(path)[0])):
            steps = text.split("/")
            for length in lengths:
                if length <= len(steps):
                    ends[whole, "/".join(steps[-length:])].append(path)
    return ends


def _told(file: Path, given: str, found: str) -> str:
    return f"{file.name}: no path is there as it stands; {given} was found as {found}, and all others so, too"


def _call(base: Path, way: Way) -> str:
    """The options that say the same as a way; or what to write, if no option does."""
    if way.dropped:
        return f"paths that begin with {way.folder or '.'}/ in place of their first {way.dropped} folders"
    folder = f"--image-dir {base / way.folder}" if way.folder else ""
    return " ".join(filter(None, (folder, f"--suffix {way.suffix}" if way.suffix else "")))


def _not_there(
    file: Path, base: Path, plain: Sequence[str], wanted: Sequence[str], ways: list[Way], below: Below
) -> str:
    first = next(path for path in plain if path)
    text = f"{file}: none of its {len(wanted)} paths is a file in {base}, such as {first}"
    if len(wanted) == 1:
        text = f"{file}: its only path, {first}, is no file in {base}"
    some = [*wanted[:TRIED], *wanted[TRIED :: max(1, len(wanted) // SAMPLE)]]
    best = max(ways, key=lambda way: _found(way, some, below), default=None)
    if best is None:
        return f"{text}; give --image-dir FOLDER for what they are relative to, and --suffix .jpg if they lack it"
    return f"{text}; {_found(best, wanted, below)} would be with {_call(base, best)}: type that, or mend the others"
