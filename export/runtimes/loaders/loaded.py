"""A model in its runtime, before any conversion of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.runtimes.model_input import ModelInput
from toolkit.errors import UnfreezeError
from toolkit.process.keras_start import start_tensorflow


@dataclass
class Loaded:
    """A model in its runtime, and what its file says of it."""

    call: Callable[[np.ndarray], np.ndarray]  # what the file takes, [B, ...] -> its answers
    input: ModelInput
    description: dict[str, Any] | None = None  # of a file that was exported here
    labels: tuple[str, ...] | None = None  # class names in the file
    pixels: str | None = None  # the range of pixel values in the file, as `--pixels` takes it
    one_by_one: bool = False  # the file refused a batch, or did not answer each image of it

    def answers(self, fed: np.ndarray) -> np.ndarray:
        """[N, ...] -> [N, C], in batches of the size that the file takes."""
        count = 1 if self.one_by_one else self.input.batch
        if count is None and len(fed) > 1:
            try:
                return self._rows(fed)
            except Exception as error:  # each runtime has its own: files may be made for one image inside
                try:
                    first = self._rows(fed[:1])
                except Exception:
                    raise error from None
                self.one_by_one = True
                return np.concatenate([first, self.answers(fed[1:])])
        if count is None or len(fed) == count:
            return self._rows(fed)
        parts = [fed[start : start + count] for start in range(0, len(fed), count)]
        whole = (np.concatenate([part, np.repeat(part[-1:], count - len(part), axis=0)]) for part in parts)
        return np.concatenate([self._rows(part) for part in whole])[: len(fed)]

    def _rows(self, fed: np.ndarray) -> np.ndarray:
        """The answers of one call. Raises UnfreezeError if there is not one for each image."""
        answer = np.asarray(self.call(fed))
        if len(fed) == 1:  # its answer may have no axis for the images
            return answer.reshape(1, -1)
        if answer.ndim < 2 or len(answer) != len(fed):
            raise UnfreezeError(f"it answers {len(fed)} images with an array of shape {list(answer.shape)}")
        return answer.reshape(len(fed), -1)


def tensorflow(threads: int | None) -> Any:
    """The module, started with this number of threads; None leaves the number to it."""
    start_tensorflow()
    import tensorflow as tf

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    return tf


def the_output(names: Sequence[str], wanted: str | None) -> int:
    """The place of the output that gives the classes. Raises UnfreezeError if there are several and none is named."""
    if not names:
        raise UnfreezeError("it has no output")
    if len(names) == 1:
        return 0
    if wanted not in names:
        told = "it has" if wanted is None else f"no output is named {wanted!r:.80}; it has"
        raise UnfreezeError(f"{told} {len(names)} outputs: {', '.join(names)[:300]}; give --output with one of them")
    return names.index(wanted)


def output_names(model: Any) -> list[str]:
    """The names of a Keras model's outputs, in the order of `keras.tree.flatten`: the keys of a dict, or the layers."""
    import keras

    graph = getattr(model, "_functional", None) or model  # a Sequential keeps them in the graph that it has inside
    keys = graph._outputs_struct if isinstance(graph._outputs_struct, dict) else None  # Keras has no public name for it
    names = [str(name) for name in graph.output_names]
    if keys is None or len(keys) != len(names):
        return names
    flat = keras.tree.flatten({key: number for number, key in enumerate(keys)})
    return [str(list(keys)[number]) for number in flat]


def only_input(entries: Sequence[Any]) -> Any:
    """The one input. Raises UnfreezeError if there are several or none."""
    if len(entries) != 1:
        raise UnfreezeError(f"it has {len(entries)} inputs; a classifier of images must have one")
    return entries[0]
