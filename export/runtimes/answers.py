"""The answers of a model from elsewhere -> probabilities."""

from __future__ import annotations

import numpy as np

TINY = 1e-30  # is added to a sum of sigmoids: each may be too small for a float32, and so 0
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
        return rows if abs(np.median(rows.sum(1)) - 1) <= SLACK else divided_by_sum(rows)
    return softmax(rows)


def softmax(logits: np.ndarray) -> np.ndarray:
    """float32 [N, C] -> probabilities float32 [N, C]."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(1, keepdims=True)
    return shares


def divided_by_sum(sigmoids: np.ndarray) -> np.ndarray:
    """float32 [N, C], each from 0 to 1 -> probabilities float32 [N, C]."""
    shares: np.ndarray = sigmoids / (sigmoids.sum(1, keepdims=True) + np.float32(TINY))
    return shares
