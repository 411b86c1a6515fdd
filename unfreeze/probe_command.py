"""The command that writes the files of a search's backbones and image sizes, to be measured on a device."""

from __future__ import annotations

import shlex

from export.limits import Limits
from toolkit.models.backbones import is_file
from toolkit.models.choices import BackboneChoice
from toolkit.settings import Settings
from toolkit.settings_rules import FollowedInt


def probe_command(folder: str, settings: Settings, limits: Limits) -> str:
    """The line to type. It names the files of backbones as the settings do, with their folders."""
    return shlex.join(["unfreeze", "probe", folder, *search_options(settings, limits)])


def search_options(settings: Settings, limits: Limits) -> list[str]:
    """The options that decide which files are written; a search has them, too. Weights change nothing."""
    several = settings.backbones
    own = BackboneChoice(settings.backbone, settings.alpha, settings.weights, settings.pixels)
    typed = [one.text if is_file(one.backbone) else one.label for one in several or (own,)]
    if several:
        words = ["--backbones", ",".join(typed)]
    else:
        words = ["--backbone", settings.backbone]
        words += ["--pixels", settings.pixels] if is_file(settings.backbone) else []
        words += ["--alpha", f"{settings.alpha:g}"] if settings.alpha != 1 else []
    sizes = settings.vary.get("image_size")
    if sizes:
        words += ["--image-sizes", ",".join(map(str, sizes))]
    elif not (several and isinstance(settings.image_size, FollowedInt)):  # each has its own
        words += ["--image-size", str(settings.image_size)]
    words += ["--colour", settings.colour] if settings.colour != "rgb" else []
    smallest = min(settings.space[0])
    words += ["--head-units", str(smallest)] if smallest else []
    return [*words, "--runtime", limits.runtime, "--precision", limits.precision]
