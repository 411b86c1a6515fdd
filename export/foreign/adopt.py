"""A model from elsewhere -> a run folder, in which `evaluate`, `export`, `verify` and `predict` work as on any other.

The conversion of uint8 pixels to the range that the model takes, and of logits to probabilities, becomes part of the
model. The graph stays flat, so that its layers can be compared with an artefact's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from export.artefacts import INPUT, OUTPUT
from export.foreign.load_keras import load_keras
from export.runtimes.inputs_outputs import SCALES, read_labels, square_size, to_model_input, to_probabilities
from toolkit.errors import NoAnswerError, UnfreezeError, short_reason
from toolkit.process.tf32 import without_tf32
from toolkit.progress import Progress, silent
from toolkit.run import Run, open_run, read_images
from toolkit.settings import ADOPTED, SPLIT, Settings, Split
from toolkit.storage.files import file_digest
from toolkit.training.answers import probabilities
from toolkit.training.batches import Part, load_part
from toolkit.training.model_file import put_model

SAMPLE = 64  # validation images that show whether answers are logits, and that check the wrapped model
SAME = 1e-4  # largest difference of the wrapped model's probabilities from the model's own


def adopt(
    model: keras.Model | Path,
    data: Path,
    run: Path,
    *,
    pixels: str = "0..255",
    labels: Path | Sequence[str] | None = None,
    split: Split = SPLIT,
    strict: bool = False,
    progress: Progress = silent,
) -> Run:
    """Make a run folder of a model that was trained elsewhere, and of images of its classes.

    `model`: functional or Sequential, or a .keras file of one; images of a fixed square in, a number for each class out
    (or one, a sigmoid's or a logit, for two). `pixels`: the range that it takes, a name of SCALES; a model of uint8
    takes them as they are. `labels`: the class names in the model's order, or a file with one a line; without it the
    folders' names, sorted. Images that the model was trained on do not test it: give `data` a test/ folder with others.

    Writes run.json, model.keras and model.json. Raises UnfreezeError if the model is none of these or has other
    classes. Raises NoAnswerError if the wrapped model does not answer as the model does.
    """
    if pixels not in SCALES:
        raise UnfreezeError(f"pixels is {pixels!r}; give one of {', '.join(SCALES)}")
    own, name, digest = _own(model)
    names = read_labels(labels) if isinstance(labels, Path) else None if labels is None else tuple(labels)
    size = square_size(own.input_shape)
    settings = Settings(backbone=ADOPTED, image_size=size, weights="none", **asdict(split))
    images = read_images(data, run, settings, strict=strict, classes=names, progress=progress)
    units = int(np.prod(own.output_shape[1:]))
    if max(units, 2) != len(images.class_names):
        raise UnfreezeError(
            f"{name} gives {max(units, 2)} classes and {data} has {len(images.class_names)}; "
            "give the class names in the model's order as labels"
        )
    opened = open_run(run, images, settings)
    part = load_part(opened, "val", image_size=size, progress=progress)
    try:
        logits, answers = _answers(own, name, part, pixels)
        wrapped = wrap(own, pixels, logits)
        _check_same(wrapped, part, answers)
        right = probabilities(wrapped, part.images).argmax(1) == part.labels
    except (UnfreezeError, NoAnswerError):
        raise
    except Exception as error:  # layers raise classes of their own
        raise UnfreezeError(f"{name} does not run on images of {size} px ({short_reason(error)})") from None
    adopted = {"model": name, "sha256": digest, "pixels": pixels, "logits": logits, "val_accuracy": float(right.mean())}
    put_model(opened, wrapped, {"adopted": adopted, "image_size": size, "best_epoch": None})
    return opened


def _own(model: keras.Model | Path) -> tuple[keras.Model, str, str]:
    """(a copy of the model, its name in messages, its file's SHA-256)."""
    if isinstance(model, Path):
        return load_keras(model, "a model to adopt"), str(model), file_digest(model)
    with tempfile.TemporaryDirectory() as scratch:  # what cannot be saved and loaded cannot be exported later either
        path = Path(scratch) / f"{model.name}.keras"
        try:
            model.save(path)
        except Exception as error:  # Keras raises whatever its layers do
            raise UnfreezeError(f"the model {model.name} cannot be saved ({error}); build it of Keras layers") from None
        return load_keras(path, "a model to adopt"), f"the model {model.name}", file_digest(path)


def _answers(model: keras.Model, name: str, part: Part, pixels: str) -> tuple[bool, np.ndarray]:
    """(whether the model gives logits, its probabilities float32 [n, C] for the first SAMPLE images of a part)."""
    fed = to_model_input(np.asarray(part.images[:SAMPLE]), model.input_shape, model.inputs[0].dtype, pixels)
    with without_tf32():
        raw = np.concatenate([np.asarray(model(fed[i : i + 1], training=False)) for i in range(len(fed))])
    raw = raw.reshape(len(raw), -1).astype(np.float32)
    if not np.isfinite(raw).all():
        raise UnfreezeError(f"{name} answers with what is no number; are its pixels {pixels}?")
    last = _activation(model)
    if last == "sigmoid" and raw.shape[1] > 1:
        raise UnfreezeError(f"{name} gives {raw.shape[1]} sigmoids, any number of which may be true; give one softmax")
    logits = last == "linear" or (last is None and not np.array_equal(to_probabilities(raw)[:, -raw.shape[1] :], raw))
    return logits, _softmax(raw) if logits else to_probabilities(raw)


def _activation(model: keras.Model) -> str | None:
    """The activation of the last layer, "linear", "softmax" or "sigmoid"; None if it cannot be told."""
    last = getattr(model, "_functional", model).operations[-1]
    if isinstance(last, keras.Model):
        return _activation(last)
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    known = ("linear", "softmax", "sigmoid") if isinstance(last, keras.layers.Dense) else ("softmax", "sigmoid")
    name = getattr(getattr(last, "activation", None), "__name__", None)
    return name if name in known else None


def _softmax(logits: np.ndarray) -> np.ndarray:
    """float32 [n, C]; of one logit, that of the second class, [n, 2]."""
    both = np.concatenate([np.zeros_like(logits), logits], axis=1) if logits.shape[1] == 1 else logits
    powers = np.exp(both - both.max(1, keepdims=True))
    shared: np.ndarray = powers / powers.sum(1, keepdims=True)
    return shared


def wrap(model: keras.Model, pixels: str, logits: bool) -> keras.Model:
    """`image` uint8 [N, S, S, 3] -> `probabilities` float32 [N, C], of the model's own layers, in one flat graph.

    The layers are renamed where two of nested models have the same name.
    """
    added = (INPUT, "normalise", "channels_first", "flat", "logits", "opposite", "both", OUTPUT)
    seen: dict[str, Any] = dict.fromkeys(added)  # name -> the layer that has it
    image = keras.Input((square_size(model.input_shape),) * 2 + (3,), dtype="uint8", name=INPUT)
    x = _flat(model, _normalised(image, model, pixels), seen)
    if len(x.shape) > 2:
        x = keras.layers.Flatten(name="flat")(x)
    if x.shape[-1] == 1:
        second = keras.layers.Activation("sigmoid", name="logits")(x) if logits else x
        first = keras.layers.Rescaling(-1.0, 1.0, name="opposite")(second)
        x, logits = keras.layers.Concatenate(name="both")([first, second]), False
    last = keras.layers.Softmax(name=OUTPUT) if logits else keras.layers.Activation("linear", name=OUTPUT)
    whole = keras.Model(image, last(x), name="unfreeze")
    whole.trainable = False
    return whole


def _normalised(image: keras.KerasTensor, model: keras.Model, pixels: str) -> keras.KerasTensor:
    """What `export.runtimes.inputs_outputs.to_model_input` does, as layers."""
    x, dtype = image, keras.backend.standardize_dtype(model.inputs[0].dtype)
    if dtype != "uint8":
        multiplier, offset = (np.broadcast_to(one, 3).tolist() for one in SCALES[pixels])
        x = keras.layers.Rescaling([one / 255 for one in multiplier], offset, dtype="float32", name="normalise")(x)
        x = x[..., ::-1] if pixels == "caffe" else x
    if model.input_shape[1] == 3 and model.input_shape[3] != 3:
        x = keras.layers.Permute((3, 1, 2), name="channels_first")(x)
    x = keras.ops.round(x) if "int" in dtype and dtype != "uint8" else x
    return x if dtype in ("uint8", "float32") else keras.ops.cast(x, dtype)


def _flat(model: Any, inputs: Any, seen: dict[str, Any]) -> Any:
    """Apply the model's graph to other inputs; nested models are replaced by their layers."""

    def operation(layer: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if isinstance(layer, keras.Model):
                return _flat(layer, args[0], seen)
            _rename(layer, seen)
            if getattr(layer, "_call_has_training_arg", False):
                kwargs["training"] = False  # without it augmentation layers would augment
            return layer(*args, **kwargs)

        return call

    graph = getattr(model, "_functional", model)  # of a Sequential
    if not hasattr(graph, "_run_through_graph"):
        raise UnfreezeError(f"{model.name} is a subclass of keras.Model; build it as keras.Model(inputs, outputs)")
    # Keras has no public way to run a graph operation by operation.
    outputs = graph._run_through_graph(inputs, operation_fn=operation)
    return outputs[0] if isinstance(outputs, (list, tuple)) and len(outputs) == 1 else outputs


def _rename(layer: Any, seen: dict[str, Any]) -> None:
    """Give the layer a name that no other has."""
    name, number = layer.name, 2
    while seen.setdefault(layer.name, layer) is not layer:
        layer.name, number = f"{name}_{number}", number + 1


def _check_same(wrapped: keras.Model, part: Part, answers: np.ndarray) -> None:
    difference = float(np.abs(probabilities(wrapped, np.asarray(part.images[: len(answers)])) - answers).max())
    if not difference <= SAME:
        raise NoAnswerError(
            "with the pixel conversion inside, the model's probabilities differ from its own by up to "
            f"{difference:.2g}; {SAME:g} is allowed"
        )
