"""The bytes of a file -> `Picture`: its format and size, of which the pixels are decoded when they are asked for.

Each format is opened by a class or a function of its own, not by `Image.open`: then no other decoder can run, no size
warning is raised, and the multi-picture JPEG that phones write is read as a plain JPEG.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from toolkit.errors import UnfreezeError
from toolkit.pixels import bmp, colours_told, deep, extra_formats, jpeg, netpbm, tiff
from toolkit.pixels.colour import space_of
from toolkit.pixels.colours_told import ColoursTold
from toolkit.pixels.formats import refuse_unread, unsupported
from toolkit.pixels.limits import png_pixels, refuse_bomb, refuse_size

# For `load`: only to see whether it can be decoded, and its look; a JPEG in grey, at an eighth, or as much more as
# leaves LOOKED_AT pixels on its shorter side.
CHECK = 0
LOOKED_AT = 32
Pixels = Image.Image | np.ndarray  # 8 bits: Pillow's image; 16 bits: uint16 [H, W, C], C as in `levels.to_eight`


class _Jpeg(JpegImageFile):
    """A JPEG of which Pillow does not read the resolution from EXIF, because it warns if EXIF is corrupt."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


class _Tiff(TiffImageFile):
    """A TIFF of which Pillow does not warn that it has more than 89 million pixels; without orientation, which it would
    apply."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.core.new(self.mode, self.size)
        ImageFile.ImageFile.load_prepare(self)


@dataclass(frozen=True)
class Picture:
    """A file of which the header was read."""

    form: str  # as `formats.content` names it
    width: int  # pixels, as stored
    height: int
    # 1, 2, 4 or 8, the part of the size at which a JPEG is decoded, or CHECK; whether low bytes of 16 bits are needed
    load: Callable[[int, bool], Pixels]
    orientation: Callable[[], int]  # EXIF's, 1 to 8; of a PNG it may stand behind the pixels: load them first
    colours: ColoursTold | None = None  # None: those of sRGB
    space: str = "RGB "  # the colour space, as `colour.space_of` names it


def open_picture(data: bytes) -> Picture:
    """Raises UnfreezeError if the bytes are not a picture, of a kind that is not read, or too large. Pillow raises a
    dozen other exceptions for damaged files."""
    if not data:
        raise UnfreezeError("the file is empty")
    form = refuse_unread(data)
    if form is None:
        raise UnfreezeError("not an image")
    refuse_bomb(form, data)
    opened = _OPENERS[form](form, data)
    if min(opened.width, opened.height) < 1:
        raise ValueError("a size of 0")
    return opened


def _by_pillow(form: str, data: bytes, colours: ColoursTold | None = None) -> Picture:
    return _picture(form, lambda: _READERS[form](io.BytesIO(data)), colours)


def _picture(form: str, open_: deep.Open, colours: ColoursTold | None = None) -> Picture:
    """`colours`: what the file tells of them beside a profile, which Pillow finds and which comes first."""
    image = open_()
    refuse_size(*image.size)
    if image.mode == "P" and image.palette is None:
        raise UnfreezeError("cut short or damaged (its colours are missing)")

    def load(shrink: int, low: bool) -> Pixels:
        if deep.is_deep(image):
            return deep.samples(open_, low)
        image.load()
        return image

    colours = colours_told.of_profile(image.info) or colours
    orientation = partial(_orientation, image)
    return Picture(form, *image.size, load, orientation, colours, space_of(image.mode))


def _png(form: str, data: bytes) -> Picture:
    return _by_pillow(form, png_pixels(data), colours_told.of_png(data))


def _avif(form: str, data: bytes) -> Picture:
    return _by_pillow(form, data, colours_told.of_boxes(data))


def _jpeg(form: str, data: bytes) -> Picture:
    frame = jpeg.checked(data)
    image = _Jpeg(io.BytesIO(data))
    width, height = image.size
    scale, space = frame.scale if frame else 1, space_of(image.mode)

    def load(shrink: int, low: bool) -> Pixels:
        part, least = max(shrink or jpeg.SCALES[-1], scale), 1 if shrink else LOOKED_AT
        if frame and frame.lossless:
            return image.convert("RGB")  # it is always decoded whole, so its look is that of other formats
        if part > 1:
            image.draft(image.mode if shrink else "L", (max(least, width // part), max(least, height // part)))
        image.load()
        return image

    told = colours_told.of_profile(image.info)
    return Picture(form, width, height, load, partial(_orientation, image), told, space)


def _bmp(form: str, data: bytes) -> Picture:
    try:
        return _by_pillow(form, data)
    except OSError as error:
        header = bmp.masked(data) if "bitfields" in str(error) else None
        if header is None:
            kinds = ("compression", "pixel depth", "bitfields")
            if kind := next((kind for kind in kinds if kind in str(error)), ""):
                raise unsupported(f"a BMP of an unusual {kind.replace('bitfields', 'layout of bits')}") from error
            raise
    refuse_size(header.width, header.height)
    return Picture(
        form, header.width, header.height, lambda *_: Image.fromarray(bmp.read_masked(data, header)), _upright
    )


def _tiff(form: str, data: bytes) -> Picture:
    page = tiff.first_page(data)
    tiff.silence_libtiff()
    refuse_size(page.width, page.height)
    try:
        told = colours_told.of_profile(page.profile)
        opened = _picture(form, lambda: _Tiff(io.BytesIO(page.data)), told)
    except SyntaxError as error:
        if "unknown" in str(error):  # a combination of tags that Pillow has no name for
            raise unsupported(f"a TIFF of {page.samples} x {page.bits} bits per pixel in this colour space") from error
        raise

    def load(shrink: int, low: bool) -> Pixels:
        pixels = opened.load(shrink, low)
        if isinstance(pixels, np.ndarray):
            if page.bits < 16:
                pixels <<= 16 - page.bits
            if page.inverted:
                np.invert(pixels, out=pixels)
            if page.premultiplied and pixels.shape[2] == 4:
                pixels = deep.unmultiplied(pixels)
        return pixels

    return replace(opened, load=load, orientation=lambda: page.orientation)


def _netpbm(form: str, data: bytes) -> Picture:
    header = netpbm.read_header(data)
    refuse_size(header.width, header.height)
    return Picture(
        form, header.width, header.height, lambda *_: _as_pixels(netpbm.read_samples(data, header)), _upright
    )


def _jpeg_2000(form: str, data: bytes) -> Picture:
    at = data.find(b"\xff\x4f\xff\x51")  # the codestream, which the decoder believes more than the boxes around it
    right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
    refuse_size(max(0, right - left), max(0, bottom - top))
    return _by_pillow(form, data)


def _heic(form: str, data: bytes) -> Picture:
    return _picture(form, lambda: extra_formats.open_heic(data), colours_told.of_boxes(data))


def _jxl(form: str, data: bytes) -> Picture:
    width, height = extra_formats.jxl_size(data)
    refuse_size(width, height)
    return Picture(form, width, height, lambda *_: _as_pixels(extra_formats.read_jxl(data)), _upright)


def _as_pixels(samples: np.ndarray) -> Pixels:
    """uint8 [H, W, C] becomes Pillow's image."""
    if samples.dtype == np.uint16:
        return samples
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def _upright() -> int:
    return 1


def _orientation(image: Image.Image) -> int:
    return exif_orientation(image.info.get("exif", b""))


_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "WebP": WebPImageFile,
    "AVIF": AvifImageFile,
    "JPEG 2000": Jpeg2KImageFile,
}
_OPENERS: dict[str, Callable[[str, bytes], Picture]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _by_pillow,
    "BMP": _bmp,
    "WebP": _by_pillow,
    "TIFF": _tiff,
    "PNM": _netpbm,
    "AVIF": _avif,
    "JPEG 2000": _jpeg_2000,
    "HEIC": _heic,
    "JPEG XL": _jxl,
}


def exif_orientation(exif: bytes) -> int:
    """EXIF orientation, 1 if there is none. It is read without Pillow, which warns if EXIF is corrupt."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        tags = (struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * n) for n in range(entries))
        return next((value for tag, _, _, value in tags if tag == 0x0112), 1)
    except struct.error:
        return 1
