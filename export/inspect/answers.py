"""The output of a model -> how many classes it has, and whether it gives probabilities."""

from __future__ import annotations

from collections.abc import Sequence

from export.inspect.model_file import End

SOFTMAX, SIGMOID = ("softmax",), ("sigmoid", "logistic")
PROBABILITIES, EACH = "probabilities, which add up to 1", "probabilities, each class by itself"
SCORES = "scores, not probabilities"


def class_count(ends: Sequence[End]) -> int | None:
    """The number of classes, of a model whose only output is a row of numbers; None if it is none."""
    shape = ends[0].shape if len(ends) == 1 else None
    if shape is None or len(shape) < 2 or any(size != 1 for size in shape[1:-1]):
        return None
    return shape[-1] if isinstance(shape[-1], int) and shape[-1] > 0 else None


def answer_kind(last: str, classes: int | None) -> str:
    """What the numbers of the output are, by the operation that gives them. "" if that is not known."""
    if not last or classes is None:
        return ""
    if last.lower() in SOFTMAX:
        return PROBABILITIES
    if last.lower() in SIGMOID:
        return "one probability, of the second of two classes" if classes == 1 else EACH
    return f"{SCORES}: the last operation is {last}"
