"""The most confident mistakes of the test part, with small pictures of them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from toolkit.data.decoded_arrays import already_decoded
from toolkit.data.image_set import read_unchanged
from toolkit.errors import UnfreezeError
from toolkit.pixels.decode import decode_whole
from toolkit.stats.metrics import worst_mistakes
from unfreeze.pages.run_facts import RunFacts

MISTAKES_SHOWN = 12
THUMBNAIL_SIDE = 240  # pixels of the longer side: twice the width of its place, for screens with two pixels for one


@dataclass(frozen=True)
class Mistake:
    """An image that was answered wrongly."""

    path: str
    label: str  # the class that it is
    answer: str  # the class that was answered
    probability: float  # of the answer
    true_probability: float  # of the class that it is
    picture: str  # data URI; "" if neither the image nor its decoded copy exists any more

    @property
    def alternative(self) -> str:
        """The text alternative of the picture."""
        return (
            f"Test image {self.path}: it is {self.label}, the model answers {self.answer} with {self.probability:.1%}"
        )


def mistakes(facts: RunFacts) -> tuple[Mistake, ...]:
    """At most MISTAKES_SHOWN mistakes, the most confident first; () if the model's answers are not known."""
    if facts.answers is None:
        return ()
    images, probabilities, names = facts.answers.images, facts.answers.probabilities, facts.class_names
    copies = already_decoded(images, facts.run.cache, facts.image_size, facts.run.settings.channels)
    found = []
    for row in worst_mistakes(probabilities, images.labels, MISTAKES_SHOWN):
        answer, label = int(probabilities[row].argmax()), int(images.labels[row])
        shares = float(probabilities[row, answer]), float(probabilities[row, label])
        found.append(Mistake(images.paths[row], names[label], names[answer], *shares, _picture(facts, row, copies)))
    return tuple(found)


def _picture(facts: RunFacts, row: int, copies: np.ndarray | None) -> str:
    """The image file if it is still there, else its decoded copy, else "". As a data URI."""
    assert facts.answers is not None
    images = facts.answers.images
    try:
        pixels = decode_whole(read_unchanged(images, int(row)), levels=images.levels, profiles=images.profiles)
    except UnfreezeError:
        if copies is None:
            return ""
        pixels = np.asarray(copies[row])
    return thumbnail(pixels)


def thumbnail(pixels: np.ndarray) -> str:
    """uint8 [H, W, 3] or, in grey, [H, W, 1] -> a data URI of a JPEG no larger than THUMBNAIL_SIDE."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
