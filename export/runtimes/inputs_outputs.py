"""Conversions for models from elsewhere: uint8 images -> the model's input, its answers -> probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.settings import PIXELS
from toolkit.errors import UnfreezeError

_SCALES: tuple[tuple[Any, Any], ...] = (
    (255.0, 0.0),
    (1.0, 0.0),
    (2.0, -1.0),
    (1 / np.array([0.229, 0.224, 0.225]), -np.array([0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
    (255.0, -np.array([123.68, 116.779, 103.939])),  # its channels are then turned into BGR
)
SCALES = dict(zip(PIXELS, _SCALES, strict=True))  # model input = pixels / 255 * multiplier + offset, in RGB


def square_size(shape: Sequence[Any]) -> int:
    """The side in pixels of the square images that a model of this input shape takes. Raises UnfreezeError if it takes
    other input."""
    sides = [size for size in shape[1:] if size != 3]
    if len(shape) != 4 or len(sides) != 2 or sides[0] != sides[1] or not isinstance(sides[0], int) or sides[0] < 1:
        raise UnfreezeError(f"a model must take square RGB images of a fixed size; this one takes {list(shape)}")
    return sides[0]


def read_labels(path: Path) -> tuple[str, ...]:
    """The class names in a text file, one per line. Raises UnfreezeError if it is not a text file or names a class
    twice."""
    if not path.is_file():
        raise UnfreezeError(f"{path} is not a file; give --labels a text file with one class name per line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UnfreezeError(f"{path} is not UTF-8; save it as UTF-8") from None
    names = tuple(line.strip() for line in lines if line.strip())
    if not names or len(set(names)) < len(names):
        raise UnfreezeError(f"{path} must name each class once, one per line; it has {list(names)}")
    return names


def to_model_input(
    images: np.ndarray, shape: Sequence[Any], dtype: Any, pixels: str | None, quantization: tuple[float, int] = (0.0, 0)
) -> np.ndarray:
    """uint8 [N, S, S, 3] -> the model's input: its dtype, its layout, its range.

    `pixels`: a name of SCALES, for models that take floats, or integers that stand for floats by `quantization` (scale,
    zero point). A model of uint8 without quantization gets the pixels unchanged, and so does any model if `pixels` is
    None.
    """
    if pixels is None:
        return images
    scale, zero = quantization
    if np.dtype(dtype) == np.uint8 and not scale:
        fed = images
    else:
        multiplier, offset = SCALES[pixels]
        fed = (images / np.float32(255) * np.float32(multiplier) + np.float32(offset)).astype(np.float32)
        fed = fed[..., ::-1] if pixels == "caffe" else fed
        if np.issubdtype(dtype, np.integer):
            limits = np.iinfo(dtype)
            fed = np.clip(np.rint(fed / (scale or 1.0)) + zero, limits.min, limits.max)
        fed = fed.astype(dtype)
    channels_first = shape[1] == 3 and shape[3] != 3
    return np.ascontiguousarray(fed.transpose(0, 3, 1, 2) if channels_first else fed)


def in_batches(call: Callable[[np.ndarray], np.ndarray], shape: Sequence[Any], fed: np.ndarray) -> np.ndarray:
    """`call` on as many images at a time as the model's input shape fixes; on all at once if it fixes none."""
    count = shape[0]
    if not isinstance(count, int) or count < 1 or len(fed) == count:
        return call(fed)
    parts = [fed[start : start + count] for start in range(0, len(fed), count)]
    whole = (np.concatenate([part, np.repeat(part[-1:], count - len(part), axis=0)]) for part in parts)
    return np.concatenate([call(part) for part in whole])[: len(fed)]


def to_probabilities(answer: np.ndarray) -> np.ndarray:
    """A model's answers -> probabilities float32 [N, C]: logits get a softmax, a single sigmoid becomes two columns.

    Pass the answers to all images at once: a single image may not show whether they are logits.

    """
    answer = np.asarray(answer, np.float32).reshape(len(answer), -1)
    if answer.shape[1] == 1:
        inside = bool(((answer >= 0) & (answer <= 1)).all())
        second = answer if inside else (1 + np.tanh(answer / 2)) / 2
        return np.concatenate([1 - second, second], axis=1)
    if (answer >= 0).all() and np.median(answer.sum(1)) <= 1.05:  # int8 rounds each probability
        return answer
    powers = np.exp(answer - answer.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
