"""A backbone at an image size, with the images decoded at that size: what trials start from, and share.

A search that varies backbone, image size or augmentation has several; each is made when its first trial asks for it.
"""

from __future__ import annotations

from dataclasses import replace

import keras

from toolkit.models.backbones import deepest
from toolkit.models.build import build_model, head_layers
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.settings import Settings
from toolkit.training.batches import Part, load_part
from tuning.activations.cache import Activations, compute_activations


class BaseModel:
    """The backbone with its pre-trained weights, and the images on which its trials are trained and judged. With folds,
    `train` and `val` are the same images.

    `settings`: those of the trials that start from it. `model`: that of a
    base that differs in its augmentation only; None: it is built.
    """

    def __init__(
        self, run: Run, settings: Settings, progress: Progress = silent, model: keras.Model | None = None
    ) -> None:
        self.settings, self.progress = settings, progress
        self.run = replace(run, settings=settings)
        smooth = settings.augment != "none"
        self.train: Part = load_part(self.run, *settings.trained_on, antialiased=smooth, progress=progress)
        self.val: Part = load_part(self.run, *settings.judged_on, progress=progress)
        self.spec = settings.spec(len(run.images.class_names), 0, 0.0, 0)
        keras.utils.set_random_seed(settings.seed)
        self.model = model or build_model(self.spec, settings.weights)
        self.parameters = self.model.count_params() - head_parameters(self.model)  # of the backbone alone
        self._activations: Activations | None = None
        self._depths: set[int] = set()  # those of which the activations are there

    def is_cut(self, depth: int) -> bool:
        """Whether a trial of this depth trains only a suffix. At the deepest nothing is frozen that could be shared."""
        return self.settings.cache and depth < deepest(self.spec.backbone)

    def activations(self, depth: int) -> Activations:
        """The activations that the trials share, at the depths of the search and at this one; they are computed when
        the first trial asks for them."""
        if self._activations is None or depth not in self._depths:
            depths = self._depths | {0, depth, *self.settings.space[2]} - {deepest(self.spec.backbone)}
            parts = {"train": self.train, "val": self.val}
            self._activations = compute_activations(self.run, self.model, self.spec, parts, depths, self.progress)
            self._depths = depths
        return self._activations


def head_parameters(model: keras.Model) -> int:
    """The number of parameters behind the pooled features, of a whole model or of a suffix."""
    return sum(layer.count_params() for layer in head_layers(model))
