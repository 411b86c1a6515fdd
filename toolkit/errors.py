"""The two ways in which a command ends without what was asked for: the text of each is one line for the user."""

import errno


class UnfreezeError(Exception):
    """The call or its input is wrong (exit code 2): says what was expected, what came, and what to do."""


class NoAnswerError(Exception):
    """It ran and the answer is no (exit code 1): every trial failed, or an artefact does not hold."""


def first_line(error: BaseException) -> str:
    """The first line of what a library's exception says, or its class where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def disk_is_full(error: BaseException) -> bool:
    """Whether an error says so. HDF5 and TensorFlow have no number in theirs, only the text."""
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error)


def of_system(error: OSError) -> str:
    """What the system says of a file, as one line with what to do."""
    said = error.strerror or first_line(error)
    name = error.filename2 or error.filename  # of a renaming what it was to become
    where = f" at {name}" if name else ""
    if disk_is_full(error):
        return f"no space left on the device{where}; make room (bytes and files), then type the same command again"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"not allowed{where} ({said}); check whose it is, or give a folder that can be written"
    if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY):
        return f"something else stands{where} ({said}); move it away, then type the same command again"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"too many files are open{where} ({said}); raise the limit: `ulimit -n 4096`"
    return f"{said}{where}" if error.errno else str(error)
