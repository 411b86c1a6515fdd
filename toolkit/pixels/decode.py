"""The one decoder: the bytes of a file -> `uint8 [S, S, 3]`, and why a file cannot be used.

Every image that a model gets is decoded here, so that all parts of the project see the same pixels. Files are listed by
`toolkit.data.image_set`; files that would take too much memory or time are refused by `toolkit.pixels.limits`; arrays
of many images are made by `toolkit.data.decoded_arrays`, and normalisation is inside the model.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from toolkit.errors import UnfreezeError, one_line
from toolkit.pixels import reasons
from toolkit.pixels.bands import bands
from toolkit.pixels.colour import IGNORED, effect, to_srgb
from toolkit.pixels.colour import words as colour_words
from toolkit.pixels.formats import UnreadError, refuse_unmarked, refuse_unread
from toolkit.pixels.levels import FULL, PERCENTILE, span, to_eight, words
from toolkit.pixels.look import Look, look_at
from toolkit.pixels.picture import CHECK, Picture, Pixels, open_picture
from toolkit.pixels.resize import Size, resize, sides
from toolkit.storage.safe_read import read

DECODE_VERSION = 2  # raise it whenever the pixels of any image change: decoded caches and artefacts carry it
RECIPE: dict[str, str | int] = {
    "version": DECODE_VERSION,
    "colour": "RGB",
    "values": "uint8, 0 to 255, height x width x channel",
    "orientation": "EXIF applied",
    "jpeg": "accurate integer DCT, smooth chroma upsampling; of more than 100 million pixels: decoded at a half, a "
    "quarter or an eighth of width and height, the first that gives no more",
    "transparency": "composited on white",
    "depth": words(FULL),
    "levels": FULL,
    "colour_profiles": colour_words(IGNORED),
    "profiles": IGNORED,
    "aspect": "stretched to the square",
    "resize": "bilinear, no antialias, half-pixel centers, edges clamped",
    "rounding": "half to even",
}
GREY = "grey (ITU-R 601 luma of the resized RGB: (19595 R + 38470 G + 7471 B + 32768) >> 16)"
LARGE = (
    25_000_000  # pixels from which images are decoded one at a time, whatever the number of threads: up to 2 GB each
)

_one_large = threading.RLock()


_TURNS = {  # EXIF orientation -> the operation that turns the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Measured:
    """What `measure` found in a usable file."""

    width: int  # pixels, as shown
    height: int
    form: str  # such as "JPEG"
    span: tuple[int, int]  # lowest and highest sample of an image of more than 8 bits, as `levels.span`; else (0, 0)
    look: Look
    colours: str  # what its colours are converted by, as `colour.effect`
    transparent: bool  # whether any pixel is

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as shown."""
        return self.width, self.height


def recipe(channels: int, levels: str = FULL, profiles: str = IGNORED) -> dict[str, str | int]:
    """`RECIPE` of a model that takes 3 channels, RGB, or 1, grey, which `toolkit.pixels.grey` makes of what is decoded
    here, whose 16-bit images become 8 bits by `levels`, and whose colours are converted by `profiles`."""
    own = {"depth": words(levels), "levels": levels, "colour_profiles": colour_words(profiles), "profiles": profiles}
    return RECIPE | own | ({} if channels == 3 else {"colour": GREY})


def decode(
    source: Path | bytes, size: Size, antialias: bool = False, levels: str = FULL, profiles: str = IGNORED
) -> np.ndarray:
    """`uint8 [height, width, 3]` by `RECIPE`; `antialias=True` resizes by Pillow's antialiased bilinear instead.

    Takes a path or a file's bytes, in any format of `toolkit.pixels.formats`; the file's name does not matter. Of an
    animation, the first frame is decoded, of several pages the first. `levels`: how 16 bits become 8, as
    `toolkit.pixels.levels` says. `profiles`: whether colours become those of sRGB, as `toolkit.pixels.colour` says.
    Raises UnfreezeError with the reason, after the path if that was given.
    """
    with _reasons(source), _large(picture := open_picture(_bytes(source))):
        rgb = _upright_rgb(picture, levels, profiles)
        return _antialiased(rgb, size) if antialias else resize(np.asarray(rgb), size)


def decode_both(
    source: Path | bytes, size: Size, levels: str = FULL, profiles: str = IGNORED
) -> tuple[np.ndarray, np.ndarray]:
    """`decode` without and with `antialias`, each `uint8 [height, width, 3]`; the file is decoded once."""
    with _reasons(source), _large(picture := open_picture(_bytes(source))):
        rgb = _upright_rgb(picture, levels, profiles)
        return resize(np.asarray(rgb), size), _antialiased(rgb, size)


def decode_whole(
    source: Path | bytes,
    shrink: int = 1,
    *,
    upright: bool = True,
    composited: bool = True,
    levels: str = FULL,
    profiles: str = IGNORED,
) -> np.ndarray:
    """`uint8 [H, W, 3]`, not resized. `upright=False` ignores the EXIF orientation, `composited=False`
    transparency. `shrink`: 2, 4 or 8 decodes a JPEG at that fraction of its size, as a phone's decoder does to save
    memory; other formats keep their size. Raises UnfreezeError as `decode` does."""
    with _reasons(source), _large(picture := open_picture(_bytes(source))):
        whole = _converted(picture, levels, profiles, shrink)
        rgb = _on_white(whole) if composited else whole.convert("RGB")
        return np.asarray(_turned(rgb, picture) if upright else rgb)


