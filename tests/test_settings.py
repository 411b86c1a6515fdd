"""Records of settings: checked when they are made, in one line; what nobody gave follows the backbone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.settings import ExportSettings, VerifySettings
from toolkit.data.settings import DataSettings
from toolkit.errors import UnfreezeError
from toolkit.models.applications import BACKBONES
from toolkit.settings import Settings

ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=3),
    st.lists(st.integers(), max_size=3), st.lists(st.floats(), max_size=3), st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), st.just(print), st.just(object()),
)  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"class_weights": {"trash": 5}}, "class_weights is {'trash': 5}; give one of balanced, none"),
        ({"augment": len}, "augment is <built-in function len>; give one of none, light, strong"),
        ({"head_units": "64"}, "head_units is ('64',); give numbers of units, such as (0, 64)"),
        ({"unfreeze": 2.0}, "unfreeze is (2.0,); give numbers of stages, such as (0, 2)"),
        ({"head_units": True}, "head_units is (True,); give numbers of units, such as (0, 64)"),
        ({"trials": None}, "trials is None; give a whole number, 1 or more"),
        ({"val": float("nan")}, "val is nan; give a fraction between 0 and 1, such as 0.2"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UnfreezeError) as error:
        Settings(**given)
    assert str(error.value) == said


@pytest.mark.parametrize("record", [Settings, DataSettings, ExportSettings, VerifySettings])
@given(data=st.data())
def test_whatever_a_field_is_given_is_a_record_or_one_line(record: type, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([field.name for field in fields(record)]))
    value = data.draw(ANYTHING)
    try:
        made = record(**{name: value})
    except UnfreezeError:
        return  # the command line writes what would end a line as an escape
    json.dumps(asdict(made), allow_nan=False)  # what was taken can be stored


def test_single_values_and_lists_are_tuples() -> None:
    made = Settings(unfreeze=2, head_units=64, dropout=[0.1, 0.2])  # type: ignore[arg-type]
    assert (made.unfreeze, made.head_units, made.dropout) == ((2,), (64,), (0.1, 0.2))


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_what_nobody_gave_follows_the_backbone(name: str) -> None:
    followed, direct = replace(Settings(), backbone=name), Settings(backbone=name)
    assert followed == direct
    assert followed.image_size == BACKBONES[name].image_size
    assert replace(replace(followed, trials=3), backbone="MobileNetV2").image_size == Settings().image_size


def test_what_was_given_stays() -> None:
    made = Settings(image_size=192, unfreeze=(1,), alpha=1.0)
    assert replace(made, backbone="EfficientNetB1").image_size == 192
    assert replace(made, backbone="EfficientNetB1").unfreeze == (1,)
    assert replace(Settings(), weights="starter").alpha == 0.35


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.99), st.sampled_from(sorted(BACKBONES)))
def test_stored_settings_are_the_same(seed: int, share: float, name: str) -> None:
    made = Settings(backbone=name, seed=seed, test=share)
    assert Settings.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_stored_settings_need_no_table_of_backbones() -> None:
    """A run is read where its backbone has left the table."""
    stored = Settings().to_json() | {"backbone": "Gone"}
    assert Settings.from_json(stored).backbone == "Gone"


def test_an_export_is_stored_as_it_was_asked_for() -> None:
    asked = ExportSettings(["onnx"], ["float32", "int8"], 50, ["head"], 0.25)  # type: ignore[arg-type]
    assert asked.formats == ("onnx",)
    assert ExportSettings.from_json(json.loads(json.dumps(asked.to_json()))) == asked
    assert [variant.name for variant in asked.variants] == ["model.onnx", "model_int8.onnx"]


@pytest.mark.parametrize(
    ("record", "names"),
    [
        (Settings, {"head_units": int, "dropout": float, "unfreeze": int}),
        (ExportSettings, {"formats": str, "precisions": str, "float_layers": str}),
        (VerifySettings, {"threads": int}),
    ],
)
def test_the_types_allow_the_lists_and_single_values_that_may_be_given(record: Any, names: dict[str, type]) -> None:
    """Type checkers read them: `ExportSettings(precisions=["int8"])` was an error."""
    hints = get_type_hints(record)
    for name, kind in names.items():
        allowed = [one for one in (hints[name], *get_args(hints[name])) if one is not type(None)]
        assert Sequence[kind] in allowed  # type: ignore[valid-type]
        assert kind in allowed or kind is str  # a text is a sequence of texts
