"""Colours that a file says are others than those of sRGB -> sRGB, by LittleCMS, which comes with Pillow.

Browsers and phones do it before a program sees the pixels; OpenCV, TensorFlow and Pillow do not. So whether it is done
is part of a model's recipe, `profiles`:

"srgb"       done: a model sees the colours that a browser or a phone shows
"ignored"    not done, as by earlier versions and by most programs that train models
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms, features

from toolkit.errors import UnfreezeError
from toolkit.pixels.colours_told import GAMMA, PROFILE, ColoursTold

SRGB, IGNORED = "srgb", "ignored"
PROFILES = (SRGB, IGNORED)
UNUSABLE = "unusable"  # beside PROFILE and GAMMA, what `effect` says
# what is converted; the last two are those of clients that are measured, not of recipes
_CONVERTED = {IGNORED: (), SRGB: (PROFILE, GAMMA), PROFILE: (PROFILE,), GAMMA: (GAMMA,)}
SAME = 2  # levels; a profile that moves no colour further is one of sRGB, of which there are dozens
LEAST_RANGE = 64  # levels between the darkest and the brightest colour: fewer are a fault of the profile
KEPT = 32  # conversions that are kept; a press's takes 2 MB
WITHOUT = "and this build of Pillow has no LittleCMS to apply it"
REMEDY = "install Pillow from PyPI"
_GREY_MODES = ("1", "L", "LA", "La")


@dataclass(frozen=True)
class _Conversion:
    """What is done to the pixels of images with a certain profile."""

    usable: bool
    mode: str = ""  # Pillow's, of the pixels that `apply` takes
    apply: Callable[[Image.Image], Image.Image] | None = None  # -> RGB; None: they are those of sRGB


def words(profiles: str) -> str:
    """What is done, for a recipe."""
    if profiles == IGNORED:
        return "as stored: ICC profiles and PNG gamma are ignored"
    return "converted to sRGB, perceptual intent, from the ICC profile, code points, or PNG gamma and chromaticities"


def space_of(mode: str) -> str:
    """The colour space of an image of Pillow's `mode`, as profiles name it: "GRAY", "CMYK" or "RGB "."""
    if mode in _GREY_MODES or mode.startswith("I;16"):
        return "GRAY"
    return "CMYK" if mode == "CMYK" else "RGB "


def effect(told: ColoursTold | None, space: str) -> str:
    """PROFILE or GAMMA if colours are converted by it, UNUSABLE if it cannot be used, "" if it changes nothing. Without
    LittleCMS it is not known which."""
    if told is None or not has_littlecms():
        return "" if told is None else told.source
    made = _conversion(told.icc, space)
    if not made.usable:
        return UNUSABLE
    return "" if made.apply is None else told.source


def to_srgb(image: Image.Image, told: ColoursTold | None, profiles: str) -> Image.Image:
    """The image as RGB, or RGBA where parts may be transparent, if `profiles` says that what is told is converted;
    else the image itself."""
    if told is None or told.source not in _CONVERTED[profiles]:
        return image
    made = _conversion(told.icc, space_of(image.mode))
    if made.apply is None:
        return image
    image = image.convert("LA") if image.mode == "La" else image  # multiplied by alpha, in a TIFF
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    pixels = image if image.mode == made.mode else image.convert(made.mode)
    converted = made.apply(pixels)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def has_littlecms() -> bool:
    """Whether Pillow was built with it."""
    return bool(features.check("littlecms2"))


@lru_cache(KEPT)
def _conversion(icc: bytes, space: str) -> _Conversion:
    """Raises UnfreezeError if Pillow was built without LittleCMS."""
    if not has_littlecms():
        raise UnfreezeError(f"it has a colour profile, {WITHOUT}: {REMEDY}")
    if not icc:
        return _Conversion(usable=False)
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        own = str(profile.profile.xcolor_space)
        if own != space and (own, space) != ("RGB ", "GRAY"):  # a grey image in the colours of an RGB profile
            return _Conversion(usable=False)
        mode = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}[own]
        return _judged(_of_grey(profile) if mode == "L" else _transform(profile, mode).apply, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, KeyError):
        return _Conversion(usable=False)


@lru_cache(1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _transform(profile: ImageCms.ImageCmsProfile, mode: str, flags: int = 0) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(profile, _srgb(), mode, "RGB", flags=ImageCms.Flags(flags))


def _of_grey(profile: ImageCms.ImageCmsProfile) -> Callable[[Image.Image], Image.Image]:
    """A table: LittleCMS' own for grey, which it makes to be fast, is off by up to 10 levels near black."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    exact = _transform(profile, "L", ImageCms.Flags.NOOPTIMIZE).apply(ramp)
    table = np.asarray(exact)[0].T.ravel().tolist()
    return lambda image: image.convert("RGB").point(table)


def _judged(apply: Callable[[Image.Image], Image.Image], mode: str) -> _Conversion:
    """The conversion by what it makes of colours in all the space."""
    steps = np.linspace(0, 255, {"L": 256, "RGB": 17, "CMYK": 5}[mode]).round().astype(np.uint8)
    channels = len(mode)
    probe = np.stack(np.meshgrid(*[steps] * channels, indexing="ij"), axis=-1).reshape(1, -1, channels)
    made = np.asarray(apply(Image.fromarray(probe[..., 0] if mode == "L" else probe, mode))).astype(int)
    if np.ptp(made.mean(axis=2)) < LEAST_RANGE:
        return _Conversion(usable=False)
    same = mode != "CMYK" and np.abs(made - probe).max() <= SAME
    return _Conversion(True, mode, None if same else apply)
