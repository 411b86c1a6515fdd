"""What a decoder says of a file that it cannot read -> words about the file. The decoders' own texts are about Python,
or about the insides of a library."""

from __future__ import annotations

import re
import struct

_HEADER, _PIXELS, _BROKEN = "its header ends early", "its pixels end early", "its pixels cannot be decoded"
_SIZES, _NONSENSE = "its parts do not fit its size", "its header makes no sense"
DETAILS = (_HEADER, _PIXELS, _BROKEN, _SIZES, _NONSENSE)
_WORDS = (  # the first that is found in a decoder's text
    (re.compile(r"truncated file read|buffer|only got|outside of file|end of file", re.IGNORECASE), _HEADER),
    (re.compile(r"truncated", re.IGNORECASE), _PIXELS),  # so do the readers of this package
    (re.compile(r"tile cannot extend|dimension|size", re.IGNORECASE), _SIZES),
    (re.compile(r"stream|decod|decompress|checksum", re.IGNORECASE), _BROKEN),
)


def detail(error: Exception) -> str:
    """One of `DETAILS`."""
    if isinstance(error, struct.error | IndexError):
        return _HEADER
    if isinstance(error, EOFError) and not str(error):
        return _HEADER
    return next((words for found, words in _WORDS if found.search(str(error))), _NONSENSE)
