"""`Parity`: the verdict on an artefact, with the numbers behind it. `parity.json`, a list of them, is written and read
here only; `export.proof.compare` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from export.artefacts import TEST, Artefact, artefact_of
from export.runtimes.measure import Timing
from toolkit.errors import UnfreezeError, first_line
from toolkit.stats.accuracy_lost import EARLIER, FAILS, HOLDS, UNDECIDED
from toolkit.storage.files import read_json, write_json
from toolkit.storage.records import plain_fields, plain_record

COMPARED = ("lost", "lost_at_most", "agreement")  # numbers that come with an accuracy


@dataclass(frozen=True)
class Flip:
    """An image to which the artefact gives another class than the model."""

    path: str
    label: str  # class; "" if the image has no label
    reference: str  # class
    reference_probability: float
    artefact: str  # class
    artefact_probability: float | None  # None: not a number
    tie: bool  # to the model the two classes are as probable, within twice what rounding may change
    part: str = "test"  # of `Evidence`


@dataclass(frozen=True)
class Divergence:
    """The result of comparing an artefact's layers with the model's (`export.proof.locate`)."""

    layer: str  # the first whose own error stands out; "" where none does
    layers: tuple[str, ...]  # all that the artefact has fused with it
    own: float | None  # its own error, relative
    limit: float  # above which an error stands out
    compared: int  # tensors that could be compared
    worst: tuple[tuple[str, float], ...]  # layers with weights by their own error, all of them, the largest first
    advice: str
    error: str = ""  # why nothing could be compared


@dataclass(frozen=True)
class Evidence:
    """One part of the images that a verdict rests on."""

    part: str  # "test" | "val" | "evidence", images without labels
    images: int
    flips: int
    counted: bool = True  # False: the artefact was chosen on them, so that they do not count


@dataclass(frozen=True)
class ClassLoss:
    """The recall that an artefact loses: the accuracy on the images of one class."""

    name: str
    images: int
    lost_images: int
    gained_images: int
    lost_at_most: float  # one-sided 95 % bound, a fraction; of `Parity.classes` for all classes together
    lost_at_least: float | None = None  # the same from below, 0 where no loss is shown; None: not computed

    @property
    def lost(self) -> float:
        """A fraction; negative where it was gained."""
        return (self.lost_images - self.gained_images) / self.images


@dataclass(frozen=True)
class ReferenceFile:
    """The model file that an artefact was compared with, where it is not the model of a run."""

    name: str
    format: str  # of `export.runtimes.kind`
    precision: str
    bytes: int
    sha256: str  # of the file; of a folder: over its files' names and digests
    timings: tuple[Timing, ...] = ()
    memory_mb: float | None = None  # peak resident, beyond what the runtime takes


@dataclass(frozen=True)
class Parity:
    """One artefact's verdict; true if it holds. Numbers are None if it was not compared."""

    artefact: Artefact
    verdict: str  # "holds" | "fails" | "undecided": there are too few images to tell
    reason: str = ""  # why it is not "holds"
    ran: bool = True  # False: it could not be written or run; the verdict is then "fails"
    images: int = 0  # with labels, on which the accuracy is measured
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None  # 95 %, Wilson
    reference_accuracy: float | None = None
    lost_images: int | None = None  # the model is right and the artefact wrong
    gained_images: int | None = None  # the other way round
    lost: float | None = None  # accuracy, a fraction; negative where it was gained
    lost_at_most: float | None = None  # one-sided 95 % bound on it, from all images that count as evidence
    margin: float | None = None  # a fraction: the most that may be lost
    margin_chosen: bool = True  # False: it follows from the number of images
    p_value: float | None = None  # exact McNemar, two-sided
    images_needed: int | None = None  # for a verdict on this margin with 80 % power; None: more than 20,000
    agreement: float | None = None  # share of the `images` with the model's top-1 answer
    evidence: tuple[Evidence, ...] = ()  # the images of the bound
    flips_at_most: float | None = None  # one-sided 95 % bound on the share of flips, from the same images
    smallest_class: ClassLoss | None = None  # the class with the fewest test images, on these
    classes: tuple[ClassLoss, ...] = ()  # all that have images, on those that count; () in files of earlier versions
    reference_at_chance: bool = False  # whether the model is right no more often than chance
    flips: tuple[Flip, ...] = ()
    max_difference: float | None = None  # of probabilities: the tolerance that would have been needed
    mean_difference: float | None = None
    p99_difference: float | None = None  # 99th percentile over the images of their largest
    calibration_error: float | None = None
    reference_calibration_error: float | None = None
    reject_below: float | None = None  # the top probability below which an image is unsure; None: none is
    unsure_otherwise: int | None = None  # test images on which one of artefact and model is unsure, the other not
    memory_mb: float | None = None  # peak resident, beyond what the runtime takes
    timings: tuple[Timing, ...] = ()
    divergence: Divergence | None = None  # where it starts to differ, if that was looked for
    cpu: tuple[str, ...] = ()  # the instruction sets of the processor it ran on, as `export.runtimes.cpu` knows them
    reference: ReferenceFile | None = None  # None: the model of a run

    def __bool__(self) -> bool:
        return self.verdict == HOLDS

    @property
    def broken(self) -> bool:
        """Whether it was shown not to hold; False if there were too few images to tell."""
        return self.verdict == FAILS

    @property
    def collapsed(self) -> tuple[ClassLoss, ...]:
        """The classes that are shown to lose more than the margin. With one, the artefact does not hold."""
        margin = self.margin or 0.0
        return tuple(one for one in self.classes if one.lost_at_least is not None and one.lost_at_least > margin)

    @property
    def counted(self) -> tuple[Evidence, ...]:
        """The parts that the bounds rest on; earlier versions did not store them."""
        flips = sum(flip.part == TEST for flip in self.flips)
        return tuple(part for part in self.evidence if part.counted) or (Evidence(TEST, self.images, flips),)


