"""What the files of DATA say of their colours, and whether they are transparent: sentences for the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from toolkit.data.read_image import ReadImage
from toolkit.errors import UnfreezeError
from toolkit.pixels.colour import REMEDY, SRGB, UNUSABLE, WITHOUT, has_littlecms
from toolkit.pixels.colours_told import GAMMA, PROFILE

_NAMES = {PROFILE: "a colour profile other than sRGB", GAMMA: "a PNG gamma other than that of sRGB"}


def colours_seen(images: Sequence[ReadImage], profiles: str) -> list[str]:
    """Sentences about images whose colours are others than those of sRGB, and about transparent ones; [] if there are
    none. Raises UnfreezeError if such colours are to be converted and Pillow cannot."""
    counts = Counter(image.colours for image in images)
    told = [f"{_images(counts[kind])} {name}" for kind, name in _NAMES.items() if counts[kind]]
    if told and profiles == SRGB and not has_littlecms():
        raise UnfreezeError(f"{' and '.join(told)}, {WITHOUT}: {REMEDY}, or give --profiles ignored")
    done = (
        "converted to sRGB, as browsers and phones do (--profiles ignored takes colours as they are stored)"
        if profiles == SRGB
        else "ignored, which browsers and phones do not (--profiles srgb converts colours to sRGB)"
    )
    said = [f"{one}: {done}" for one in told]
    if counts[UNUSABLE] and profiles == SRGB:
        said.append(f"{_images(counts[UNUSABLE])} a colour profile that cannot be used: taken as sRGB")
    if transparent := sum(image.transparent for image in images):
        said.append(f"{_images(transparent)} transparent pixels: shown on white, which OpenCV's imread does not do")
    return said


def _images(count: int) -> str:
    return "1 image has" if count == 1 else f"{count:,} images have"
