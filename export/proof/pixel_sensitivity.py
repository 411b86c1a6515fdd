"""Accuracy of an artefact if an app decodes or resizes images in another way than training did.

This is the commonest silent loss on a device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from export.artefacts import read_manifest
from export.predict import default_artefact
from export.runtimes.runners import load
from export.settings import MARGIN
from toolkit.data.image_set import ImageSet, read_unchanged
from toolkit.errors import UnfreezeError, first_line
from toolkit.evaluation import plots
from toolkit.pixels.decode import decode_whole
from toolkit.pixels.grey import to_grey
from toolkit.pixels.resize import resize
from toolkit.process.cores import cores
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.stats.accuracy_lost import EARLIER, FAILS, HOLDS, UNDECIDED, compare_answers
from toolkit.storage.files import read_json, write_json
from toolkit.storage.records import plain_record

Whole = Callable[..., np.ndarray]  # `decode_whole` of one file, which takes its options

BATCH = 32
RESIZE = "resize.json"  # in the run folder; only this module writes and reads it


@dataclass(frozen=True)
class Client:
    """One way in which an app turns an image file into pixels."""

    name: str
    # (upright RGB [H, W, 3], how the file is decoded, S) -> uint8 [S, S, 3], or [S, S, 1] for a model that takes grey
    pixels: Callable[[np.ndarray, Whole, int], np.ndarray]


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
    return Client(client.name, lambda rgb, whole, size: to_grey(client.pixels(rgb, whole, size)))


def _weighted(weights: np.ndarray) -> Callable[[np.ndarray, Whole, int], np.ndarray]:
    return lambda rgb, _, size: np.rint(resize(rgb, size) @ weights).astype(np.uint8)


GREY_CLIENTS = (
    *map(_then_grey, CLIENTS),
    Client("mean of red, green and blue instead of the luma", _weighted(np.full((3, 1), 1 / 3))),
    Client("luma of ITU-R 709 instead of 601", _weighted(LUMA_709)),
)


def measure_run(run: Run, artefact: str | None, *, margin: float, progress: Progress = silent) -> list[Sensitivity]:
    """Measure `sensitivity` of one artefact (None: the default one) over the run's test part. Writes resize.json and
    plots/resize.png. Raises UnfreezeError if the run has no such artefact."""
    manifest = read_manifest(run.path / "export")
    written = [one.name for one in manifest.artefacts]
    if not written or (artefact and artefact not in written):
        raise UnfreezeError(f"{run.path} has no artefact {artefact or ''}; `unfreeze export {run.path}` writes them")
    name, images = artefact or default_artefact(written), run.images.select("test")
    path, clients = run.path / "export" / name, CLIENTS if manifest.channels == 3 else GREY_CLIENTS
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
    """Accuracy of one artefact on `images`, decoded as each of `clients` does; `margin` in points. Raises UnfreezeError
    if an image is missing or changed."""
    predict = load(path).predict
    answers: dict[str, list[np.ndarray]] = {client.name: [] for client in clients}
    for done, batch in _batches(images, size, clients):
        progress("decoding as clients do", done, len(images))
        for client in clients:
            answers[client.name].append(predict(batch[client.name]).argmax(1))
    progress("decoding as clients do", len(images), len(images))
    trained = np.concatenate(answers[TRAINED.name])
    return [_row(name, np.concatenate(got), trained, images.labels, margin / 100) for name, got in answers.items()]


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


def _batches(images: ImageSet, size: int, clients: Sequence[Client]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Batches of images, decoded on all cores: (number of images before it, client's name -> uint8 [B, S, S, C])."""

    def variants(row: int) -> dict[str, np.ndarray]:
        whole = partial(decode_whole, read_unchanged(images, row), levels=images.levels)
        rgb = whole()
        return {client.name: client.pixels(rgb, whole, size) for client in clients}

    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(images), BATCH):
            made = list(pool.map(variants, range(start, min(start + BATCH, len(images)))))
            yield start, {client.name: np.stack([one[client.name] for one in made]) for client in clients}


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
