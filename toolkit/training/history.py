"""A model's learning curve: a row for each epoch, and `history.csv`, which is written and read here only."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import UnfreezeError, first_line
from toolkit.stats.scores import SCORES
from toolkit.storage.files import write_text

COLUMNS = ("epoch", "stage", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")

Row = dict[str, Any]


@dataclass
class History:
    """The learning curve of one training: a row for each epoch, with the columns COLUMNS and the objective."""

    objective: str
    rows: list[Row] = field(default_factory=list)

    @property
    def measured(self) -> tuple[str, ...]:
        """The columns with losses and scores, the objective among them."""
        return tuple(dict.fromkeys((*COLUMNS[2:6], self.objective)))

    @property
    def best(self) -> Row | None:
        """The epoch with the best objective, of those with finite numbers; of equal ones that with the smallest
        validation loss, then the first. None if there is none."""
        finite = [row for row in self.rows if is_finite(row)]
        sign = -1.0 if SCORES[self.objective].rises else 1.0
        return min(finite, key=lambda row: (sign * row[self.objective], row["val_loss"]), default=None)

    @property
    def stored_best(self) -> Row | None:
        """The best epoch as JSON can hold it: None for a metric of the caller's that was no finite number there."""
        found = self.best
        return found and {name: one if _is_storable(one) else None for name, one in found.items()}

    def write(self, path: Path) -> None:
        text = io.StringIO()
        more = (name for row in self.rows for name in row)  # metrics of the caller's
        writer = csv.DictWriter(text, dict.fromkeys((*COLUMNS, self.objective, *more)))
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(path, text.getvalue())


def read_history(path: Path) -> list[Row]:
    """The rows of a `history.csv`; the epoch is an int, other numbers are floats. Raises UnfreezeError if the file is
    missing or damaged."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows: list[Row] = list(csv.DictReader(file))
        if not rows:
            raise ValueError("it has no epoch")
        numbers = [name for name in dict.fromkeys((*COLUMNS, *rows[0])) if name not in COLUMNS[:2]]
        return [row | {name: float(row[name]) for name in numbers} | {"epoch": int(row["epoch"])} for row in rows]
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        why = first_line(error)
        raise UnfreezeError(f"{path} cannot be read ({why}); repeat the training that writes it") from None


def is_finite(row: Row) -> bool:
    """Whether losses and accuracies are finite numbers. They are not if the training diverged."""
    return all(math.isfinite(row[name]) for name in COLUMNS[2:6])


def _is_storable(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
