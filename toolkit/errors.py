"""The two exceptions that end a command, each with a text of one line for the user, and functions that make such
texts."""

import errno
import unicodedata
from collections.abc import Sequence

_ZERO_WIDTH_JOINERS = "\u200c\u200d"  # format characters that belong to words and emoji


class UnfreezeError(Exception):
    """The call or its input is wrong (exit code 2). Its text says what was expected, what came, and what to do."""


class NoAnswerError(Exception):
    """The command ran and its answer is no (exit code 1): every trial failed, or an artefact does not hold."""


def counted(number: int, thing: str) -> str:
    """ "1 image", "2 images"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def few(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are: "a, b and 3 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, or the name of its class if the text is empty."""
    return one_line((str(error).strip() or type(error).__name__).splitlines()[0])


def disk_is_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full. Those of HDF5 and TensorFlow have no errno, only a text."""
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error)


def describe_os_error(error: OSError) -> str:
    """The system's reason and the file's name in one line, with what to do about it."""
    name = error.filename2 or error.filename  # if renaming failed, the second is the new name
    if name:
        return _os_reason(error, f" at {name}")
    return f"{_os_reason(error, '')}; the system does not say which file: add --debug to see what was being done"


def _os_reason(error: OSError, where: str) -> str:
    why = error.strerror or first_line(error)
    if disk_is_full(error):
        return f"no space left on the device{where}; make room (bytes and files), then type the same command again"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"no permission{where} ({why}); check who owns it, or give a folder that can be written"
    if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY):
        return f"a file or folder is in the way{where} ({why}); move it, then type the same command again"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"too many files are open{where} ({why}); raise the limit: `ulimit -n 4096`"
    return f"{why}{where}"


def one_line(text: str) -> str:
    """The text, in which each character that controls a terminal is written as an escape: `\\n`, `\\x1b`, `\\u202e`. A
    file's name may contain any character but a slash: a hostile name could move the cursor or hide its own end."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    """The character, or its escape if it is a control or format character, a Unicode line end, or a byte that is not
    UTF-8."""
    acts = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _ZERO_WIDTH_JOINERS
    return character.encode("unicode_escape").decode() if acts else character


def short_reason(error: BaseException) -> str:
    """The first line of an exception's text, cut to 160 characters."""
    text = first_line(error)
    return text if len(text) <= 160 else f"{text[:77]}...{text[-80:]}"  # a long path comes first, the reason last
