"""The one decoder: the bytes of a file -> `uint8 [S, S, 3]`, and why a file cannot be used.

Every image that a model gets is decoded here, so that all parts of the project see the same pixels. Files are listed by
`toolkit.data.image_set`; files that would take too much memory or time are refused by `toolkit.pixels.limits`; arrays
of many images are made by `toolkit.data.decoded_arrays`, and normalisation is inside the model.
"""

from __future__ import annotations

import hashlib
import io
import struct
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from toolkit.errors import UnfreezeError, one_line
from toolkit.pixels.limits import content, png_pixels, refuse_bomb, refuse_size
from toolkit.pixels.look import Look, look_at
from toolkit.pixels.resize import Size, resize, sides
from toolkit.storage.safe_read import read

DECODE_VERSION = 1  # raise it whenever the pixels of any image change: decoded caches and artefacts carry it
RECIPE: dict[str, str | int] = {
    "version": DECODE_VERSION,
    "colour": "RGB",
    "values": "uint8, 0 to 255, height x width x channel",
    "orientation": "EXIF applied",
    "jpeg": "accurate integer DCT, smooth chroma upsampling",
    "transparency": "composited on white",
    "depth": "16-bit samples reduced to their high byte",
    "aspect": "stretched to the square",
    "resize": "bilinear, no antialias, half-pixel centers, edges clamped",
    "rounding": "half to even",
}
GREY = "grey (ITU-R 601 luma of the resized RGB: (19595 R + 38470 G + 7471 B + 32768) >> 16)"
SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".webp": "WebP",
}
LARGE = (
    25_000_000  # pixels from which images are decoded one at a time, whatever the number of threads: up to 2 GB each
)
LOOKED_AT = 32  # pixels

_one_large = threading.RLock()


class _Jpeg(JpegImageFile):
    """A JPEG of which Pillow does not read the resolution from EXIF, because it warns if EXIF is corrupt."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


# Opened by these classes, not by `Image.open`: then no other decoder can run, no size warning is raised, and the
# multi-picture JPEG that phones write is read as a plain JPEG.
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": _Jpeg,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "WebP": WebPImageFile,
}
_TURNS = {  # EXIF orientation -> the operation that turns the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def recipe(channels: int) -> dict[str, str | int]:
    """`RECIPE` of a model that takes 3 channels, RGB, or 1, grey, which `toolkit.pixels.grey` makes of what is decoded
    here."""
    return RECIPE if channels == 3 else RECIPE | {"colour": GREY}


def decode(source: Path | bytes, size: Size, antialias: bool = False) -> np.ndarray:
    """`uint8 [height, width, 3]` by `RECIPE`; `antialias=True` resizes by Pillow's antialiased bilinear instead.

    Takes a path or a file's bytes, in any format of `SUFFIXES`; the file's name does not matter. Of an animation, the
    first frame is decoded. Raises UnfreezeError with the reason, after the path if that was given.
    """
    with _reasons(source), _large(image := _opened(_bytes(source))):
        rgb = _upright_rgb(image)
        return _antialiased(rgb, size) if antialias else resize(np.asarray(rgb), size)


def decode_both(source: Path | bytes, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """`decode` without and with `antialias`, each `uint8 [height, width, 3]`; the file is decoded once."""
    with _reasons(source), _large(image := _opened(_bytes(source))):
        rgb = _upright_rgb(image)
        return resize(np.asarray(rgb), size), _antialiased(rgb, size)


def decode_whole(source: Path | bytes, shrink: int = 1, *, upright: bool = True) -> np.ndarray:
    """`uint8 [H, W, 3]`, not resized. `upright=False` ignores the EXIF orientation. `shrink`: 2, 4 or 8 decodes a JPEG
    at that fraction of its size, as a phone's decoder does to save memory; other formats keep their size. Raises
    UnfreezeError as `decode` does."""
    with _reasons(source), _large(image := _opened(_bytes(source))):
        if shrink > 1:
            image.draft(image.mode, (max(1, image.width // shrink), max(1, image.height // shrink)))
        image.load()
        return np.asarray(_upright_rgb(image) if upright else _rgb(image))


@dataclass(frozen=True)
class Measured:
    """What `measure` found in a usable file."""

    width: int  # pixels, as shown
    height: int
    look: Look

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as shown."""
        return self.width, self.height