def measure(data: bytes) -> Measured:
    """What a usable file is; of any other, `UnfreezeError` says why not.

    The whole image is decoded, which alone finds a file that is cut short.
    """
    with _reasons(), _large(picture := open_picture(data)):
        # A JPEG that is decoded at an eighth of its size is still read to its end, in a fifth of the time.
        pixels, ends = picture.load(CHECK, False), (0, 0)
        transparent = _is_transparent(pixels)
        if isinstance(pixels, np.ndarray):
            ends = span(pixels)
            _rgb(pixels[:1, :1], FULL)
        elif picture.form != "JPEG" or pixels.mode != "L":
            pixels = _rgb(pixels, FULL)  # convert it as `decode` will: this finds a broken palette
        width, height = picture.width, picture.height
        turn = _TURNS.get(picture.orientation())
        if picture.orientation() in (5, 6, 7, 8):
            width, height = height, width
        look = look_at(pixels, turn, (width, height))
        return Measured(width, height, picture.form, ends, look, effect(picture.colours, picture.space), transparent)


def read_picture(path: Path) -> bytes:
    """The bytes of a file that is to be decoded. Raises as `safe_read.read` does, and UnfreezeError if its format is
    not read here: then no more than its beginning was."""
    data = read(path, refuse_unread)
    refuse_unmarked(data, path.suffix)
    return data


def pixel_digest(source: Path | bytes) -> str:
    """SHA-256 of the pixels, all of them, hex: of 8 bits upright as RGB, of 16 as they are stored."""
    with _reasons(source), _large(picture := open_picture(_bytes(source))):
        pixels = picture.load(1, True)
        turn = _TURNS.get(picture.orientation())
        digest = hashlib.sha256()
        if isinstance(pixels, np.ndarray):
            digest.update(f"{turn} {pixels.shape}".encode())
            for rows in bands(pixels):
                digest.update(pixels[rows].tobytes())
        else:
            rgb = _rgb(pixels, FULL) if turn is None else _rgb(pixels, FULL).transpose(turn)
            digest.update(f"{rgb.size}".encode())
            digest.update(rgb.tobytes())
        return digest.hexdigest()


def thumbnail(source: Path | bytes, side: int) -> np.ndarray:
    """uint8 [side, side, 3], antialiased: of a JPEG it is decoded at a reduced size, 16 bits by the image's own
    range."""
    with _reasons(source), _large(picture := open_picture(_bytes(source))):
        smaller = (part for part in (8, 4, 2) if min(picture.width, picture.height) >= 8 * side * part)
        return _antialiased(_upright_rgb(picture, PERCENTILE, IGNORED, next(smaller, 1)), side)


@contextmanager
def _reasons(source: Path | bytes = b"") -> Iterator[None]:
    """Turn every exception of the block into an `UnfreezeError` with the reason in one line, after the path if `source`
    is a path."""
    prefix = f"{source}: " if isinstance(source, Path) else ""
    try:
        yield
    except UnreadError as error:
        raise UnreadError(one_line(f"{prefix}{error}"), error.form) from error
    except UnfreezeError as error:
        raise UnfreezeError(one_line(f"{prefix}{error}")) from error
    except MemoryError as error:
        raise UnfreezeError(one_line(f"{prefix}needs more memory than there is: make it smaller")) from error
    except Exception as error:  # Pillow raises a dozen types for damaged files
        if isinstance(error, OSError) and error.errno:
            raise UnfreezeError(one_line(f"{prefix}cannot be read: {error.strerror}")) from error
        raise UnfreezeError(one_line(f"{prefix}cut short or damaged ({reasons.detail(error)})")) from error


def _bytes(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else read_picture(source)


def _large(picture: Picture) -> AbstractContextManager[object]:
    """A lock to hold while the pixels of a large image are in memory; no lock for a small one."""
    return _one_large if picture.width * picture.height > LARGE else nullcontext()


def _antialiased(rgb: Image.Image, size: Size) -> np.ndarray:
    height, width = sides(size)
    return np.array(rgb.resize((width, height), Image.Resampling.BILINEAR))


def _upright_rgb(picture: Picture, levels: str, profiles: str, shrink: int = 1) -> Image.Image:
    return _turned(_on_white(_converted(picture, levels, profiles, shrink)), picture)


def _turned(rgb: Image.Image, picture: Picture) -> Image.Image:
    turn = _TURNS.get(picture.orientation())
    return rgb if turn is None else rgb.transpose(turn)


def _converted(picture: Picture, levels: str, profiles: str, shrink: int) -> Image.Image:
    """8 bits in the colours of the recipe, of any mode."""
    return to_srgb(_eight(picture.load(shrink, levels != FULL), levels), picture.colours, profiles)


def _rgb(pixels: Pixels, levels: str) -> Image.Image:
    return _on_white(_eight(pixels, levels))


def _eight(pixels: Pixels, levels: str) -> Image.Image:
    if isinstance(pixels, Image.Image):
        return pixels
    eight = to_eight(pixels, levels)
    return Image.fromarray(eight[..., 0] if eight.shape[2] == 1 else eight)


def _is_transparent(pixels: Pixels) -> bool:
    if isinstance(pixels, np.ndarray):
        return pixels.shape[2] in (2, 4) and bool(pixels[..., -1].min() < 0xFFFF)
    if not pixels.has_transparency_data:
        return False
    alpha = pixels if pixels.mode in ("LA", "La", "RGBA", "RGBa") else pixels.convert("RGBA")
    lowest, _ = alpha.getchannel(alpha.getbands()[-1]).getextrema()
    return bool(lowest != 255)


def _on_white(pixels: Image.Image) -> Image.Image:
    if pixels.has_transparency_data:
        white = Image.new("RGBA", pixels.size, "white")
        whole = pixels.convert("LA") if pixels.mode == "La" else pixels  # multiplied by alpha, in a TIFF
        return Image.alpha_composite(white, whole.convert("RGBA")).convert("RGB")
    return pixels if pixels.mode == "RGB" else pixels.convert("RGB")
