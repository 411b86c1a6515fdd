"""The search space: each hyperparameter a finite list of values, as KerasTuner's Choices. The depths are those of the
backbone.

So its points can be listed, and no point has to be tried twice. `tuning.oracles` decides which one comes next.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras_tuner

from toolkit.models.spec import POINT, ModelSpec
from toolkit.settings import Settings
from toolkit.settings_rules import BASE, VARIED

Fits = Mapping[str, Mapping[str, tuple]]  # a backbone's label, "" if there is one only -> names of settings -> those of
# their values that a search may try; backbones that are not in it are left out
OF = "/"  # in the name of a conditional hyperparameter, before the value on which it depends
Values = dict[str, Any]  # a hyperparameter's name -> its value, as KerasTuner stores them with a trial


def hyperparameters(
    settings: Settings, fits: Fits | None = None, added: keras_tuner.HyperParameters | None = None
) -> keras_tuner.HyperParameters:
    """The space of a search, each hyperparameter an ordered Choice. `fits`: what is left of it; None: all. `added`:
    Choices of the caller's."""
    space, several = keras_tuner.HyperParameters(), settings.varied
    allowed = [one for one in settings.backbones if fits is None or one.label in fits]
    own: dict[str, dict[str, tuple]] = {name: {} for name in ("image_size", "head_units", "unfreeze")}
    for label, backbone in [(one.label, one.backbone) for one in allowed] or [("", settings.backbone)]:
        left = (fits or {}).get(label, {})
        own["image_size"][label] = tuple(left.get("image_size", several.get("image_size", ())))
        own["head_units"][label] = tuple(left.get("head_units", settings.space[0]))
        own["unfreeze"][label] = settings.depths(backbone) if allowed else settings.space[-1]
    if allowed:
        space.Choice("backbone", [one.label for one in allowed])
    for name in (*VARIED[1:], *POINT):
        if name in own and (name in several or name in POINT):
            _dependent(space, name, own[name])
        elif name in several or name in POINT:
            values = several.get(name, getattr(settings, name))
            space.Choice(name, [float(value) for value in values] if name == "dropout" else list(values))
    for one in added.space if added else ():
        space.Choice(one.name, list(one.values), default=one.default)
    return space


def _dependent(space: keras_tuner.HyperParameters, name: str, values: Mapping[str, tuple]) -> None:
    """Add a Choice whose values depend on the backbone. `values`: by the backbone's label."""
    if len(set(values.values())) == 1:
        space.Choice(name, list(next(iter(values.values()))), ordered=True)
        return
    for label, its_values in values.items():
        with space.conditional_scope("backbone", [label]):
            space.Choice(f"{name}{OF}{label}", list(its_values), ordered=True)


def _chosen(choice: Any, value: Any) -> Values:
    """A value of a Choice; of a conditional one, whose name is NAME/PARENT's, under NAME, too. KerasTuner takes no two
    of one name, however different their conditions."""
    return {choice.name: value, _name(choice): value}


def model_spec(settings: Settings, classes: int, values: Mapping[str, Any]) -> ModelSpec:
    """The architecture of a point."""
    return settings.at(values).spec(classes, *(values[name] for name in POINT))


def varied(values: Mapping[str, Any]) -> Values:
    """The values of a point that are settings of VARIED, or hyperparameters of the caller's."""
    return {name: values[name] for name in (*VARIED, *own_names(values)) if name in values}


def own_names(names: Iterable[str]) -> list[str]:
    """Those of the hyperparameters that are the caller's."""
    return [name for name in names if name not in (*VARIED, *POINT) and OF not in name]


def base_of(values: Mapping[str, Any]) -> Values:
    """The part of a point on which activations depend; {} if the search has one base only."""
    return {name: values[name] for name in BASE if name in values}


def all_points(space: keras_tuner.HyperParameters) -> Iterator[Values]:
    """Every point of a space of Choices once. The first one has the defaults; the last hyperparameter changes
    fastest."""
    return _points(space.space, {})


def _points(choices: Sequence[Any], before: Values) -> Iterator[Values]:
    """The values of `choices` that go together with those before."""
    if not choices:
        yield before
        return
    choice, *others = choices
    if not _is_active(choice, before):
        yield from _points(others, before)
        return
    for value in sorted(choice.values, key=lambda value: value != choice.default):
        yield from _points(others, before | _chosen(choice, value))


def _is_active(choice: Any, values: Values) -> bool:
    """Whether a Choice belongs to a point with these values of the Choices before it."""
    return all(condition.is_active(values) for condition in choice.conditions)


def point_count(space: keras_tuner.HyperParameters) -> int:
    """How many points `all_points` gives."""
    parents = {condition.name for choice in space.space for condition in choice.conditions}
    first = [choice for choice in space.space if choice.name in parents]
    return sum(
        math.prod(len(one.values) for one in space.space if one.name not in parents and _is_active(one, values))
        for values in _points(first, {})
    )


def bases(space: keras_tuner.HyperParameters) -> list[Values]:
    """Every combination of the values on which activations depend; [{}] if there is one only."""
    return [base_of(one) for one in _points([one for one in space.space if _name(one) in BASE], {})]


def _name(choice: Any) -> str:
    """The name of the setting, of a conditional Choice too."""
    return str(choice.name.partition(OF)[0])


def draw(space: keras_tuner.HyperParameters, rng: random.Random, base: Values | None = None) -> Values:
    """One point of a base at random, all equally likely. `base`: None for any."""
    values: Values = {}
    for choice in space.space:
        if _is_active(choice, values):
            fixed = (base or {}).get(_name(choice))
            values |= _chosen(choice, choice.prob_to_value(rng.random()) if fixed is None else fixed)
    return values


def coordinates(space: keras_tuner.HyperParameters, values: Values) -> list[float]:
    """The coordinates of a point in the unit cube, float [D]: the values of a Choice are evenly spaced in their order;
    one that does not belong to the point lies in the middle.

    Raises KeyError or ValueError if it is not a point of this space.
    """
    return [
        float(choice.value_to_prob(values[choice.name])) if _is_active(choice, values) else 0.5
        for choice in space.space
    ]
