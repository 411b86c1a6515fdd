"""A backbone by its name in keras.applications, or by the file of a Keras model: its row, stages and cut layers."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from toolkit.errors import UnfreezeError
from toolkit.models.applications import BACKBONES, Backbone
from toolkit.models.hub.preset import absolute_preset, is_preset, preset_label
from toolkit.storage.local_path import local_path

SUFFIXES = (".keras", ".h5", ".hdf5")
OWN_BACKBONE = "backbone.keras"  # in a run folder: a keras.Model that was given as the backbone


def is_file(name: str) -> bool:
    """Whether the text names a file, not a backbone of the table."""
    return not (name in BACKBONES or is_preset(name)) and (name.endswith(SUFFIXES) or "/" in name or "\\" in name)


def has_weights(name: str) -> bool:
    """Whether the text names a backbone that brings its own weights: a file, or a preset of KerasHub."""
    return is_file(name) or is_preset(name)


def absolute(name: str) -> str:
    """The same backbone; a file and the folder of a preset so that they are found from any working directory."""
    if is_preset(name):
        return absolute_preset(name)
    return str(local_path(name, "a file on this machine").resolve()) if is_file(name) else name


def short_name(name: str) -> str:
    """The name of a backbone for people: of a file or a preset its own name, without folder and suffix."""
    if is_preset(name):
        return preset_label(name)
    return Path(name).stem if is_file(name) else name


def backbone(name: str) -> Backbone:
    """The row of the backbone `name`; of a file, which is read for it, one that is made from its graph. Raises
    UnfreezeError, which proposes the nearest name, if there is none, and if the file is no backbone."""
    if name in BACKBONES:
        return BACKBONES[name]
    if is_file(name):
        from toolkit.process.keras_start import start_keras

        start_keras()
        from toolkit.models.backbone_file import row_of

        return row_of(Path(name))
    if is_preset(name):
        raise UnfreezeError(f"{name} is a preset of KerasHub, of which a run makes a file first")
    lower = {known.lower(): known for known in BACKBONES}
    near = get_close_matches(name.lower(), lower, n=1)
    hint = f"did you mean {lower[near[0]]}?" if near else "`unfreeze backbones` lists those there are"
    raise UnfreezeError(f"unknown backbone {name!r}: {hint} (a model of your own: the path of its .keras file)")


def deepest(name: str) -> int:
    """The largest unfreeze depth, at which all stages are trained."""
    return backbone(name).deepest


def cut_layer(name: str, depth: int) -> str | None:
    """The layer whose output is the last frozen tensor at `depth`; None if nothing is frozen. Raises UnfreezeError if
    the backbone does not have this depth."""
    cuts = ("pool", *backbone(name).cuts, None)
    if not 0 <= depth < len(cuts):
        raise UnfreezeError(f"unfreeze depth of {short_name(name)} goes from 0 to {len(cuts) - 1}, got {depth}")
    return cuts[depth]
