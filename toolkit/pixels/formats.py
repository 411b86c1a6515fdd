"""What a file is, by its first bytes; which formats are read; what to do about the others.

A file's name decides nothing: photographs are saved under wrong suffixes and under none. Only a format without first
bytes of its own, such as TGA, is known by its suffix.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

from toolkit.errors import UnfreezeError
from toolkit.storage.safe_read import HEAD

SUFFIXES = {  # of files that are taken for pictures unseen -> the format that they name
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".jpg_large", ".mpo"), "JPEG"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    ".gif": "GIF",
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    ".webp": "WebP",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PNM"),
    **dict.fromkeys((".avif", ".avifs"), "AVIF"),
    **dict.fromkeys((".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"), "JPEG 2000"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    ".jxl": "JPEG XL",
}
EXTRA = {"HEIC": "pi_heif", "JPEG XL": "imagecodecs"}  # format -> the module of unfreeze[formats] that reads it
BUILT = {"AVIF": "avif", "JPEG 2000": "jpg_2000", "WebP": "webp"}  # format -> what Pillow's build must have
READ = frozenset(SUFFIXES.values())

_CONVERT = "convert it to JPEG or PNG"
_MAGIC = (  # name, offset, the bytes that stand there; the first that fits
    ("JPEG-LS", 0, b"\xff\xd8\xff\xf7"),
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"),
    ("GIF", 0, b"GIF8"),
    ("WebP", 8, b"WEBP"),
    ("camera raw (CR2)", 8, b"CR\x02"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("TIFF", 0, b"II+\0"),
    ("TIFF", 0, b"MM\0+"),
    ("JPEG 2000", 4, b"jP  "),
    ("JPEG 2000", 0, b"\xff\x4f\xff\x51"),
    ("JPEG XL", 4, b"JXL "),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("camera raw (CR3)", 4, b"ftypcrx"),
    ("camera raw (RAF)", 0, b"FUJIFILMCCD-RAW"),
    ("camera raw (ORF)", 0, b"IIRO"),
    ("camera raw (ORF)", 0, b"IIRS"),
    ("camera raw (RW2)", 0, b"IIU\0"),
    ("camera raw (X3F)", 0, b"FOVb"),
    ("camera raw (MRW)", 0, b"\0MRM"),
    ("Photoshop (PSD)", 0, b"8BPS"),
    ("GIMP (XCF)", 0, b"gimp xcf"),
    ("DICOM", 128, b"DICM"),
    ("OpenEXR", 0, b"\x76\x2f\x31\x01"),
    ("Radiance HDR", 0, b"#?RADIANCE"),
    ("Radiance HDR", 0, b"#?RGBE"),
    ("FITS", 0, b"SIMPLE  ="),
    ("JPEG XR", 0, b"II\xbc"),
    ("QOI", 0, b"qoif"),
    ("DDS", 0, b"DDS "),
    ("SGI", 0, b"\x01\xda\x00\x01"),
    ("SGI", 0, b"\x01\xda\x01\x01"),
    ("PFM", 0, b"PF\n"),
    ("PFM", 0, b"Pf\n"),
    ("Sun raster", 0, b"\x59\xa6\x6a\x95"),
)
# What is no picture but may stand under a picture's name; such files are not looked for.
_OTHER = (
    ("PDF", 0, b"%PDF"),
    ("EPS", 0, b"%!PS"),
    ("DjVu", 0, b"AT&TFORM"),
    ("video (AVI)", 8, b"AVI "),
    ("video (Matroska, WebM)", 0, b"\x1a\x45\xdf\xa3"),
    ("video (MPEG)", 0, b"\0\0\x01\xba"),
    ("video (MP4, MOV)", 4, b"moov"),
    ("video (MP4, MOV)", 4, b"mdat"),
    ("video (MP4, MOV)", 4, b"ftyp"),
)
_UNMARKED = {
    ".tga": "TGA",
    ".pcx": "PCX",
    ".icb": "TGA",
    ".vda": "TGA",
    ".im": "IFUNC IM",
    ".xbm": "XBM",
}  # suffixes of formats without first bytes
_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes; a text may begin with "BM", too
_PNM = re.compile(rb"P[1-6](\s+(#[^\n]*\n\s*)*\d+){2}\s")
_SVG = re.compile(rb"\s*(<\?xml.*?<svg|<!DOCTYPE svg|<svg)", re.DOTALL)


class UnreadError(UnfreezeError):
    """The format of a file is not read here."""

    def __init__(self, text: str, form: str) -> None:
        super().__init__(text)
        self.form = form  # as `content` names it


def content(head: bytes) -> str | None:
    """The format by the first `HEAD` bytes of a file, such as "JPEG" or "camera raw (CR2)"; None if they are not those
    of a picture, a document or a video."""
    return picture(head) or next((name for name, at, magic in _OTHER if head.startswith(magic, at)), None) or _svg(head)


def picture(head: bytes, suffix: str = "") -> str | None:
    """The format by the first bytes if it is one of pictures, read or not; else None."""
    if head[4:8] == b"ftyp" and (brand := _brand(head)):
        return brand
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if _PNM.match(head):
        return "PNM"
    return next((name for name, at, magic in _MAGIC if head.startswith(magic, at)), None) or _UNMARKED.get(suffix)


def refuse_unread(head: bytes) -> str | None:
    """`content`; raises UnreadError, with what to do, if files of that format are not read here."""
    form = content(head[:HEAD])
    if form and (why := unread(form)):
        raise UnreadError(why, form)
    return form


def refuse_unmarked(head: bytes, suffix: str) -> None:
    """Raises UnfreezeError, with what to do, if only the suffix tells the format of a file. `suffix`: in any case."""
    form = _UNMARKED.get(suffix.lower())
    if form and content(head[:HEAD]) is None:
        raise UnfreezeError(unread(form))


def unread(form: str) -> str:
    """Why files of this format are not read, and what to do; "" if they are."""
    if form in EXTRA and find_spec(EXTRA[form]) is None:
        return f"{form} is read only with the extra formats: pip install 'unfreeze[formats]', or {_CONVERT}"
    if form in BUILT and not _is_built(BUILT[form]):
        return f"{form} is not in this build of Pillow: install Pillow from PyPI, or {_CONVERT}"
    if form.startswith("video"):
        return f"{form} is not a picture: take single pictures out of it"
    return "" if form in READ else f"{form} is not supported: {_CONVERT}"


def unsupported(what: str) -> UnfreezeError:
    """The error for a kind of file, of a format that is read, which no decoder here knows."""
    return UnfreezeError(f"{what} is not supported: {_CONVERT}")


def _brand(head: bytes) -> str | None:
    """AVIF or HEIC by the brands of a file's first box."""
    brands = head[8 : max(12, min(len(head), int.from_bytes(head[:4], "big")))]
    if any(brand in brands for brand in (b"avif", b"avis")):
        return "AVIF"
    return "HEIC" if any(brands.startswith(brand) for brand in _HEIC) else None


def _svg(head: bytes) -> str | None:
    return "SVG" if _SVG.match(head) else None


def _is_built(feature: str) -> bool:
    """Whether Pillow was built with it."""
    from PIL import features  # not at import: what only names formats stays light

    return bool(features.check(feature))
