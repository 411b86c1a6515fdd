"""The text of a CSV -> `Table`: the encoding is found by the first bytes, the delimiter by the header line.

What the columns mean is left to `toolkit.data.sources.csv_columns`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from toolkit.errors import UnfreezeError, one_line

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SAMPLE = 100  # rows that show whether a delimiter divides them as it does the header


@dataclass(frozen=True)
class Table:
    """The rows of a CSV, each as wide as its header."""

    file: Path
    columns: tuple[str, ...]  # as they are written, without outer blanks
    rows: tuple[tuple[int, tuple[str, ...]], ...]  # line number, cells without outer blanks
    too_wide: tuple[int, ...] = ()  # numbers of lines that have more cells than the header, and are no rows

    def values(self, column: int) -> list[str]:
        """The cells of one column."""
        return [cells[column] for _, cells in self.rows]


def read_table(file: Path) -> Table:
    """The table in a CSV. Raises UnfreezeError if it cannot be read."""
    try:
        text = _text(file.read_bytes())
        text, delimiter = _delimiter(text)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        columns = tuple(name.strip() for name in next(lines, []))
        rows = [(lines.line_num, _padded(cells, len(columns))) for cells in lines if any(map(str.strip, cells))]
    except (OSError, UnicodeError, csv.Error) as error:
        raise UnfreezeError(
            one_line(f"{file} cannot be read as a CSV in UTF-8, or in UTF-16 with its mark: {error}")
        ) from error
    wide = tuple(line for line, cells in rows if len(cells) > len(columns))
    return Table(file, columns, tuple(row for row in rows if len(row[1]) <= len(columns)), wide)


def _text(content: bytes) -> str:
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if utf16 else "utf-8-sig")
    if "\0" in text.partition("\n")[0]:
        raise UnicodeError("its header has null bytes, as that of UTF-16 without its mark has")
    return text


def _delimiter(text: str) -> tuple[str, str]:
    """(the text from its header on, its delimiter). Excel may write `sep=;` above the header. Otherwise it is the
    delimiter that divides the header, and divides the most of the first rows as it does the header; csv.Sniffer is not
    used because it may take a letter for one."""
    if named := re.match(r"sep=([,;\t|])\r?\n", text):
        return text[named.end() :], named[1]

    def fit(delimiter: str) -> tuple[bool, float, int]:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        widths = [len(cells) for cells in islice(lines, SAMPLE) if cells] or [0]
        alike = sum(width == widths[0] for width in widths[1:]) / max(1, len(widths) - 1)
        return widths[0] > 1, alike, widths[0]

    return text, max(DELIMITERS, key=fit)  # of equals the first


def _padded(cells: list[str], width: int) -> tuple[str, ...]:
    """The cells without outer blanks, as many as the header has: empty ones are added, or taken off the end."""
    stripped = [cell.strip() for cell in cells] + [""] * (width - len(cells))
    while len(stripped) > width and not stripped[-1]:
        stripped.pop()
    return tuple(stripped)