def to_json(parity: Parity) -> dict[str, Any]:
    """An entry of parity.json. The artefact's fields that are as they are by default are left out: only int8 files have
    a calibration."""
    values = asdict(parity)
    usual = {one.name: one.default for one in fields(Artefact)}
    return values | {"artefact": {name: own for name, own in values["artefact"].items() if own != usual[name]}}


def write_parities(path: Path, parities: Sequence[Parity]) -> None:
    """Write a parity.json."""
    write_json(path, [to_json(parity) for parity in parities])


def read_parities(path: Path) -> list[Parity]:
    """The verdicts in a parity.json, [] where there is no such file; also those that version 0.1 wrote, in its words.
    Raises UnfreezeError if the file is damaged."""
    if not path.is_file():
        return []
    try:
        entries = read_json(path)
        if not isinstance(entries, list):
            raise ValueError("it is not a list")
        return [_parity_of(entry) for entry in entries]
    except (UnfreezeError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise UnfreezeError(
            f"{path} is damaged ({first_line(error)}); `unfreeze verify {path.parent}` writes it again"
        ) from None


def _parity_of(entry: dict[str, Any]) -> Parity:
    """Raises ValueError or the like if the entry is not one that `to_json` gives."""
    values = plain_fields(Parity, entry)
    verdict = EARLIER.get(values["verdict"], values["verdict"])
    if verdict not in (HOLDS, FAILS, UNDECIDED):
        raise ValueError(f"there is no verdict {verdict!r:.40}")
    divergence, smallest, reference = (entry.get(name) for name in ("divergence", "smallest_class", "reference"))
    if values.get("accuracy") is not None:
        low, high = entry["accuracy_interval"]
        values["accuracy_interval"] = float(low), float(high)
        if missing := [name for name in COMPARED if values.get(name) is None]:
            raise ValueError(f"{missing[0]} is missing")
    values |= {"verdict": verdict, "ran": values.get("ran", entry["verdict"] != "could not run")}
    return Parity(
        artefact=artefact_of(entry["artefact"]),
        flips=tuple(plain_record(Flip, {"part": "test"} | flip) for flip in entry["flips"]),
        timings=_timings_of(entry),
        divergence=None if divergence is None else _divergence_of(divergence),
        evidence=tuple(plain_record(Evidence, part) for part in entry.get("evidence", ())),
        smallest_class=None if smallest is None else _class_of(smallest),
        classes=tuple(_class_of(one) for one in entry.get("classes", ())),
        cpu=tuple(map(str, entry.get("cpu", ()))),
        reference=None if reference is None else _reference_of(reference),
        **values,
    )


def _class_of(entry: dict[str, Any]) -> ClassLoss:
    loss: ClassLoss = plain_record(ClassLoss, {"lost_at_least": None} | entry)
    if loss.images < 1:
        raise ValueError(f"class {loss.name!r:.40} has {loss.images} images")
    return loss


def _timings_of(entry: dict[str, Any]) -> tuple[Timing, ...]:
    return tuple(plain_record(Timing, timing) for timing in entry["timings"])


def _reference_of(entry: dict[str, Any]) -> ReferenceFile:
    return ReferenceFile(timings=_timings_of(entry), **plain_fields(ReferenceFile, entry))


def _divergence_of(entry: dict[str, Any]) -> Divergence:
    worst = tuple((str(name), float(error)) for name, error in entry["worst"])
    return Divergence(layers=tuple(map(str, entry["layers"])), worst=worst, **plain_fields(Divergence, entry))
