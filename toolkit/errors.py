"""The two ways in which a command ends without what was asked for: the text of each is one line for the user."""


class UnfreezeError(Exception):
    """The call or its input is wrong (exit code 2): says what was expected, what came, and what to do."""


class NoAnswerError(Exception):
    """It ran and the answer is no (exit code 1): every trial failed, or an artefact does not hold."""


def first_line(error: BaseException) -> str:
    """The first line of what a library's exception says, or its class where it says nothing."""
    return printable((str(error).strip() or type(error).__name__).splitlines()[0])


def printable(text: str) -> str:
    """A text that may be a stranger's, for a terminal: what is no character to be seen, as commands are, becomes a
    "?"."""
    return "".join(one if one.isprintable() else "?" for one in text)


def said(error: BaseException) -> str:
    """What a library says, in one line of bearable length."""
    text = first_line(error)
    return text if len(text) <= 160 else text[:157] + "..."
