"""Images of 16 bits per sample, from Pillow, which has no such images in colour and gives their high bytes alone.

The low bytes come from a second decoding that is told the other byte order. Nothing is scaled here:
`toolkit.pixels.levels` makes 8 bits of the samples.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from PIL import ImageFile

from toolkit.pixels.bands import bands

Open = Callable[[], ImageFile.ImageFile]
_SWAPPED = {  # how Pillow takes the high bytes -> how it takes the low ones
    ";16B": ";16L",
    ";16L": ";16B",
    ";16N": ";16B" if sys.byteorder == "little" else ";16L",
}


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether the file has more than 8 bits per sample, in grey or in RGB. CMYK of 16 bits is taken as Pillow gives
    it: it comes from printing, which uses the whole range."""
    return image.mode.startswith("I;16") or (_raw_mode(image)[-4:] in _SWAPPED and image.mode in ("RGB", "RGBA"))


def samples(open_: Open, low: bool = True) -> np.ndarray:
    """uint16 [H, W, C], C = 1 or 3, with alpha 2 or 4. `open_` gives the image, not decoded yet, each time anew.
    `low=False`: the low bytes are not needed and may be 0, which is faster in colour."""
    image = open_()
    if image.mode.startswith("I;16"):
        image.load()
        return _with_key(np.asarray(image).astype(np.uint16)[..., None], image.info.get("transparency"))
    if _raw_mode(image) == "LA;16B":
        return _grey_and_alpha(image)
    key = image.info.get("transparency")
    image.load()
    made = np.asarray(image).astype(np.uint16)
    made <<= 8
    if low or key is not None:
        image = open_()
        form = _raw_mode(image)[-4:]
        _retell(image, image.mode, _raw_mode(image).replace(form, _SWAPPED[form]))
        image.load()
        made |= np.asarray(image)
    return _with_key(made, key)


def unmultiplied(pixels: np.ndarray) -> np.ndarray:
    """uint16 [H, W, 4] whose colours were multiplied by alpha, without that."""
    made = pixels.copy()
    for rows in bands(pixels):
        alpha = np.maximum(pixels[rows, :, 3:].astype(np.uint32), 1)
        made[rows, :, :3] = np.minimum(pixels[rows, :, :3].astype(np.uint32) * 65535 // alpha, 65535)
    return made


def _grey_and_alpha(image: ImageFile.ImageFile) -> np.ndarray:
    """Four bytes a pixel, which Pillow is told are red, green, blue and alpha."""
    _retell(image, "RGBA", "RGBA")
    image.load()
    return np.ascontiguousarray(np.asarray(image)).view(">u2").astype(np.uint16)


def _with_key(pixels: np.ndarray, key: object) -> np.ndarray:
    """With an alpha channel, if a PNG names a colour that is transparent."""
    if not isinstance(key, int | tuple):
        return pixels
    made = np.full((*pixels.shape[:2], pixels.shape[2] + 1), 65535, np.uint16)
    made[..., :-1] = pixels
    made[(pixels == np.array(key, np.uint16)).all(axis=2), -1] = 0
    return made


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """How the bytes of the file stand for samples, in Pillow's words; "" if its decoder does not take any."""
    args = image.tile[0].args if image.tile else ""
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _retell(image: ImageFile.ImageFile, mode: str, raw_mode: str) -> None:
    image._mode = mode
    image.tile = [
        tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)
        for tile in image.tile
    ]
