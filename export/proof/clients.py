"""Ways in which apps turn image files into pixels, each as the library does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image

from toolkit.pixels.colour import PROFILES, SRGB
from toolkit.pixels.colours_told import GAMMA, PROFILE
from toolkit.pixels.grey import to_grey
from toolkit.pixels.resize import resize

Whole = Callable[..., np.ndarray]  # `decode_whole` of one file, which takes its options
TRANSPARENCY = "transparency"
CONCERNS = {  # what a client may differ in that only some files have -> its name
    PROFILE: "a colour profile other than sRGB",
    GAMMA: "a PNG gamma other than that of sRGB",
    TRANSPARENCY: "transparent pixels",
}


@dataclass(frozen=True)
class Client:
    """One way in which an app turns an image file into pixels."""

    name: str
    # (upright RGB [H, W, 3], how the file is decoded, S) -> uint8 [S, S, 3], or [S, S, 1] for a model that takes grey
    pixels: Callable[[np.ndarray, Whole, int], np.ndarray]
    concerns: str = ""  # one of CONCERNS: the pixels of files without it are made as in training


def _pillow(method: Image.Resampling) -> Callable[[np.ndarray, Whole, int], np.ndarray]:
    return lambda rgb, _, size: np.asarray(Image.fromarray(rgb).resize((size, size), method))


def _opencv(method: int) -> Callable[[np.ndarray, Whole, int], np.ndarray]:
    return lambda rgb, _, size: cv2.resize(rgb, (size, size), interpolation=method)


def _halved(rgb: np.ndarray, size: int) -> np.ndarray:
    """The image, halved by 2 x 2 averages until its shorter side is below twice `size`."""
    while min(rgb.shape[:2]) >= 2 * size:
        rgb = cv2.resize(rgb, (rgb.shape[1] // 2, rgb.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return rgb


def _cropped(rgb: np.ndarray) -> np.ndarray:
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    return rgb[top : top + side, left : left + side]


def _letterboxed(rgb: np.ndarray) -> np.ndarray:
    side = max(rgb.shape[:2])
    box = np.zeros((side, side, 3), np.uint8)
    top, left = (side - rgb.shape[0]) // 2, (side - rgb.shape[1]) // 2
    box[top : top + rgb.shape[0], left : left + rgb.shape[1]] = rgb
    return box


TRAINED = Client("bilinear, no antialias: as trained, tf.image.resize, GPUs", lambda rgb, _, size: resize(rgb, size))
CLIENTS = (
    TRAINED,
    Client("OpenCV INTER_LINEAR, browser canvas at its default", _opencv(cv2.INTER_LINEAR)),
    Client(
        "browser canvas, high quality (approximation)",
        lambda rgb, _, size: _opencv(cv2.INTER_LINEAR)(_halved(rgb, size), _, size),
    ),
    Client("Pillow BILINEAR, tf.image.resize(antialias=True)", _pillow(Image.Resampling.BILINEAR)),
    Client("Pillow's resize() as it is: bicubic", _pillow(Image.Resampling.BICUBIC)),
    Client("OpenCV INTER_AREA", _opencv(cv2.INTER_AREA)),
    Client(
        "bilinear without half-pixel centers: MediaPipe Tasks", lambda rgb, _, size: resize(rgb, size, centers=False)
    ),
    Client("nearest: keras.utils.load_img", _pillow(Image.Resampling.NEAREST)),
    Client("JPEG decoded at half size: Android inSampleSize=2", lambda _, whole, size: resize(whole(shrink=2), size)),
    Client("centre crop instead of stretching", lambda rgb, _, size: resize(_cropped(rgb), size)),
    Client("letterbox instead of stretching", lambda rgb, _, size: resize(_letterboxed(rgb), size)),
    Client("EXIF orientation of these files ignored", lambda _, whole, size: resize(whole(upright=False), size)),
    Client(
        "every image on its side: a phone's photographs, EXIF ignored", lambda rgb, _, size: resize(np.rot90(rgb), size)
    ),
    Client("BGR instead of RGB", lambda rgb, _, size: resize(rgb, size)[..., ::-1]),
    Client("floats 0 to 1 instead of 0 to 255", lambda rgb, _, size: (resize(rgb, size) / 255).astype(np.uint8)),
)
LUMA_709 = np.array([[0.2126], [0.7152], [0.0722]])


def _then_grey(client: Client) -> Client:
    """The client that makes grey of these pixels as training did."""
    return replace(client, pixels=lambda rgb, whole, size: to_grey(client.pixels(rgb, whole, size)))


def _weighted(weights: np.ndarray) -> Callable[[np.ndarray, Whole, int], np.ndarray]:
    return lambda rgb, _, size: np.rint(resize(rgb, size) @ weights).astype(np.uint8)


GREY_CLIENTS = (
    *map(_then_grey, CLIENTS),
    Client("mean of red, green and blue instead of the luma", _weighted(np.full((3, 1), 1 / 3))),
    Client("luma of ITU-R 709 instead of 601", _weighted(LUMA_709)),
)


def clients_of(channels: int, profiles: str) -> tuple[Client, ...]:
    """The clients for a model that takes 3 channels, or 1, and colours by `profiles`."""
    told = _file_clients(profiles)
    return (*CLIENTS, *told) if channels == 3 else (*GREY_CLIENTS, *map(_then_grey, told))


def absent(names: Iterable[str]) -> list[str]:
    """What of `CONCERNS` no test image has, by the names of the clients that were measured."""
    clients = [each for profiles in PROFILES for each in _file_clients(profiles)]
    measured = {each.concerns for name in names for each in clients if name.startswith(each.name)}
    return [what for concern, what in CONCERNS.items() if concern not in measured]


def _file_clients(profiles: str) -> tuple[Client, ...]:
    """Clients that differ only where a file says something of its colours, or is transparent."""
    profile, gamma = (
        ("colour profiles ignored: OpenCV, Pillow", "PNG gamma ignored: OpenCV, Pillow")
        if profiles == SRGB
        else ("colour profiles applied: browsers, phones", "PNG gamma applied: browsers")
    )
    by_profile, by_gamma = (GAMMA, PROFILE) if profiles == SRGB else (PROFILE, GAMMA)
    return (
        Client(profile, lambda _, whole, size: resize(whole(profiles=by_profile), size), PROFILE),
        Client(gamma, lambda _, whole, size: resize(whole(profiles=by_gamma), size), GAMMA),
        Client(
            "transparency dropped: OpenCV's imread",
            lambda _, whole, size: resize(whole(composited=False), size),
            TRANSPARENCY,
        ),
    )
