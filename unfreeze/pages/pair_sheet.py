"""A picture of the copies in DATA: each pair side by side, with names, classes and parts."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from toolkit.data.image_set import ImageSet, read_unchanged
from toolkit.data.together import near_duplicates
from toolkit.errors import UnfreezeError, one_line
from toolkit.evaluation.plots import save
from toolkit.pixels.decode import decode_whole

MOST = 40  # pairs that are drawn
SIDE = 240  # pixels of a picture's longer side
LONGEST = 34  # letters of a name


def check_sheet(path: Path) -> None:
    """Raises UnfreezeError if the name is not that of a picture that can be written."""
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise UnfreezeError(one_line(f"--sheet is {path}; give a name that ends in .png, .pdf or .svg"))


def draw_pairs(images: ImageSet, path: Path) -> int:
    """Write the picture. Returns how many pairs are in it; without any, nothing is written."""
    pairs = copies(images)[:MOST]
    if pairs:
        lines = (len(pairs) + 1) // 2
        figure = Figure(figsize=(13, 3.1 * lines), layout="constrained")
        grid = figure.subplots(lines, 4, squeeze=False).ravel()
        for axes in grid:
            axes.axis("off")
        for number, pair in enumerate(pairs):
            for side, row in enumerate(pair):
                _draw(grid[2 * number + side], images, row)
        save(figure, path)
    return len(pairs)


def copies(images: ImageSet) -> list[tuple[int, int]]:
    """Pairs of rows: the first of each set of copies with each other one. Those in two parts come first."""
    row = {path: number for number, path in reversed([*enumerate(images.paths)])}
    sets = [*near_duplicates(images), *images.duplicates()]
    pairs = dict.fromkeys((row[paths[0]], row[other]) for paths in sets for other in paths[1:])
    return sorted(pairs, key=lambda pair: images.parts[pair[0]] == images.parts[pair[1]])


def _draw(axes: Axes, images: ImageSet, row: int) -> None:
    data = read_unchanged(images, row)
    picture = Image.fromarray(decode_whole(data, levels=images.levels, profiles=images.profiles))
    picture.thumbnail((SIDE, SIDE))
    axes.imshow(picture, interpolation="nearest")
    width, height = images.sizes[row]
    where = f"{images.class_names[images.labels[row]]}, {images.parts[row] or 'no part'}, {width} x {height}"
    axes.set_title(f"{_short(images.paths[row])}\n{_short(where)}", fontsize=8, parse_math=False)


def _short(name: str) -> str:
    told = one_line(name)
    return told if len(told) <= LONGEST else f"{told[:8]}…{told[-LONGEST + 9 :]}"
