"""Accuracy of an artefact if an app decodes or resizes images in another way than training did.

This is the commonest silent loss on a device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from export.artefacts import read_manifest
from export.predict import default_artefact
from export.proof.clients import CLIENTS, TRAINED, TRANSPARENCY, Client, clients_of
from export.runtimes.runners import load
from export.settings import MARGIN
from toolkit.data.image_set import ImageSet, read_unchanged
from toolkit.errors import UnfreezeError, first_line
from toolkit.evaluation import plots
from toolkit.pixels.decode import decode_whole, measure
from toolkit.process.cores import cores
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.stats.accuracy_lost import EARLIER, FAILS, HOLDS, UNDECIDED, compare_answers
from toolkit.storage.files import read_json, write_json
from toolkit.storage.records import plain_record

BATCH = 32
RESIZE = "resize.json"  # in the run folder; only this module writes and reads it


@dataclass(frozen=True)
class Sensitivity:
    """The accuracy on pixels that are made in one client's way."""

    client: str
    accuracy: float
    flips: int  # answers that differ from those to pixels made as in training
    lost: float  # accuracy, a fraction
    lost_at_most: float  # one-sided 95 % bound on it
    verdict: str  # "holds" | "fails" | "undecided"


@dataclass(frozen=True)
class StoredSensitivity:
    """What is in resize.json."""

    artefact: str  # name of the file that was measured
    rows: tuple[Sensitivity, ...]


def measure_run(run: Run, artefact: str | None, *, margin: float, progress: Progress = silent) -> list[Sensitivity]:
    """Measure `sensitivity` of one artefact (None: the default one) over the run's test part. Writes resize.json and
    plots/resize.png. Raises UnfreezeError if the run has no such artefact."""
    manifest = read_manifest(run.path / "export")
    written = [one.name for one in manifest.artefacts]
    if not written or (artefact and artefact not in written):
        raise UnfreezeError(f"{run.path} has no artefact {artefact or ''}; `unfreeze export {run.path}` writes them")
    name, images = artefact or default_artefact(written), run.images.select("test")
    path, clients = run.path / "export" / name, clients_of(manifest.channels, run.images.profiles)
    rows = sensitivity(path, images, manifest.image_size, clients=clients, margin=margin, progress=progress)
    write_sensitivity(run.path, name, rows, margin)
    return rows


def sensitivity(
    path: Path,
    images: ImageSet,
    size: int,
    *,
    clients: Sequence[Client] = CLIENTS,
    margin: float = MARGIN,
    progress: Progress = silent,
) -> list[Sensitivity]:
    """Accuracy of one artefact on `images`, decoded as each of `clients` does, of which the first does as training did;
    `margin` in points. A client that concerns only some images is named with their number, and left out where there are
    none. Raises UnfreezeError if an image is missing or changed."""
    predict = load(path).predict
    answers: dict[str, list[np.ndarray]] = {client.name: [] for client in clients}
    counts: Counter[str] = Counter()
    for done, batch, concerned in _batches(images, size, clients):
        progress("decoding as clients do", done, len(images))
        trained = predict(batch[TRAINED.name]).argmax(1)  # of these images
        for client in clients:
            other = client.name != TRAINED.name and client.name in batch
            answers[client.name].append(predict(batch[client.name]).argmax(1) if other else trained)
        counts.update(concerned)
    progress("decoding as clients do", len(images), len(images))
    trained = np.concatenate(answers[TRAINED.name])
    return [
        _row(_named(client, counts), np.concatenate(answers[client.name]), trained, images.labels, margin / 100)
        for client in clients
        if not client.concerns or counts[client.concerns]
    ]


def _named(client: Client, counts: Counter[str]) -> str:
    count = counts[client.concerns]
    return f"{client.name} ({count:,} image{'' if count == 1 else 's'})" if client.concerns else client.name


def write_sensitivity(run: Path, name: str, rows: list[Sensitivity], margin: float) -> None:
    """RUN/resize.json and RUN/plots/resize.png."""
    write_json(run / RESIZE, {"artefact": name, "clients": [asdict(row) for row in rows]})
    lines = [(row.client, row.accuracy, row.lost, row.lost_at_most, row.verdict) for row in rows]
    plots.save(plots.clients(lines, margin / 100), run / "plots" / "resize.png")


def read_sensitivity(run: Path) -> StoredSensitivity | None:
    """RUN/resize.json; None where there is no such file. Raises UnfreezeError if it is damaged."""
    path = run / RESIZE
    if not path.is_file():
        return None
    stored = read_json(path)
    try:
        rows = tuple(plain_record(Sensitivity, row) for row in stored["clients"])
        rows = tuple(replace(row, verdict=EARLIER.get(row.verdict, row.verdict)) for row in rows)
        if any(row.verdict not in (HOLDS, FAILS, UNDECIDED) for row in rows):
            raise ValueError("it holds an unknown verdict")
        return StoredSensitivity(str(stored["artefact"]), rows)
    except (KeyError, TypeError, ValueError) as error:
        raise UnfreezeError(
            f"{path} is damaged ({first_line(error)}); `unfreeze verify {run} --resize` writes it again"
        ) from None


def _batches(
    images: ImageSet, size: int, clients: Sequence[Client]
) -> Iterator[tuple[int, dict[str, np.ndarray], list[str]]]:
    """Batches of images, decoded on all cores: (number of images before it; client's name -> uint8 [B, S, S, C], but
    for clients that concern none of these images; what these have of `CONCERNS`)."""

    def variants(row: int) -> tuple[dict[str, np.ndarray], set[str]]:
        data = read_unchanged(images, row)
        whole = partial(decode_whole, data, levels=images.levels, profiles=images.profiles)
        rgb, found = whole(), measure(data)
        has = {found.colours, TRANSPARENCY if found.transparent else "", ""}
        return {client.name: client.pixels(rgb, whole, size) for client in clients if client.concerns in has}, has

    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(images), BATCH):
            made = list(pool.map(variants, range(start, min(start + BATCH, len(images)))))
            names = {name for pixels, _ in made for name in pixels}
            batch = {name: np.stack([own.get(name, own[TRAINED.name]) for own, _ in made]) for name in names}
            yield start, batch, [concern for _, has in made for concern in has]


def _row(name: str, answers: np.ndarray, trained: np.ndarray, labels: np.ndarray, margin: float) -> Sensitivity:
    pair = compare_answers(trained == labels, answers == labels)
    return Sensitivity(
        client=name,
        accuracy=float((answers == labels).mean()),
        flips=int((answers != trained).sum()),
        lost=pair.loss,
        lost_at_most=pair.lost_at_most,
        verdict=pair.verdict(margin),
    )