def measure(data: bytes, suffix: str) -> Measured:
    """What a usable file is; of any other, `UnfreezeError` says why not.

    If the suffix is a known one, the content must have that format. The whole image is decoded, which alone finds a
    file that is cut short.
    """
    with _reasons(), _large(image := _opened(data, named=SUFFIXES.get(suffix.lower()), suffix=suffix)):
        width, height = image.size
        # A JPEG that is decoded at an eighth of its size is still read to its end, in a fifth of the time. At least
        # LOOKED_AT pixels are left, which its look is made of.
        image.draft("L", (max(LOOKED_AT, width // 8), max(LOOKED_AT, height // 8)))
        image.load()
        turn = _TURNS.get(_orientation(image))
        if _orientation(image) in (5, 6, 7, 8):
            width, height = height, width
        _rgb(image.crop((0, 0, 1, 1)))  # convert one pixel as `decode` will: this finds a broken palette
        deep = image.mode.startswith("I")
        seen = np.asarray(image) if deep else image if image.mode == "L" else _rgb(image)
        return Measured(width, height, look_at(seen, turn, (width, height)))


def pixel_digest(source: Path | bytes) -> str:
    """SHA-256 of the upright pixels, all of them, hex: of 8 bits as RGB, of 16 as they are."""
    with _reasons(source), _large(image := _opened(_bytes(source))):
        image.load()
        turn = _TURNS.get(_orientation(image))
        upright = (
            (image if image.mode.startswith("I") else _rgb(image)) if turn is None else _rgb(image).transpose(turn)
        )
        return hashlib.sha256(f"{upright.mode} {upright.size}".encode() + upright.tobytes()).hexdigest()


def thumbnail(source: Path | bytes, side: int) -> np.ndarray:
    """uint8 [side, side, 3], antialiased: of a JPEG it is decoded at a reduced size."""
    with _reasons(source), _large(image := _opened(_bytes(source))):
        image.draft(image.mode, (max(8 * side, image.width // 8), max(8 * side, image.height // 8)))
        return _antialiased(_upright_rgb(image), side)


@contextmanager
def _reasons(source: Path | bytes = b"") -> Iterator[None]:
    """Turn every exception of the block into an `UnfreezeError` with the reason in one line, after the path if `source`
    is a path."""
    prefix = f"{source}: " if isinstance(source, Path) else ""
    try:
        yield
    except UnfreezeError as error:
        raise UnfreezeError(one_line(f"{prefix}{error}")) from error
    except MemoryError as error:
        raise UnfreezeError(one_line(f"{prefix}needs more memory than there is: make it smaller")) from error
    except Exception as error:  # Pillow raises a dozen types for damaged files
        if isinstance(error, OSError) and error.errno:
            raise UnfreezeError(one_line(f"{prefix}cannot be read: {error.strerror}")) from error
        early = isinstance(error, (struct.error, IndexError))  # their texts are about Python, not about the file
        detail = "its header ends early" if early else " ".join(str(error).split()) or type(error).__name__
        raise UnfreezeError(one_line(f"{prefix}cut short or damaged ({detail})")) from error


def _bytes(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else read(source)


def _large(image: Image.Image) -> AbstractContextManager[object]:
    """A lock to hold while the pixels of a large image are in memory; no lock for a small one."""
    return _one_large if image.width * image.height > LARGE else nullcontext()


def _opened(data: bytes, named: str | None = None, suffix: str = "") -> ImageFile.ImageFile:
    """The image, of which only the header is read. Raises UnfreezeError if it is not an image, not of the format
    `named`, or too large."""
    if not data:
        raise UnfreezeError("the file is empty")
    form = content(data)
    if form is None:
        raise UnfreezeError("not an image")
    if named and named != form:
        raise UnfreezeError(f"named {suffix} but its content is {form}")
    if form not in _READERS:
        raise UnfreezeError(f"{form} is not supported: convert it to JPEG or PNG")
    refuse_bomb(form, data)
    image = _READERS[form](io.BytesIO(png_pixels(data) if form == "PNG" else data))
    refuse_size(image.width, image.height)
    if image.mode == "P" and image.palette is None:
        raise UnfreezeError("cut short or damaged (its colours are missing)")
    return image


def _antialiased(rgb: Image.Image, size: Size) -> np.ndarray:
    height, width = sides(size)
    return np.array(rgb.resize((width, height), Image.Resampling.BILINEAR))


def _upright_rgb(image: ImageFile.ImageFile) -> Image.Image:
    image.load()  # decode now, inside `_reasons`; besides, a PNG may have its EXIF after the pixels
    rgb = _rgb(image)
    turn = _TURNS.get(_orientation(image))
    return rgb if turn is None else rgb.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits, which Pillow's own conversion clips
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 if there is none. It is read without Pillow, which warns if EXIF is corrupt."""
    exif = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
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
