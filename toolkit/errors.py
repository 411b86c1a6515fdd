"""The two ways in which a command ends without what was asked for. The text of each is one line for the user."""


class UnfreezeError(Exception):
    """The call or its input is wrong (exit code 2): says what was expected, what came, and what to do."""


class NoAnswerError(Exception):
    """It ran and the answer is no (exit code 1): every trial failed, or an artefact does not hold."""
