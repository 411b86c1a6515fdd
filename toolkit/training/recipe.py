"""What a training minimises, how, and what it measures besides: the usual loss and Adam, or parts of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from toolkit.own.calls import PartError, blamed, named, point_of
from toolkit.own.parts import NOTHING, Own
from toolkit.settings import Settings
from toolkit.stats.scores import SCORES
from toolkit.training.history import COLUMNS

Rate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule
Losses = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # labels int32 [B], probabilities float32 [B, C] -> float32 [B]
TAKEN = {*COLUMNS, *SCORES}  # columns of history.csv that are not the caller's


@dataclass(frozen=True)
class Recipe:
    """Of one training. `metrics`: labels int32 [N], probabilities float32 [N, C] -> columns of history.csv."""

    losses: Losses
    optimizer: Callable[[Rate], keras.optimizers.Optimizer]
    metrics: Callable[[np.ndarray, np.ndarray], dict[str, float]] = lambda labels, answers: {}


def recipe(settings: Settings, own: Own = NOTHING, values: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of a point. `settings`: those of the point. `values`: its values, as KerasTuner stores them. Raises
    PartError if a part of the caller's cannot be used."""
    point, smoothing = point_of(values or {}), settings.label_smoothing
    losses = partial(usual_losses, smoothing=smoothing) if own.loss is None else _own_losses(own.loss, point)
    optimizer = keras.optimizers.Adam if own.optimizer is None else _own_optimizer(own.optimizer, point)
    return Recipe(losses, optimizer, _own_metrics(own.metrics, point))


def usual_losses(labels: tf.Tensor, answers: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """The crossentropy of each image in nats, float32 [B]. `labels`: int32 [B]; `answers`: float32 [B, C].

    `smoothing`: share of a label that is spread over all classes (Szegedy et al., Rethinking the Inception
    Architecture, 2016)."""
    if not smoothing:
        return keras.losses.sparse_categorical_crossentropy(labels, answers)
    told = tf.one_hot(labels, answers.shape[-1])
    return keras.losses.categorical_crossentropy(told, answers, label_smoothing=smoothing)


def _made(part: str, given: Any, point: Mapping[str, Any], kind: type) -> Any:
    """What was given; what the function makes of it that was given."""
    if isinstance(given, (str, kind)) or (part == "metrics" and isinstance(given, (list, tuple))):
        return given
    if not callable(given):
        raise PartError(f"{part} is {given!r:.80}; give an object of Keras, its name, or a function of hp")
    with blamed(part, given):
        return given(point)


def _is_sparse(one: Any) -> bool:
    """Whether a loss or a metric takes the numbers of the classes, as Keras names such."""
    names = (type(one).__name__, getattr(one, "__name__", ""), str(getattr(one, "name", "")))
    return any(name.lower().startswith("sparse") for name in names)


def _labels_for(one: Any, labels: Any, classes: int) -> Any:
    """Labels int32 [B] as a loss or a metric takes them."""
    return labels if _is_sparse(one) else tf.one_hot(labels, classes)


def _own_losses(given: Any, point: Mapping[str, Any]) -> Losses:
    made = _made("loss", given, point, keras.losses.Loss)
    with blamed("loss", given):
        loss = keras.losses.get(made) if isinstance(made, str) else made
        config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    what = named("loss", given)
    if not (isinstance(loss, keras.losses.Loss) or isinstance(made, str)):
        raise PartError(f"{what} gives {type(made).__name__}, expected a keras.losses.Loss or the name of one")
    if config.get("from_logits"):
        raise PartError(f"{what} expects logits, and the model gives probabilities; leave from_logits out")
    each = loss.call if isinstance(loss, keras.losses.Loss) else loss

    def losses(labels: tf.Tensor, answers: tf.Tensor) -> tf.Tensor:
        with blamed("loss", given):
            found = each(_labels_for(loss, labels, answers.shape[-1]), answers)
        if found.shape.rank != 1:
            raise PartError(
                f"{what} gives {found.dtype.name} {found.shape.as_list()}, expected one number for each image, [B], so "
                "that classes can be weighed"
            )
        return found

    return losses


def _own_optimizer(given: Any, point: Mapping[str, Any]) -> Callable[[Rate], keras.optimizers.Optimizer]:
    made = _made("optimizer", given, point, keras.optimizers.Optimizer)
    what = named("optimizer", given)
    with blamed("optimizer", given):
        optimizer = keras.optimizers.get(made) if isinstance(made, str) else made
    if not isinstance(optimizer, keras.optimizers.Optimizer) or hasattr(optimizer, "inner_optimizer"):
        raise PartError(f"{what} gives {type(optimizer).__name__}, expected a keras.optimizers.Optimizer or its name")
    with blamed("optimizer", given):
        kind, config = type(optimizer), optimizer.get_config()
        usual = config["learning_rate"] if isinstance(made, str) else kind().get_config()["learning_rate"]
    if config["learning_rate"] != usual:
        raise PartError(
            f"{what} has a learning rate of its own; leave it out: Settings(head_rate=, tune_rate=) say those of the "
            "two stages, and a search may vary them"
        )
    if config.get("gradient_accumulation_steps"):
        raise PartError(
            f"{what} adds up gradients, and its steps, which the decay of the learning rate counts, would be fewer; "
            "leave gradient_accumulation_steps out and raise batch_size"
        )
    excluded = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")  # neither is in its config
    if config.get("use_ema") or any(getattr(optimizer, name, None) for name in excluded):
        raise PartError(f"{what} averages weights, or decays some of them only, which is not done here; leave that out")

    def optimizer_at(rate: Rate) -> keras.optimizers.Optimizer:
        with blamed("optimizer", given):
            return kind.from_config(config | {"learning_rate": rate})

    return optimizer_at


def _own_metrics(given: Any, point: Mapping[str, Any]) -> Callable[[np.ndarray, np.ndarray], dict[str, float]]:
    made = [] if given is None else _made("metrics", given, point, keras.metrics.Metric)
    if not isinstance(made, (list, tuple)):
        raise PartError(f"metrics are {made!r:.80}; give a list of them")
    with blamed("metrics", made):
        metrics = [keras.metrics.get(one) for one in made]

    def measured(labels: np.ndarray, answers: np.ndarray) -> dict[str, float]:
        columns = [_measured(one, labels, answers) for one in metrics]
        if len({name for name, _ in columns}) < len(columns):
            raise PartError("two of the metrics have one name; give each a name of its own")
        return dict(columns)

    return measured


def _measured(metric: Any, labels: np.ndarray, answers: np.ndarray) -> tuple[str, float]:
    """The column of a metric, and its value over all images."""
    name = getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__)
    if f"val_{name}" in TAKEN:
        raise PartError(
            f"the metric {name} would be the column val_{name}, which history.csv has; give it another name"
        )
    with blamed("metric", name):
        told = _labels_for(metric, labels, answers.shape[-1])
        if isinstance(metric, keras.metrics.Metric):
            metric.reset_state()
            metric.update_state(told, answers)
            found = np.asarray(metric.result())
        else:
            found = np.mean(np.asarray(metric(told, answers)))
    if found.shape != ():
        raise PartError(f"the metric {name} gives {found.dtype} {list(found.shape)}, expected one number")
    return f"val_{name}", float(found)
