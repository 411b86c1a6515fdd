"""`ExportedFile`: a file of RUN/export, with its verdict."""

from __future__ import annotations

from dataclasses import dataclass

from export.artefacts import Artefact
from export.proof.parity import Parity
from unfreeze.wording import verdict_words

UNVERIFIED = "not verified"


@dataclass(frozen=True)
class ExportedFile:
    """An exported file with its verdict; `parity` is None if the file in its present state was not verified."""

    artefact: Artefact
    parity: Parity | None

    @property
    def name(self) -> str:
        """Name of the file in RUN/export."""
        return self.artefact.name

    @property
    def format(self) -> str:
        """ "saved_model", "tflite" or "onnx"."""
        return self.artefact.format

    @property
    def precision(self) -> str:
        return self.artefact.precision

    @property
    def bytes(self) -> int:
        return self.artefact.bytes

    @property
    def megabytes(self) -> float:
        return self.bytes / 1e6

    @property
    def holds(self) -> bool:
        return bool(self.parity)

    @property
    def verdict(self) -> str:
        """In words: "holds", "does not hold", "too few images to tell", "could not run" or "not verified"."""
        return UNVERIFIED if self.parity is None else verdict_words(self.parity.verdict, self.parity.ran)

    def milliseconds(self, *, batch: bool = False, all_threads: bool = False) -> float | None:
        """Median for one image, alone or in a batch, with one thread or the most that were timed; None: not timed."""
        timings = sorted(self.parity.timings if self.parity is not None else (), key=lambda timing: timing.threads)
        if not timings:
            return None
        timing = timings[-1 if all_threads else 0]
        return timing.batch_median if batch else timing.median
