"""`Own`: parts of a training that the caller brings from Python. A run's folder holds none of them; run.json tells
their names, so that the run goes on with the same ones only."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import UnfreezeError, few, one_line
from toolkit.own.calls import name_of
from toolkit.own.function_digest import class_digest, digest_of, function_digest
from toolkit.settings import Settings

if TYPE_CHECKING:  # `import unfreeze` loads neither
    import keras
    import keras_tuner
    import numpy as np

Point = Mapping[str, Any]  # `hp`: the values of the point that is trained, by their names; it cannot be changed
PARTS = ("space", "head", "loss", "optimizer", "metrics", "augment")  # those that run.json names
HEADS: tuple[set[Any], set[Any]] = (  # head_units and dropout: the defaults of a search and of a single training, and
    {(0, 64, 256), (0,)},  # what stands for a head of the caller's
    {(0.0, 0.1, 0.2, 0.3, 0.4, 0.5), (0.2,), (0.0,)},
)


@dataclass(frozen=True)
class Own:
    """Parts of one's own, each in place of the usual one; None: the usual one.

    `hp` is a read-only mapping with the values of the point that is trained: those of `space`, and those of the
    settings that are searched, as `hp["unfreeze"]`. Functions are called anew for each trial.

    backbone   a functional keras.Model from images to features, which are a map float32 [N, h, w, c] or a vector
               [N, c]. It is kept as RUN/backbone.keras.
    space      `space(hp)` adds hyperparameters to a keras_tuner.HyperParameters: Choice, Boolean, Fixed, Int, and Float
               with a step. At most 1,000 values each.
    head       `head(features, hp)`: pooled features float32 [N, c] -> features [N, k], by new Keras layers. The last
               layer, from these to the probabilities, is added to it. It takes the place of `head_units` and `dropout`.
    loss       a keras.losses.Loss, its name, or `loss(hp)`, which gives one of them. One that has `sparse` in front of
               its name gets labels int32 [B], any other one-hot labels float32 [B, C]; both get probabilities
               float32 [B, C]. It is weighed by class and averaged over the batch as the usual loss is.
    optimizer  a keras.optimizers.Optimizer, its name, or `optimizer(hp)`, which gives one of them. It is made anew from
               its config for each stage, with that stage's learning rate: `head_rate`, or `tune_rate` and its decay.
    metrics    names or keras.metrics.Metric objects, or `metrics(hp)`, which gives a list of them. Each is measured on
               the validation images, all of the same weight: the column val_NAME of history.csv. Labels as for `loss`.
    augment    `augment(image, rng)`: uint8 [S, S, 3] -> uint8 [S, S, 3], in grey with one channel, for the views that
               are trained on, in place of the usual augmentation, `flip` too. `rng`: a numpy.random.Generator, the only
               source of chance.

    Before anything is trained each part is tried out. UnfreezeError names the part that raises or that gives something
    else, with what it raised as the cause.
    """

    backbone: keras.Model | None = None
    space: Callable[[keras_tuner.HyperParameters], Any] | None = None
    head: Callable[[keras.KerasTensor, Point], keras.KerasTensor] | None = None
    loss: keras.losses.Loss | str | Callable[[Point], Any] | None = None
    optimizer: keras.optimizers.Optimizer | str | Callable[[Point], Any] | None = None
    metrics: Sequence[keras.metrics.Metric | str] | Callable[[Point], Sequence[Any]] | None = None
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None

    def __post_init__(self) -> None:
        for name in ("space", "head", "augment"):
            if not (getattr(self, name) is None or callable(getattr(self, name))):
                raise UnfreezeError(f"{name} is {getattr(self, name)!r:.80}; give a function")
        for name in ("loss", "optimizer", "metrics"):
            part = getattr(self, name)
            for one in part if isinstance(part, (list, tuple)) else [part]:
                if isinstance(one, type):
                    raise UnfreezeError(f"{name}: {one.__name__} is a class; give an object: {one.__name__}()")

    @property
    def given(self) -> dict[str, Any]:
        """The parts that were given, but for the backbone, which a run's folder holds."""
        return {name: part for name in PARTS if (part := getattr(self, name)) is not None}


