"""The one decoder: the bytes of a file -> `uint8 [S, S, 3]`, and why a file cannot be used.

Everything that feeds a model decodes here, so no two parts of the project can see different pixels. Which
files there are is left to `toolkit.folder`, arrays of many images to `toolkit.data`, and normalisation is
inside the model.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from toolkit.errors import UnfreezeError
from toolkit.resize import resize

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
SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".webp": "WebP",
}
MAX_PIXELS = 100_000_000

_MAGIC = (  # name, offset, the bytes that stand there
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"),
    ("GIF", 0, b"GIF8"),
    ("BMP", 0, b"BM"),
    ("WebP", 8, b"WEBP"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("AVIF", 4, b"ftypavif"),
    ("HEIC", 4, b"ftyphei"),
    ("HEIC", 4, b"ftypmif1"),
    ("JPEG 2000", 4, b"jP  "),
    ("JPEG XL", 4, b"JXL "),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("PDF", 0, b"%PDF"),
)


class _Jpeg(JpegImageFile):
    """Without Pillow's look into EXIF for the resolution, which warns where EXIF is corrupt."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


# Opened by class, not by `Image.open`: no other decoder can be reached, no size warning is raised, and a
# multi-picture JPEG, which phones write, is read as the JPEG that it is.
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": _Jpeg,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "WebP": WebPImageFile,
}
_TURNS = {  # EXIF orientation -> what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(source: Path | bytes, size: int, antialias: bool = False) -> np.ndarray:
    """`uint8 [size, size, 3]` by `RECIPE`; `antialias=True` resizes by Pillow's antialiased bilinear instead.

    Takes a path or a file's bytes, in any format of `SUFFIXES` whatever the name says; of an animation the
    first frame. Raises `UnfreezeError` with the reason, after the path if that was given.
    """
    with _reasons(f"{source}: " if isinstance(source, Path) else ""):
        image = _upright_rgb(_opened(source if isinstance(source, bytes) else source.read_bytes()))
    if antialias:
        return np.array(image.resize((size, size), Image.Resampling.BILINEAR))
    return resize(np.asarray(image), size)


def decode_whole(source: Path | bytes, shrink: int = 1, *, upright: bool = True) -> np.ndarray:
    """`uint8 [H, W, 3]`, not resized. `upright=False` ignores the EXIF orientation. `shrink`: 2, 4 or 8 decodes a JPEG
    at that fraction of its size, as a phone's decoder does to save memory; other formats as they are. Raises
    `UnfreezeError` as `decode` does."""
    with _reasons(f"{source}: " if isinstance(source, Path) else ""):
        image = _opened(source if isinstance(source, bytes) else source.read_bytes())
        if shrink > 1:
            image.draft(image.mode, (max(1, image.width // shrink), max(1, image.height // shrink)))
        image.load()
        return np.asarray(_upright_rgb(image) if upright else _rgb(image))


def check(data: bytes, suffix: str) -> str | None:
    """Why a file with these bytes, named with this suffix (".jpg"), cannot be used; None where it can."""
    try:
        measure(data, suffix)
    except UnfreezeError as error:
        return str(error)
    return None


def measure(data: bytes, suffix: str) -> tuple[int, int]:
    """Width and height in pixels, as shown, of a usable file; of any other, `UnfreezeError` says why not.

    A known suffix must be that of the content. The whole image is decoded: only that finds one cut short.
    """
    with _reasons():
        image = _opened(data, named=SUFFIXES.get(suffix.lower()), suffix=suffix)
        width, height = image.size
        # A JPEG decoded at an eighth of its size is read to the end all the same, in a fifth of the time.
        image.draft("L", (max(1, width // 8), max(1, height // 8)))
        image.load()
        return (height, width) if _orientation(image) in (5, 6, 7, 8) else (width, height)


@contextmanager
def _reasons(prefix: str = "") -> Iterator[None]:
    """Whatever goes wrong inside becomes an `UnfreezeError` that gives the reason in one line."""
    try:
        yield
    except UnfreezeError as error:
        raise UnfreezeError(f"{prefix}{error}") from error
    except Exception as error:  # Pillow raises a dozen types on garbage, MemoryError among them
        if isinstance(error, OSError) and error.errno:
            raise UnfreezeError(f"{prefix}cannot be read: {error.strerror}") from error
        detail = " ".join(str(error).split()) or type(error).__name__
        raise UnfreezeError(f"{prefix}cut short or damaged ({detail})") from error


def _opened(data: bytes, named: str | None = None, suffix: str = "") -> ImageFile.ImageFile:
    """The image, its header read; refuses what is no image, not what its name says, or too large."""
    if not data:
        raise UnfreezeError("the file is empty")
    content = next((name for name, at, magic in _MAGIC if data.startswith(magic, at)), None)
    if content is None:
        raise UnfreezeError("not an image")
    if named and named != content:
        raise UnfreezeError(f"named {suffix} but its content is {content}")
    if content not in _READERS:
        raise UnfreezeError(f"{content} is not supported: convert it to JPEG or PNG")
    image = _READERS[content](io.BytesIO(data))
    if image.width * image.height > MAX_PIXELS:
        raise UnfreezeError(f"{image.width} x {image.height} pixels are more than {MAX_PIXELS // 10**6} million")
    return image


def _upright_rgb(image: ImageFile.ImageFile) -> Image.Image:
    image.load()  # here, where errors have reasons; and a PNG may have its EXIF behind the pixels
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
    """EXIF orientation, 1 if there is none; read without Pillow, which warns where EXIF is corrupt."""
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
