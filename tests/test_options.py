from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pytest

from toolkit.data.settings import CSV_FIELDS, DataSettings
from toolkit.errors import UnfreezeError
from toolkit.settings import Settings
from unfreeze import option_records, options
from unfreeze.cli import cli
from unfreeze.data_options import COLUMNS

BASE = {"backbone": "MobileNetV2", "weights": "none"}


@pytest.mark.parametrize(
    ("kind", "step", "text", "numbers"),
    [
        (int, 64, "0,64,256", (0, 64, 256)),
        (int, 64, "256,0,64,64", (0, 64, 256)),
        (int, 1, "0:3", (0, 1, 2, 3)),
        (int, 1, "0:8:4", (0, 4, 8)),
        (float, 0.1, "0:0.5", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
        (float, 0.1, "0:0.5:0.25", (0.0, 0.25, 0.5)),
        (float, 0.1, "0.3", (0.3,)),
    ],
)
def test_numbers(kind: type, step: float, text: str, numbers: tuple) -> None:
    assert options.Numbers(kind, step).convert(text, None, None) == numbers


def test_the_options_of_a_csv_are_its_fields() -> None:
    taken = click.Command("any", params=[])
    for decorate in COLUMNS:
        decorate(taken)
    assert [option.name for option in reversed(taken.params)] == [*reversed(CSV_FIELDS)]
    values = {name: "x" for name in CSV_FIELDS} | {"other": 1}
    read = option_records.columns(values)
    assert all(str(getattr(read, name)).endswith("x") for name in CSV_FIELDS)
    assert values == {"other": 1}


@pytest.mark.parametrize("text", ["", "a", "1,,2", "1:2:3:4", "0:1:0", "5:1", "0.5", "0:5:2", "0:99999999999"])
def test_numbers_that_are_none(text: str) -> None:
    with pytest.raises(click.BadParameter, match="neither a list"):
        options.Numbers(int, 1).convert(text, None, None)


def test_what_is_left_out_follows_the_backbone() -> None:
    made = option_records.settings(
        {"backbone": "NASNetMobile", "weights": "none", "image_size": None, "unfreeze": None}
    )
    assert made.image_size == 224
    assert made.unfreeze == (0, 1, 2)  # NASNetMobile has no deeper cut


def test_single_values_make_a_space_of_one_point() -> None:
    assert option_records.settings(BASE | {"head_units": 32, "dropout": 0.1, "unfreeze": 3}).point_count == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"backbone": "MobileNetV9"}, "did you mean MobileNetV"),
        ({"alpha": 0.4}, "0.35"),
        ({"image_size": 16}, "32 px"),
        ({"unfreeze": (99,)}, "from 0 to 17"),
        ({"dropout": (1.0,)}, "below 1"),
        ({"batch_size": 0}, "--batch-size is 0"),
        ({"trials": 0}, "trials is 0"),
        ({"head_epochs": 0, "tune_epochs": 0}, "nothing would be trained"),
        ({"val": 1.0}, "between 0 and 1"),
        ({"head_rate": float("inf")}, "positive number"),
        ({"seed": -1}, "seed is -1"),
        ({"weights": "nowhere.h5"}, "no weights file"),
    ],
)
def test_a_value_out_of_range_is_said_in_one_line(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UnfreezeError, match=said) as error:
        option_records.settings(BASE | values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "values", "said"),
    [
        (option_records.settings, BASE | {"val": 2.0}, "--val is 2.0; "),
        (option_records.settings, BASE | {"head_rate": -1.0}, "--head-rate is -1.0; "),
        (
            option_records.settings,
            BASE | {"head_epochs": 0, "tune_epochs": 0},
            "--head-epochs and --tune-epochs are both 0",
        ),
        (option_records.data_settings, asdict(DataSettings()) | {"test": 2.0}, "--test is 2.0; "),
        (
            option_records.verify_settings,
            {
                "margin": 0.5,
                "tolerance": -1.0,
                "threads": None,
                "times": True,
                "layers": False,
                "max_flips": 10,
                "evidence": None,
                "retrained": False,
            },
            "--tolerance is -1.0; ",
        ),
    ],
)
def test_an_error_names_the_option_as_it_is_typed(make: Any, values: dict[str, Any], said: str) -> None:
    with pytest.raises(UnfreezeError) as error:
        make(values)
    assert str(error.value).startswith(said)


def test_a_word_that_is_also_a_field_stays_a_word() -> None:
    with pytest.raises(UnfreezeError, match="no weights file at nowhere"):
        option_records.settings(BASE | {"weights": "nowhere.h5"})


def test_help_says_which_precisions_are_meant_without_the_option() -> None:
    said = {}
    for name in ("export", "verify"):
        (option,) = (one for one in cli.commands[name].params if one.name == "precisions")
        assert isinstance(option, click.Option)
        said[name] = option.help or ""
    assert said["export"].endswith("[all but int16x8, float16_gpu]")
    assert said["verify"].endswith("[all that were exported]")
    (depth,) = (one for one in cli.commands["train"].params if one.name == "unfreeze")
    assert isinstance(depth, click.Option)
    assert (depth.help or "").startswith("Number of")


def test_settings_survive_json() -> None:
    made = Settings(weights="none", head_units=(3,), seed=7)
    assert Settings.from_json(made.to_json()) == made


def test_the_cache_is_found_from_wherever_the_run_is_used(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert option_records.settings(BASE | {"cache_dir": Path("shared")}).cache_dir == str(tmp_path / "shared")
    assert option_records.settings(BASE).cache_dir == ""
