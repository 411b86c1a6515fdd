"""Pictures that are computed, not photographed: what the starter backbone is pre-trained on.

A class is a glyph, a shape, a stroke or a texture; a picture shows one of a class in random pose, colour, clutter,
light and blur. No digit is among the glyphs: the digits of `unfreeze demo` are new to the starter. Glyphs are drawn
from the fonts that matplotlib carries. Everything drawn comes from the generator that is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.textpath import TextPath

GLYPHS = "ABCDEFGHJKLMNPQRSTUVWXYZabdefghijkmnqrtyΓΔΘΛΞΠΣΦΨΩαβγδεζηλμξπσφψω&@#?!§<*%"
FONTS = (
    *(f"DejaVu{face}.ttf" for face in ("Sans", "Sans-Bold", "Sans-Oblique", "SansMono", "SansMono-Bold")),
    *(f"DejaVu{face}.ttf" for face in ("Serif", "Serif-Bold", "Serif-Italic", "SansMono-Oblique")),
    *(f"STIX{face}.ttf" for face in ("General", "GeneralBol", "GeneralItalic", "GeneralBolIta")),
    *(f"{face}.ttf" for face in ("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10")),
)
FINE = 4  # bits of a pixel's fraction that OpenCV is given
Lines = list[np.ndarray]  # each float32 [P, 2], x and y in -1..1, y downwards


def picture(number: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 [size, size, 3]: one picture of class `number` of CLASSES."""
    name = CLASSES[number]
    scene = _textured(TEXTURES[name], size, rng) if name in TEXTURES else _drawn(name, size, rng)
    return _photographed(scene, rng)


# Scenes: float32 [S, S, 3], 0..255


