"""The two ways in which a command ends without what was asked for: the text of each is one line for the user."""

import unicodedata

_JOINERS = "\u200c\u200d"  # format characters that words and emoji are made with


class UnfreezeError(Exception):
    """The call or its input is wrong (exit code 2): says what was expected, what came, and what to do."""


class NoAnswerError(Exception):
    """It ran and the answer is no (exit code 1): every trial failed, or an artefact does not hold."""


def first_line(error: BaseException) -> str:
    """The first line of what a library's exception says, or its class where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def one_line(text: str) -> str:
    """The same text with what a terminal would act upon written as an escape: `\\n`, `\\x1b`, `\\u202e`. A file's name
    may hold anything but a slash, and whoever chose it may mean to move the cursor or to hide its end."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    """Escapes control and format characters, line ends of Unicode, and bytes that are not UTF-8."""
    acts = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS
    return character.encode("unicode_escape").decode() if acts else character
