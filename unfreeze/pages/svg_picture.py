"""matplotlib figures as SVG elements of a page. Text stays text, and the colours are those of the page.

A figure is drawn in marker colours, which become the page's CSS variables, so that one picture reads in light and in
dark. Every picture has an alternative text that says what it shows.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from toolkit.evaluation.plots import TRAIN, VAL

INK, SOFT = "#010203", "#040506"  # text and lines, gridlines
VARIABLES = {INK: "--ink-2", SOFT: "--line", TRAIN: "--grey", VAL: "--accent", "#000000": "--ink-2", "black": "--ink-2"}
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "unfreeze",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "grid.color": SOFT,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
}


@dataclass(frozen=True)
class Picture:
    """An SVG element, with a text that says what it shows."""

    svg: str
    alternative: str
    caption: str = ""
    width: int = 0  # pixels, as drawn


def picture(
    draw: Callable[[], Figure], alternative: str, caption: str = "", hints: Mapping[str, str] = MappingProxyType({})
) -> Picture:
    """Call `draw` with STYLE switched on, and write its figure as SVG. `hints`: the `gid` of an artist -> a text that a
    browser shows while the pointer is on it."""
    stream = io.StringIO()
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the page's font draws the text, not matplotlib's
        figure = draw()
        figure.savefig(stream, format="svg", bbox_inches="tight", pad_inches=0.06, metadata={"Date": None})
    text = stream.getvalue()
    for gid, hint in hints.items():
        text = text.replace(f'<g id="{gid}">', f'<g id="{gid}"><title>{escape(hint)}</title>', 1)
    svg, width = _embedded(text, alternative)
    return Picture(svg, alternative, caption, width)


def _embedded(text: str, alternative: str) -> tuple[str, int]:
    """(the svg element of a file with the page's colours and font and a text alternative, its width in pixels). Its
    identifiers get a prefix, so that pictures on one page do not share any."""
    body = text[text.index("<svg") :]
    opening, rest = body.split(">", 1)
    box = re.search(r'viewBox="([^"]*)"', opening)
    width = round(float(box[1].split()[2]) * 4 / 3) if box else 0  # points to pixels
    rest = re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    prefix = f"p{hashlib.sha256(body.encode()).hexdigest()[:8]}-"  # identifiers must be unique on a page
    rest = re.sub(r'\bid="', f'id="{prefix}', rest)
    rest = re.sub(r'(href="|url\()#', rf"\1#{prefix}", rest)
    for colour, variable in VARIABLES.items():
        rest = re.sub(rf"((?:fill|stroke): ){colour}\b", rf"\1var({variable})", rest)
    rest = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", rest)
    rest = re.sub(r"<text style=\"(?![^\"]*fill)", r'<text style="fill: var(--ink-2); ', rest)
    view = f'viewBox="{box[1]}"' if box else ""
    label = escape(alternative, quote=True)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view} '
    return f'{svg}width="{width}" role="img" aria-label="{label}">{rest}', width


def percent_axis(axis: Any) -> None:
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
