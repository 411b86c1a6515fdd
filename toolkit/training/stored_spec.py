"""Reads model.json, which describes a run's model: its ModelSpec, or the image size of a model that was trained
elsewhere.

Whatever works with the trained model (evaluation, export, verification, prediction) reads its size and backbone here.
The run's settings only say what was to be searched and trained. No TensorFlow here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from toolkit.errors import UnfreezeError
from toolkit.models.spec import ModelSpec
from toolkit.pixels.pixel_range import PIXELS
from toolkit.run import Run
from toolkit.settings import ADOPTED
from toolkit.settings_rules import COLOURS
from toolkit.storage.files import read_json

OF_EARLIER = {"channels": 3, "pixels": PIXELS[0]}  # entries of a spec that earlier versions did not write


@dataclass(frozen=True)
class AdoptedSpec:
    """The known properties of a model that was trained elsewhere."""

    image_size: int  # pixels, side of the square input
    backbone: str = ADOPTED


def read_spec(run: Run) -> ModelSpec | AdoptedSpec:
    """The spec of the model that the run has now. Raises UnfreezeError if model.json is missing or damaged."""
    path = run.path / "model.json"
    told = read_json(path)
    try:
        if "adopted" in told:  # earlier versions wrote the model's image size only into the settings
            return AdoptedSpec(_pixels(told.get("image_size", run.settings.image_size)))
        stored = OF_EARLIER | told["spec"]
        spec = ModelSpec(**{field.name: stored[field.name] for field in fields(ModelSpec)})
        _pixels(spec.image_size)
        if spec.channels not in COLOURS.values():
            raise ValueError(f"images have 3 channels or 1, got {spec.channels!r}")
    except (LookupError, TypeError, ValueError):
        raise UnfreezeError(f"{path} is damaged; repeat the step that writes it (tune, train or adopt)") from None
    return spec


def _pixels(value: object) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"an image size is a positive number of pixels, got {value!r}")
    return value