NOTHING = Own()


def settings_with(own: Own, settings: Settings) -> Settings:
    """The settings of a run with these parts. Raises UnfreezeError if they are about a part that is replaced."""
    if own.head is not None:
        here = zip(("head_units", "dropout"), settings.space[:2], HEADS, strict=True)
        given = [name for name, values, usual in here if values not in usual]
        if given:
            raise UnfreezeError(
                f"{' and '.join(given)} belong to the usual head; with a head of your own leave them out, and declare "
                "its hyperparameters in `space`, under other names"
            )
        settings = replace(settings, head_units=0, dropout=0.0)
    if own.loss is not None and (settings.label_smoothing or "label_smoothing" in settings.vary):
        raise UnfreezeError("label_smoothing is the usual loss's; with a loss of your own leave it out")
    if own.augment is not None and (settings.augment == "none" or "augment" in settings.vary):
        raise UnfreezeError("augment is in the settings, and as a function of your own; give one of the two")
    return settings


def described(own: Own) -> dict[str, dict[str, str]]:
    """What run.json tells of the parts: names and digests; of what a digest is. {} if there are none."""
    return {name: _described(part) for name, part in own.given.items()}


def _described(part: Any) -> dict[str, str]:
    if isinstance(part, (list, tuple)):
        each = [_described(one) for one in part]
        text = json.dumps(each, sort_keys=True)
        return {"name": ", ".join(one["name"] for one in each), "sha256": _sha256(text), "of": "parts"}
    if isinstance(part, str):
        return {"name": part, "sha256": _sha256(part), "of": "name"}
    if hasattr(part, "get_config"):
        told = part.get_config()
        told |= {"name": re.sub(r"_\d+$", "", str(told.get("name")))}  # Keras numbers them by a counter of the process
        config = json.dumps(told, sort_keys=True, default=_plain)
        code = class_digest(type(part))
        return {"name": name_of(part), "sha256": _sha256(f"{name_of(part)} {config} {code}"), "of": "config"}
    return {"name": name_of(part), "sha256": function_digest(part), "of": digest_of(part)}


def _plain(value: Any) -> Any:
    """A value of a config that JSON does not have."""
    return value.tolist() if hasattr(value, "tolist") else name_of(value)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def refuse_others(path: Path, stored: Any, own: Own) -> None:
    """Raises UnfreezeError if a run was begun with other parts. `stored`: the value in its run.json."""
    before, here = _told(stored), described(own)
    missing, more = [name for name in before if name not in here], [name for name in here if name not in before]
    other = [name for name in here if name in before and before[name]["sha256"] != here[name]["sha256"]]
    said = [f"it was begun with {_list(missing, before)}, not given here" if missing else ""]
    said += [f"{_list(more, here)} is new" if more else "", f"{_list(other, here)} has changed since" if other else ""]
    if any(said):
        raise UnfreezeError(
            one_line(
                f"{path} holds another run: {'; '.join(filter(None, said))}. Go on from Python with the same parts "
                "(unfreeze.Own), or give another run folder"
            )
        )


def _list(names: Sequence[str], told: Mapping[str, Mapping[str, str]]) -> str:
    return few([f"{name} ({told[name]['name']})" for name in names], len(PARTS))


def words(stored: Mapping[str, Any]) -> str:
    """The parts that a run.json names, for a sentence: "head (small_head), loss (focal)"; "" if there are none."""
    told = _told(stored)
    return _list(list(told), told)


def names(stored: Mapping[str, Any]) -> dict[str, str]:
    """The parts that a run.json names, and the names of their functions."""
    return {part: one_line(one["name"]) for part, one in _told(stored).items()}


def _told(stored: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What a run.json tells of the parts, in their order."""
    told = stored.get("own")
    if not isinstance(told, dict):
        return {}
    known = {name: told[name] for name in PARTS if isinstance(told.get(name), dict)}
    return {name: {"name": str(one.get("name")), "sha256": str(one.get("sha256"))} for name, one in known.items()}