def _drawn(name: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """A glyph, a shape or a stroke before a background."""
    low, high = _two_colours(rng)
    scene = _background(low, size, rng)
    if rng.random() < 0.5:
        _clutter(scene, low, high, rng)
    mask = _mask(name, size, rng)[..., None]
    ink: np.ndarray = np.broadcast_to(high, scene.shape).astype(np.float32)
    if rng.random() < 0.3:
        other = high + rng.normal(0, 25, 3)
        ink = _mixed(_any_field(size, rng), high, other)
    return scene * (1 - mask) + ink * mask


def _textured(texture: Callable, size: int, rng: np.random.Generator) -> np.ndarray:
    """A texture that fills the frame, between two colours."""
    x, y = _plane(size, rng)
    first, second = _two_colours(rng)
    return _mixed(texture(x, y, rng), first, second)


def _mixed(field: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    share = np.clip(field, 0, 1)[..., None].astype(np.float32)
    return (first * (1 - share) + second * share).astype(np.float32)


def _background(colour: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.4:
        return np.full((size, size, 3), colour, np.float32)
    return _mixed(_any_field(size, rng), colour, colour + rng.normal(0, 22, 3))


def _any_field(size: int, rng: np.random.Generator) -> np.ndarray:
    name = rng.choice(list(TEXTURES))
    return TEXTURES[str(name)](*_plane(size, rng), rng)


def _clutter(scene: np.ndarray, low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> None:
    """Thin lines and specks, paler than what the picture is about."""
    size = len(scene)
    for _ in range(rng.integers(1, 7)):
        colour = tuple((low + (high - low) * rng.uniform(0.15, 0.6)).tolist())
        ends = rng.integers(0, size, 4).tolist()
        if rng.random() < 0.6:
            cv2.line(scene, ends[:2], ends[2:], colour, 1, cv2.LINE_AA)
        else:
            cv2.circle(scene, ends[:2], int(rng.integers(1, max(2, size // 20))), colour, -1, cv2.LINE_AA)


def _two_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two colours that differ in brightness by 60 levels or more; a third of the pairs are grey."""
    while True:
        pair = rng.uniform(0, 255, (2, 3))
        if rng.random() < 0.35:
            pair[:] = pair[:, :1]
        if abs(pair[0].mean() - pair[1].mean()) >= 60:
            return pair[0].astype(np.float32), pair[1].astype(np.float32)


def _photographed(scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light, blur, loss of resolution, noise."""
    size = len(scene)
    if rng.random() < 0.5:
        x, y = np.meshgrid(*[np.linspace(-1, 1, size, dtype=np.float32)] * 2)
        a, b = rng.uniform(-0.35, 0.35, 2)
        scene = scene * (1 + a * x + b * y)[..., None]
    if rng.random() < 0.35:
        scene = cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.4, 1.8))
    if rng.random() < 0.25:
        small = int(rng.integers(10, 48))
        down = cv2.resize(scene, (small, small), interpolation=cv2.INTER_AREA)
        how = cv2.INTER_NEAREST if rng.random() < 0.2 else cv2.INTER_LINEAR
        scene = cv2.resize(down, (size, size), interpolation=how)
    if rng.random() < 0.4:
        scene = scene + rng.normal(0, rng.uniform(2, 18), scene.shape).astype(np.float32)
    return np.rint(np.clip(scene, 0, 255)).astype(np.uint8)


# Poses


def _pose(rng: np.random.Generator, least: float = 0.45, most: float = 0.95) -> np.ndarray:
    """float64 [3, 3]: a homography of the square -1..1: turn, size, aspect, shear, perspective, shift."""
    turn, scale = np.deg2rad(rng.normal(0, 12)), rng.uniform(least, most)
    aspect, shear = np.exp(rng.normal(0, 0.12)), rng.normal(0, 0.12)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    pose = np.eye(3)
    pose[:2, :2] = scale * rotation @ np.array([[aspect, shear], [0, 1 / aspect]])
    pose[2, :2] = rng.normal(0, 0.08, 2)
    pose[:2, 2] = rng.uniform(-1, 1, 2) * (1 - scale) * 0.8
    return pose


def _moved(points: np.ndarray, pose: np.ndarray, bend: Callable) -> np.ndarray:
    moved = np.c_[bend(points), np.ones(len(points))] @ pose.T
    return moved[:, :2] / np.maximum(moved[:, 2:], 0.3)


def _bend(rng: np.random.Generator) -> Callable:
    """A gentle wave across the plane, as a hand or a curled page makes."""
    strength, frequency, phase = rng.uniform(0, 0.12), rng.uniform(1, 3, 2), rng.uniform(0, 7, 2)
    return lambda points: points + strength * np.sin(frequency * points[:, ::-1] + phase)


def _plane(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """float64 [S, S] twice: coordinates of a plane seen from somewhere, about -1..1."""
    axis = np.linspace(-1, 1, size)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    pose = _pose(rng, 0.7, 1.4) @ _turned(rng.uniform(0, 2 * np.pi))
    x, y = _moved(points, pose, _bend(rng)).T.reshape(2, size, size)
    return x, y


def _turned(angle: float) -> np.ndarray:
    turned = np.eye(3)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turned


# Glyphs, shapes and strokes: lines in the square -1..1


def _mask(name: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [S, S], 0..1: where the ink is."""
    stroke = name in STROKES
    lines = STROKES[name](rng) if stroke else SHAPES[name](rng) if name in SHAPES else _glyph(name, rng)
    pose, bend = _pose(rng), _bend(rng)
    pixels = [np.rint((_moved(line, pose, bend) + 1) / 2 * size * 2**FINE).astype(np.int32) for line in lines]
    mask = np.zeros((size, size), np.uint8)
    thick = max(1, round(size * rng.uniform(0.015, 0.06)))
    if stroke:
        cv2.polylines(mask, pixels, False, 255, thick, cv2.LINE_AA, FINE)
    elif rng.random() < 0.2:
        cv2.polylines(mask, pixels, True, 255, max(1, thick // 2), cv2.LINE_AA, FINE)
    else:
        cv2.fillPoly(mask, pixels, 255, cv2.LINE_AA, FINE)
        if rng.random() < 0.25:
            mask = cv2.dilate(mask, np.ones((2, 2), np.uint8), iterations=int(rng.integers(1, 3)))
    return mask.astype(np.float32) / 255


def _glyph(character: str, rng: np.random.Generator) -> Lines:
    font = rng.choice(_fonts(character))
    return _contours(character, str(font))


@cache
def _fonts(character: str) -> list[str]:
    """The paths of the fonts that have the character."""
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    paths = [str(folder / name) for name in FONTS]
    return [path for path in paths if FT2Font(path).get_char_index(ord(character))]


@cache
def _contours(character: str, font: str) -> Lines:
    path = TextPath((0, 0), character, size=1, prop=FontProperties(fname=font))
    contours = [np.array(contour) for contour in path.to_polygons()]
    low, high = np.min([c.min(0) for c in contours], axis=0), np.max([c.max(0) for c in contours], axis=0)
    return [(contour - (low + high) / 2) / (high - low).max() * [2, -2] for contour in contours]


def _polygon(corners: int, turn: float = 0.0) -> np.ndarray:
    angles = np.arange(corners) / corners * 2 * np.pi - np.pi / 2 + turn
    return np.c_[np.cos(angles), np.sin(angles)]


def _star(corners: int, inner: float) -> Lines:
    points = _polygon(2 * corners)
    points[1::2] *= inner
    return [points]


def _ellipse(width: float, height: float) -> np.ndarray:
    return _polygon(48) * [width, height]


def _corners(*points: float) -> Lines:
    return [np.array(points).reshape(-1, 2)]


def _polar(radius: Callable, count: int = 96) -> Lines:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return [np.c_[radius(angle) * np.sin(angle), -radius(angle) * np.cos(angle)]]


def _heart(rng: np.random.Generator) -> Lines:
    t = np.linspace(0, 2 * np.pi, 64)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [np.c_[16 * np.sin(t) ** 3, -y] / 17]


def _crescent(rng: np.random.Generator) -> Lines:
    outer, depth = _ellipse(1, 1)[:25], rng.uniform(0.3, 0.7)
    return [np.r_[outer, (outer * [depth, 1])[::-1]]]


SHAPES: dict[str, Callable[[np.random.Generator], Lines]] = {
    "disc": lambda rng: [_ellipse(1, 1)],
    "flat ellipse": lambda rng: [_ellipse(1, rng.uniform(0.3, 0.5))],
    "ring": lambda rng: [_ellipse(1, 1), _ellipse(*[rng.uniform(0.4, 0.75)] * 2)],
    "triangle": lambda rng: [_polygon(3)],
    "right triangle": lambda rng: _corners(-1, -1, -1, 1, 1, 1),
    "square": lambda rng: _corners(-0.9, -0.9, 0.9, -0.9, 0.9, 0.9, -0.9, 0.9),
    "bar": lambda rng: _corners(-1, -0.3, 1, -0.3, 1, 0.3, -1, 0.3),
    "pentagon": lambda rng: [_polygon(5)],
    "frame": lambda rng: [*_corners(-1, -1, 1, -1, 1, 1, -1, 1), rng.uniform(0.5, 0.8) * _polygon(4, np.pi / 4) * 1.4],
    "four-pointed star": lambda rng: _star(4, rng.uniform(0.25, 0.45)),
    "five-pointed star": lambda rng: _star(5, rng.uniform(0.3, 0.5)),
    "eight-pointed star": lambda rng: _star(8, rng.uniform(0.45, 0.65)),
    "cross": lambda rng: [_cross(rng.uniform(0.2, 0.45))],
    "arrow": lambda rng: _corners(0, -1, 0.7, -0.1, 0.25, -0.1, 0.25, 1, -0.25, 1, -0.25, -0.1, -0.7, -0.1),
    "heart": _heart,
    "crescent": _crescent,
    "half disc": lambda rng: [_ellipse(1, 1)[:25] - [0.5, 0]],
    "pie": lambda rng: [np.r_[[[0, 0]], _ellipse(1, 1)[: rng.integers(30, 42)]]],
    "trapezium": lambda rng: _corners(-0.5, -0.7, 0.5, -0.7, 1, 0.7, -1, 0.7),
    "drop": lambda rng: _polar(lambda a: (1 + np.abs(np.cos(a / 2)) ** 6 * 0.9) / 1.9 + 0.1),
    "gear": lambda rng: _polar(lambda a: 0.85 + 0.15 * np.sign(np.sin(a * 9))),
    "flower": lambda rng: _polar(lambda a: 0.7 + 0.3 * np.cos(a * 5)),
    "house": lambda rng: _corners(0, -1, 1, -0.2, 0.75, -0.2, 0.75, 1, -0.75, 1, -0.75, -0.2, -1, -0.2),
    "lens": lambda rng: [_lens()],
    "bolt": lambda rng: _corners(0.3, -1, -0.6, 0.15, -0.05, 0.15, -0.3, 1, 0.6, -0.25, 0.05, -0.25),
    "parallelogram": lambda rng: _corners(-0.4, -0.6, 1, -0.6, 0.4, 0.6, -1, 0.6),
}


def _cross(arm: float) -> np.ndarray:
    a = arm
    return np.array(
        [[-a, -1], [a, -1], [a, -a], [1, -a], [1, a], [a, a], [a, 1], [-a, 1], [-a, a], [-1, a], [-1, -a], [-a, -a]]
    )


def _lens() -> np.ndarray:
    angle = np.linspace(-np.pi / 3, np.pi / 3, 24)
    right = np.c_[np.cos(angle) - 0.5, np.sin(angle) / np.sin(np.pi / 3)]
    return np.r_[right, right[::-1] * [-1, 1]]


def _path(x: Callable, y: Callable, turns: float = 1.0, count: int = 80) -> Lines:
    t = np.linspace(0, 2 * np.pi * turns, count)
    return [np.c_[x(t), y(t)]]


def _scribble(rng: np.random.Generator) -> Lines:
    t = np.linspace(0, 1, 80)[:, None]
    waves = sum(np.sin(2 * np.pi * (k * t + rng.uniform(0, 1, 2))) / k**0.7 for k in range(1, 5))
    return [waves / np.abs(waves).max()]


def _branches(rng: np.random.Generator) -> Lines:
    trunk = _corners(0, 1, 0, -0.9)
    twigs = [
        np.array([[0, y], [side * rng.uniform(0.5, 0.9), y - rng.uniform(0.3, 0.6)]])
        for y in (0.6, 0.1, -0.4)
        for side in (-1, 1)
    ]
    return trunk + twigs


def _square_spiral(rng: np.random.Generator) -> Lines:
    radius = np.repeat(np.linspace(1, 0.15, 7), 2)[:12]
    steps = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return [np.array([steps[n % 4] * radius[n] for n in range(12)])]


STROKES: dict[str, Callable[[np.random.Generator], Lines]] = {
    "line": lambda rng: _corners(-1, rng.uniform(-1, 1), 1, rng.uniform(-1, 1)),
    "double line": lambda rng: _corners(-1, -0.3, 1, -0.3) + _corners(-1, 0.3, 1, 0.3),
    "arc": lambda rng: _path(lambda t: np.cos(t), lambda t: np.sin(t), rng.uniform(0.3, 0.6)),
    "zigzag": lambda rng: [np.c_[np.linspace(-1, 1, 7), 0.5 * (-1.0) ** np.arange(7)]],
    "wave": lambda rng: [np.c_[np.linspace(-1, 1, 80), 0.4 * np.sin(np.linspace(0, rng.uniform(12, 20), 80))]],
    "spiral": lambda rng: _path(lambda t: t * np.cos(t) / 19, lambda t: t * np.sin(t) / 19, 3),
    "square spiral": _square_spiral,
    "knot": lambda rng: _path(lambda t: np.sin(2 * t), lambda t: np.sin(3 * t + 0.6)),
    "rosette": lambda rng: _path(lambda t: np.cos(3 * t) * np.cos(t), lambda t: np.cos(3 * t) * np.sin(t)),
    "scribble": _scribble,
    "branches": _branches,
    "hook": lambda rng: [np.r_[[[0.4, -1.0]], _ellipse(0.4, 0.4)[12:38] + np.array([0, 0.5])]],
    "comb": lambda rng: _corners(-1, -0.6, 1, -0.6) + [np.array([[x, -0.6], [x, 0.7]]) for x in np.linspace(-1, 1, 5)],
    "ladder": lambda rng: [
        *_corners(-0.4, -1, -0.4, 1),
        *_corners(0.4, -1, 0.4, 1),
        *(np.array([[-0.4, y], [0.4, y]]) for y in np.linspace(-0.8, 0.8, 5)),
    ],
    "grid": lambda rng: [
        *(np.array([[v, -1.0], [v, 1.0]]) for v in np.linspace(-1, 1, 4)),
        *(np.array([[-1.0, v], [1.0, v]]) for v in np.linspace(-1, 1, 4)),
    ],
    "rays": lambda rng: [np.array([0.25 * point, point]) for point in _polygon(int(rng.integers(7, 12)))],
    "beads": lambda rng: [_closed(_ellipse(0.24, 0.24) + np.array([x, 0])) for x in (-0.75, -0.25, 0.25, 0.75)],
    "dashes": lambda rng: [np.array([[x, 0], [x + 0.25, 0]]) for x in np.linspace(-1, 0.75, 5)],
}


def _closed(points: np.ndarray) -> np.ndarray:
    return np.r_[points, points[:1]]


# Textures: (x, y, rng) -> float [S, S], 0..1


def _wave(values: np.ndarray) -> np.ndarray:
    return (np.sin(values) + 1) / 2


def _spectral(size: int, slope: float, rng: np.random.Generator, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Noise whose amplitude falls with frequency to the power of `slope`, between two shares of the highest one."""
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = 1
    band = (frequency > low / 2) & (frequency < high / 2)
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(size, size))) * frequency**-slope * band, (size, size))
    return np.clip(noise / (noise.std() * 4 + 1e-9) + 0.5, 0, 1)


def _cells(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances to the nearest and second nearest of scattered points, and a grey of the nearest one's own."""
    count = int(rng.integers(12, 40))
    points, greys = rng.uniform(-1.5, 1.5, (count, 2)), rng.random(count)
    distances = np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1])
    nearest = np.partition(distances, 1, axis=-1)
    return nearest[..., 0], nearest[..., 1], greys[distances.argmin(-1)]


def _lattice(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, shift: float) -> np.ndarray:
    pitch = rng.uniform(3, 7)
    row = np.floor(y * pitch)
    u, v = (x * pitch + shift * (row % 2)) % 1 - 0.5, (y * pitch) % 1 - 0.5
    return np.clip((rng.uniform(0.2, 0.4) - np.hypot(u, v)) * 8 + 0.5, 0, 1)


def _bricks(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pitch = rng.uniform(2.5, 6)
    row = np.floor(y * pitch * 2)
    u, v = (x * pitch + 0.5 * (row % 2)) % 1, (y * pitch * 2) % 1
    return np.where((u < 0.08) | (v < 0.16), 0.0, 0.8 + 0.2 * np.sin(np.floor(x * pitch) * 7 + row * 3))


def _scales(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pitch = rng.uniform(3, 6)
    row = np.floor(y * pitch)
    u, v = (x * pitch + 0.5 * (row % 2)) % 1 - 0.5, (y * pitch) % 1
    return np.clip(np.hypot(u, v) * 1.1, 0, 1)


def _weave(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pitch = rng.uniform(3, 7)
    over = (np.floor(x * pitch) + np.floor(y * pitch)) % 2 > 0
    return np.where(over, np.abs(np.sin(np.pi * x * pitch)), 0.6 * np.abs(np.sin(np.pi * y * pitch)))


def _herringbone(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pitch = rng.uniform(2, 4)
    up = np.floor(x * pitch) % 2 * 2 - 1
    return ((y * pitch * 3 + up * x * pitch * 3) % 1 > 0.4).astype(float)


def _hexagons(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    k = rng.uniform(10, 22)
    angles = np.arange(3) * np.pi / 3
    total = sum(np.cos(k * (x * np.cos(a) + y * np.sin(a))) for a in angles)
    return np.clip(total / 2 + 0.5, 0, 1)


def _julia(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    c = 0.7885 * np.exp(1j * angle)
    z, count = 1.3 * (x + 1j * y), np.zeros(x.shape)
    for _ in range(24):
        inside = np.abs(z) < 4
        z = np.where(inside, z * z + c, z)
        count += inside
    return count / 24


def _sierpinski(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    u, v = (np.abs(x) * 32).astype(int), (np.abs(y) * 32).astype(int)
    return ((u & v) == 0).astype(float)


def _strewn(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, draw: Callable) -> np.ndarray:
    size = len(x)
    field = np.zeros((size, size), np.float32)
    for _ in range(rng.integers(15, 45)):
        draw(field, rng.integers(0, size, 2), rng)
    return field


def _lines_drawn(field: np.ndarray, at: np.ndarray, rng: np.random.Generator) -> None:
    cv2.line(field, at.tolist(), rng.integers(0, len(field), 2).tolist(), rng.uniform(0.3, 1), 1, cv2.LINE_AA)


def _square_drawn(field: np.ndarray, at: np.ndarray, rng: np.random.Generator) -> None:
    box = cv2.boxPoints((at.tolist(), rng.uniform(3, 12, 2).tolist(), rng.uniform(0, 90)))
    cv2.fillPoly(field, [np.rint(box).astype(np.int32)], rng.uniform(0.3, 1), cv2.LINE_AA)


def _bubble_drawn(field: np.ndarray, at: np.ndarray, rng: np.random.Generator) -> None:
    cv2.circle(field, at.tolist(), int(rng.integers(3, 12)), rng.uniform(0.4, 1), 1, cv2.LINE_AA)


def _angle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.arctan2(y, x)


Texture = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
TEXTURES: dict[str, Texture] = {
    "sine grating": lambda x, y, rng: _wave(x * rng.uniform(12, 45)),
    "square grating": lambda x, y, rng: (_wave(x * rng.uniform(12, 40)) > rng.uniform(0.3, 0.7)).astype(float),
    "fine lines": lambda x, y, rng: (_wave(x * rng.uniform(12, 35)) > 0.93).astype(float),
    "checkerboard": lambda x, y, rng: (np.floor(x * (k := rng.uniform(2.5, 7))) + np.floor(y * k)) % 2,
    "dots": lambda x, y, rng: _lattice(x, y, rng, 0.0),
    "staggered dots": lambda x, y, rng: _lattice(x, y, rng, 0.5),
    "bricks": _bricks,
    "rings": lambda x, y, rng: _wave(np.hypot(x, y) * rng.uniform(15, 40)),
    "spokes": lambda x, y, rng: _wave(_angle(x, y) * int(rng.integers(6, 18))),
    "vortex": lambda x, y, rng: _wave(
        _angle(x, y) * int(rng.integers(2, 6)) + np.hypot(x, y) * rng.choice([-1, 1]) * rng.uniform(8, 20)
    ),
    "plaid": lambda x, y, rng: (_wave(x * (k := rng.uniform(10, 25))) + _wave(y * k)) / 2,
    "moire": lambda x, y, rng: _wave(x * (k := rng.uniform(25, 45))) * _wave((x * 0.97 + y * 0.24) * k),
    "white noise": lambda x, y, rng: _spectral(len(x), 0, rng),
    "pink noise": lambda x, y, rng: _spectral(len(x), 1, rng),
    "brown noise": lambda x, y, rng: _spectral(len(x), 2, rng),
    "blotches": lambda x, y, rng: (_spectral(len(x), 0, rng, 0.03, 0.16) > 0.5).astype(float),
    "labyrinth": lambda x, y, rng: (_spectral(len(x), 0, rng, 0.17, 0.23) > 0.5).astype(float),
    "contour lines": lambda x, y, rng: (_wave(_spectral(len(x), 2, rng) * rng.uniform(25, 60)) > 0.85).astype(float),
    "marble": lambda x, y, rng: _wave(x * rng.uniform(6, 14) + 9 * _spectral(len(x), 1.6, rng)),
    "wood": lambda x, y, rng: _wave(np.hypot(x, y / 4) * rng.uniform(25, 50) + 4 * _spectral(len(x), 1.8, rng)),
    "streaks": lambda x, y, rng: _wave(x * rng.uniform(20, 40) + 5 * np.sin(y * rng.uniform(1, 4)) + np.sin(9 * x)),
    "mosaic": lambda x, y, rng: _cells(x, y, rng)[2],
    "cracks": lambda x, y, rng: (np.subtract(*_cells(x, y, rng)[1::-1]) < 0.06).astype(float),
    "cells": lambda x, y, rng: np.clip(_cells(x, y, rng)[0] * 2.2, 0, 1),
    "scales": _scales,
    "weave": _weave,
    "herringbone": _herringbone,
    "chevrons": lambda x, y, rng: (
        (y * rng.uniform(4, 9) + np.abs((x * rng.uniform(2, 4)) % 2 - 1) * 2) % 1 > 0.5
    ).astype(float),
    "hexagons": _hexagons,
    "triangles": lambda x, y, rng: ((x * (k := rng.uniform(3, 6))) % 1 > (y * k) % 1).astype(float),
    "julia set": _julia,
    "sierpinski": _sierpinski,
    "linear gradient": lambda x, y, rng: x / 2 + 0.5,
    "radial gradient": lambda x, y, rng: np.hypot(x, y),
    "conic gradient": lambda x, y, rng: _angle(x, y) / (2 * np.pi) + 0.5,
    "scratches": lambda x, y, rng: _strewn(x, y, rng, _lines_drawn),
    "confetti": lambda x, y, rng: _strewn(x, y, rng, _square_drawn),
    "bubbles": lambda x, y, rng: _strewn(x, y, rng, _bubble_drawn),
}
CLASSES: tuple[str, ...] = (*GLYPHS, *SHAPES, *STROKES, *TEXTURES)
