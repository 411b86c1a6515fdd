"""The answers of a model from elsewhere -> probabilities."""

from __future__ import annotations

import numpy as np

SLACK = 0.05  # by how much the probabilities of an image may sum to more or less than 1: int8 rounds each


def to_probabilities(answers: np.ndarray) -> np.ndarray:
    """Answers [N, ...] -> probabilities float32 [N, C].

    Logits get a softmax. A single number, a sigmoid's or a logit, becomes two columns. Several sigmoids are divided by
    their sum. Pass the answers to many images at once: a single image may not show whether they are logits.
    """
    rows = np.asarray(answers, np.float32).reshape(len(answers), -1)
    inside = bool(((rows >= 0) & (rows <= 1 + SLACK)).all())
    if rows.shape[1] == 1:
        second = rows if inside else (1 + np.tanh(rows / 2)) / 2
        return np.concatenate([1 - second, second], axis=1)
    if inside:
        sums = rows.sum(1, keepdims=True)
        return rows if abs(np.median(sums) - 1) <= SLACK else rows / np.maximum(sums, np.finfo(np.float32).tiny)
    powers = np.exp(rows - rows.max(1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(1, keepdims=True)
    return shares
