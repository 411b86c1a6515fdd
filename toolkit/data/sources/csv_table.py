"""The text of a CSV -> `Table`: the encoding is found by the first bytes, the delimiter by the header line.

What the columns mean is left to `toolkit.data.sources.csv_columns`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from toolkit.errors import UnfreezeError, one_line

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
END = "\x1a"  # a line put below the last one
_EMPTY = re.compile(r"(?:[ \t\r,;|]*\n)+")
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
        text, above = _header_first(_text(file.read_bytes()))
        text, delimiter = _delimiter(text)
        rows = _rows(text, delimiter, above)
    except (OSError, UnicodeError, csv.Error) as error:
        raise UnfreezeError(one_line(f"{file} cannot be read as a CSV: {_reason(error)}")) from error
    columns = tuple(name.strip() for name in rows[0][1]) if rows else ()
    padded = [(line, _padded(cells, len(columns))) for line, cells in rows[1:]]
    wide = tuple(line for line, cells in padded if len(cells) > len(columns))
    return Table(file, columns, tuple(row for row in padded if len(row[1]) <= len(columns)), wide)


def _rows(text: str, delimiter: str, above: int) -> list[tuple[int, list[str]]]:
    """(line number, cells) of each row that is not empty. Raises csv.Error if a quote is not closed: it takes in what
    is put at the end, too."""
    lines = csv.reader(io.StringIO(f"{text}\n{END}\n", newline=""), delimiter=delimiter, skipinitialspace=True)
    rows, begins = [], above + 1
    try:
        for cells in lines:
            rows.append((above + lines.line_num, cells))
            if cells != [END]:
                begins = above + lines.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"line {begins} is too long ({error}); is a quote there not closed?") from error
    if rows[-1][1] != [END]:
        begins = rows[-2][0] + 1 if len(rows) > 1 else above + 1
        raise csv.Error(f"a quote in line {begins} or below is not closed: add it, or take the quote out")
    return [(line, cells) for line, cells in rows[:-1] if any(map(str.strip, cells))]


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError) and error.encoding == "utf-8":
        line = error.object[: error.start].count(b"\n") + 1
        byte = error.object[error.start]
        return f"it is not UTF-8 (byte 0x{byte:02x} in line {line}); save it as CSV UTF-8"
    if isinstance(error, UnicodeError):
        return "it is UTF-16 without its mark, or cut short; save it as CSV UTF-8"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _text(content: bytes) -> str:
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16") if utf16 else content.removeprefix(codecs.BOM_UTF8).decode()
    if "\0" in text.partition("\n")[0]:
        raise UnicodeError
    return text


def _header_first(text: str) -> tuple[str, int]:
    """(the text without empty lines at its top, how many these are)."""
    above = _EMPTY.match(text)
    return (text[above.end() :], above[0].count("\n")) if above else (text, 0)


def _delimiter(text: str) -> tuple[str, str]:
    """(the text from its header on, its delimiter). Excel may write `sep=;` above the header. Otherwise it is the
    delimiter that divides the header, and divides the most of the first rows as it does the header; csv.Sniffer is not
    used because it may take a letter for one."""
    if named := re.match(r"sep=([,;\t|])\r?\n", text):
        return f"\n{text[named.end() :]}", named[1]  # an empty line, so that lines keep their numbers

    def fit(delimiter: str) -> tuple[bool, float, int]:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        widths = []
        with suppress(csv.Error):  # such as of a quote that is not closed: `_rows` tells it
            for cells in islice(lines, SAMPLE):
                widths += [len(cells)] if cells else []
        widths = widths or [0]
        alike = sum(width == widths[0] for width in widths[1:]) / max(1, len(widths) - 1)
        return widths[0] > 1, alike, widths[0]

    return text, max(DELIMITERS, key=fit)  # of equals the first


def _padded(cells: list[str], width: int) -> tuple[str, ...]:
    """The cells without outer blanks, as many as the header has: empty ones are added, or taken off the end."""
    stripped = [cell.strip() for cell in cells] + [""] * (width - len(cells))
    while len(stripped) > width and not stripped[-1]:
        stripped.pop()
    return tuple(stripped)
