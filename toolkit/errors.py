"""The two ways in which a command ends without what was asked for: the text of each is one line for the user."""

import errno
import unicodedata

_JOINERS = "\u200c\u200d"  # format characters that words and emoji are made with


class UnfreezeError(Exception):
    """The call or its input is wrong (exit code 2): says what was expected, what came, and what to do."""


class NoAnswerError(Exception):
    """It ran and the answer is no (exit code 1): every trial failed, or an artefact does not hold."""


def first_line(error: BaseException) -> str:
    """The first line of what a library's exception says, or its class where it says nothing."""
    return one_line((str(error).strip() or type(error).__name__).splitlines()[0])


def disk_is_full(error: BaseException) -> bool:
    """Whether an error says so. HDF5 and TensorFlow have no number in theirs, only the text."""
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error)


def of_system(error: OSError) -> str:
    """What the system says of a file, as one line with what to do."""
    name = error.filename2 or error.filename  # of a renaming what it was to become
    if name:
        return _of_system(error, f" at {name}")
    return f"{_of_system(error, '')}; the system does not say which file: add --debug to see what was being done"


def _of_system(error: OSError, where: str) -> str:
    why = error.strerror or first_line(error)
    if disk_is_full(error):
        return f"no space left on the device{where}; make room (bytes and files), then type the same command again"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"not allowed{where} ({why}); check whose it is, or give a folder that can be written"
    if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY):
        return f"something else stands{where} ({why}); move it away, then type the same command again"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"too many files are open{where} ({why}); raise the limit: `ulimit -n 4096`"
    return f"{why}{where}"


def one_line(text: str) -> str:
    """The same text with what a terminal would act upon written as an escape: `\\n`, `\\x1b`, `\\u202e`. A file's name
    may hold anything but a slash, and whoever chose it may mean to move the cursor or to hide its end."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    """Escapes control and format characters, line ends of Unicode, and bytes that are not UTF-8."""
    acts = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS
    return character.encode("unicode_escape").decode() if acts else character


def said(error: BaseException) -> str:
    """What a library says, in one line of bearable length."""
    text = first_line(error)
    return text if len(text) <= 160 else text[:157] + "..."
