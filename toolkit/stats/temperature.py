"""One temperature that makes a model as sure as it is right: softmax(logits / T), which changes no answer (Guo, Pleiss,
Sun and Weinberger, "On calibration of modern neural networks", ICML 2017)."""

from __future__ import annotations

import numpy as np

BOUNDS = (0.1, 10.0)  # of a temperature
FEWEST = 50  # images; of fewer, a temperature made the log loss of other images worse (benchmarks/RESULTS.md)
MISTAKES = 0.5  # that are added to those of the images, and as many right answers
DIGITS = 4  # decimals of a fitted temperature, so that it is the same wherever it is computed


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature within BOUNDS that minimises the mean log loss of `tempered(probabilities, T)`, which is convex
    in 1 / T; 1 if there are fewer than FEWEST images.

    A part without a mistake would ask for a temperature of 0, and one with a few for too low a temperature, because the
    best epoch was chosen on it. So half a mistake is added (Jeffreys' prior), spread over all images: each counts as
    (N + 1/2) / (N + 1) an image of its class, and for the rest as one of the others, shared among them as the model has
    it (as Platt's targets are smoothed: "Probabilistic outputs for support vector machines", 1999).

    `probabilities`: float32 [N, C], answers to images on which the model was not trained; `labels`: int32 [N]. Raises
    ValueError if a probability is not a number.
    """
    if not np.isfinite(probabilities).all():
        raise ValueError("a probability is not a number, so no temperature can be fitted")
    images, classes = probabilities.shape
    if images < FEWEST:
        return 1.0
    from scipy.optimize import brentq

    scores, mistaken = _scores(probabilities), MISTAKES / (images + 2 * MISTAKES)
    is_true = np.arange(classes) == labels[:, None]
    others = (_softmax(np.where(is_true, -np.inf, scores)) * scores).sum(axis=1)
    wanted = (1 - mistaken) * scores[is_true] + mistaken * others  # the score of each image's smoothed label

    def slope(sharpness: float) -> float:
        """Derivative of the mean log loss by 1 / T, which grows with it."""
        return float(((_softmax(scores * sharpness) * scores).sum(axis=1) - wanted).mean())

    low, high = 1 / BOUNDS[1], 1 / BOUNDS[0]
    if slope(low) >= 0:
        return BOUNDS[1]
    return BOUNDS[0] if slope(high) <= 0 else round(1 / float(brentq(slope, low, high, xtol=1e-9)), DIGITS)


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """float32 [N, C]: softmax(log(probabilities) / temperature). A temperature of 1 / T takes back one of T."""
    return _softmax(_scores(probabilities) / temperature).astype(np.float32)


def _scores(probabilities: np.ndarray) -> np.ndarray:
    """float64 [N, C]: logits, up to a constant for each image."""
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny).astype(np.float64))


def _softmax(scores: np.ndarray) -> np.ndarray:
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: np.ndarray = shares / shares.sum(axis=1, keepdims=True)
    return result
