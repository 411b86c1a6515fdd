"""Exported files in programs that others wrote: do they answer there as they do in their own runtime?

    make test-clients RUN=runs/mine [OPTIONS='--images 500 --write docs/clients.md']

Each file of RUN/export is run in each client that takes its format: on the same pixels, and from image files that the
client decodes and resizes itself, where it does so. Exit code 1 where an answer is wrong or a file is refused: no
client here is known to refuse one. The browser is any Chromium; its packages are in package.json.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import cv2
import numpy as np
from PIL import Image

from export.artefacts import Artefact, read_manifest
from export.runtimes.runners import load
from toolkit.run import Run, load_run
from toolkit.training.batches import load_part

HERE = Path(__file__).parent
SAME = {"float32": 1e-4, "float16": 0.05, "float16_gpu": 0.05}  # largest difference of a probability on equal pixels
AGREEMENT = 0.99  # of the answers of quantised files on equal pixels, and of any file from image files
ACCURACY = 0.003  # that the client's own decoding may lose
BATCH = 32  # images
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
Predict = Callable[[np.ndarray], np.ndarray]  # uint8 [S, S, 3] -> float32 [C], or of several
Decode = Callable[[Path, int], np.ndarray]  # an image file, S -> uint8 [S, S, 3]


@dataclass(frozen=True)
class Client:
    """A program that runs model files."""

    name: str
    version: str
    suffixes: tuple[str, ...]  # of the files that it takes; "": a SavedModel
    open: Callable[[Path], Predict]
    decode: Decode | None = None  # its own way from an image file to pixels


@dataclass
class Cell:
    """One file in one client."""

    error: str = ""
    worst: float = float("nan")  # largest difference of a probability on equal pixels
    agreement: float = float("nan")  # share of equal answers on equal pixels
    own_agreement: float | None = None  # the same, from image files
    accuracy_lost: float | None = None  # there
    milliseconds: float = float("nan")
    wrong: list[str] = field(default_factory=list)


def litert(path: Path) -> Predict:
    from ai_edge_litert.compiled_model import CompiledModel

    model = CompiledModel.from_file(str(path))
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    kind = np.float32 if path.name.endswith("_gpu.tflite") else np.uint8
    classes = len(load(path).predict(np.zeros((1, *_size(path)), np.uint8))[0])

    def predict(pixels: np.ndarray) -> np.ndarray:
        inputs[0].write(np.ascontiguousarray(pixels[np.newaxis], kind))
        model.run_by_index(0, inputs, outputs)
        return np.asarray(outputs[0].read(classes, np.float32)).ravel()

    return predict


def _size(path: Path) -> tuple[int, int, int]:
    manifest = read_manifest(path.parent)
    return manifest.image_size, manifest.image_size, manifest.channels


def openvino(path: Path) -> Predict:
    import openvino as ov

    model = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    kind = np.float32 if path.name.endswith("_gpu.tflite") else np.uint8
    return lambda pixels: model([pixels[np.newaxis].astype(kind)])[0][0]


def opencv(path: Path) -> Predict:
    net = cv2.dnn.readNetFromONNX(str(path))

    def predict(pixels: np.ndarray) -> np.ndarray:
        net.setInput(pixels[np.newaxis], "image")
        return net.forward()[0].copy()

    return predict


def opencv_decode(path: Path, size: int) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None, path
    return cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), (size, size), interpolation=cv2.INTER_LINEAR)


def mediapipe(path: Path) -> Predict:
    import mediapipe as mp
    from mediapipe.tasks import python
    from mediapipe.tasks.python import vision

    names = read_manifest(path.parent).description["class_names"]
    base = python.BaseOptions(model_asset_path=str(path))
    classifier = vision.ImageClassifier.create_from_options(vision.ImageClassifierOptions(base_options=base))

    def predict(pixels: np.ndarray) -> np.ndarray:
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))
        scores = {one.category_name: one.score for one in classifier.classify(image).classifications[0].categories}
        return np.array([scores[name] for name in names], np.float32)

    return predict


def whole(path: Path, size: int) -> np.ndarray:
    """At its own size: the client resizes it."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


CLIENTS = (
    # name, package, formats, how a file is opened, how a picture is decoded
    ("LiteRT CompiledModel", "ai-edge-litert", (".tflite",), litert, None),
    ("MediaPipe Tasks", "mediapipe", (".tflite",), mediapipe, whole),
    ("OpenVINO, f32 hint", "openvino", (".tflite", ".onnx", ""), openvino, None),
    ("OpenCV DNN", "opencv-python-headless", (".onnx",), opencv, opencv_decode),
)


def installed() -> list[Client]:
    found = []
    for name, package, suffixes, opens, decode in CLIENTS:
        try:
            told = cv2.__version__ if opens is opencv else version(package)  # several packages bring the module cv2
            found.append(Client(name, told, suffixes, opens, decode))
        except ModuleNotFoundError:
            print(f"{name}: {package} is not installed", file=sys.stderr)
    return found


@dataclass(frozen=True)
class Images:
    """What the files are run on."""

    pixels: np.ndarray  # uint8 [N, S, S, 3]
    labels: np.ndarray
    files: tuple[Path, ...]


def judged(
    cell: Cell, precision: str, answers: np.ndarray, own: np.ndarray | None, known: np.ndarray, labels: Any
) -> Cell:
    """The cell with its numbers. `known`: the answers in the file's own runtime; `own`: from image files."""
    cell.worst = float(np.abs(answers - known).max())
    cell.agreement = float(np.mean(answers.argmax(1) == known.argmax(1)))
    if precision in SAME and not cell.worst <= SAME[precision]:
        cell.wrong.append(f"differs by {cell.worst:.2g}")
    if not cell.agreement >= AGREEMENT:
        cell.wrong.append(f"agrees in {cell.agreement:.1%}")
    if own is not None:
        cell.own_agreement = float(np.mean(own.argmax(1) == known.argmax(1)))
        cell.accuracy_lost = float(np.mean(known.argmax(1) == labels) - np.mean(own.argmax(1) == labels))
        if cell.own_agreement < AGREEMENT:
            cell.wrong.append(f"agrees in {cell.own_agreement:.1%} from image files")
        if round(cell.accuracy_lost, 6) > ACCURACY:  # of 1,000 images, three may be lost
            cell.wrong.append(f"loses {100 * cell.accuracy_lost:.1f} points from image files")
    return cell


def run_client(client: Client, path: Path, precision: str, images: Images, known: np.ndarray) -> Cell:
    cell = Cell()
    try:
        predict = client.open(path)
        predict(images.pixels[0])
        began = perf_counter()
        answers = np.array([predict(pixels) for pixels in images.pixels])
        cell.milliseconds = 1e3 * (perf_counter() - began) / len(answers)
        size = images.pixels.shape[1]
        decode = client.decode
        own = np.array([predict(decode(file, size)) for file in images.files]) if decode else None
    except Exception as error:  # a client's own words are what the table shows
        cell.error = " ".join(str(error).split())[:120] or type(error).__name__
        return cell
    return judged(cell, precision, answers, own, known, images.labels)


def run_browser(export: Path, artefacts: Sequence[Artefact], images: Images, known: dict[str, np.ndarray]) -> Any:
    """(version of the browser, cells by the name of the file); None where there is no browser."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None or not (HERE / "node_modules").is_dir():
        print("browser: no Chromium, or `npm ci` was not run in tests/clients", file=sys.stderr)
        return None
    names = [one.name for one in artefacts if one.name.endswith((".tflite", ".onnx"))]
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder)
        images.pixels.tofile(job / "pixels.bin")
        for number, file in enumerate(images.files):
            shutil.copy(file, job / f"photo{number}")
        told = {
            "size": images.pixels.shape[1],
            "images": len(images.pixels),
            "photographs": len(images.files),
            "files": names,
        }
        (job / "job.json").write_text(json.dumps(told))
        command = ["node", "browser.mjs", str(export.resolve()), folder, chromium]
        ended = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, text=True, check=True)
    page = json.loads(ended.stdout.splitlines()[-1])
    precisions = {one.name: one.precision for one in artefacts}
    cells = {}
    for one in page["told"]:
        cell = Cell(error=one.get("error", "")[:120], milliseconds=one.get("ms", float("nan")))
        name = one["name"]
        if not cell.error:
            answers, own = np.array(one["answers"]), np.array(one["own"])
            judged(cell, precisions[name], answers, own, known[name], images.labels)
        cells[name] = cell
    return page["version"], cells


def in_batches(predict: Predict, pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([predict(pixels[first : first + BATCH]) for first in range(0, len(pixels), BATCH)])


def chosen_images(run: Run, count: int) -> Images:
    """Test images, evenly spread."""
    part, images = load_part(run, "test"), run.images.select("test")
    rows = np.unique(np.linspace(0, len(part.labels) - 1, count).astype(int))
    files = tuple(images.root / images.paths[row] for row in rows)
    return Images(np.asarray(part.images[rows]), np.asarray(part.labels[rows]), files)


def shown(cell: Cell) -> str:
    """A cell of the table in Markdown."""
    if cell.error:
        return f"refused: {cell.error}".replace("|", "\\|")
    text = f"{cell.worst:.1e}, {cell.agreement:.1%}" if cell.worst >= 1e-12 else f"the same, {cell.agreement:.1%}"
    if cell.own_agreement is not None and cell.accuracy_lost is not None:
        text += f"; {cell.own_agreement:.1%}, {-100 * cell.accuracy_lost + 0.0:+.1f}"
    return f"{text}; {cell.milliseconds:.1f} ms" + (f" **WRONG: {', '.join(cell.wrong)}**" if cell.wrong else "")


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(exists=True, path_type=Path))
@click.option("--images", "count", default=500, show_default=True, help="Test images, evenly spread.")
@click.option("--write", type=click.Path(path_type=Path), help="Put the table between the marks of this page.")
def main(folder: Path, count: int, write: Path | None) -> None:
    """Run the exported files of RUN in the clients that are installed."""
    run = load_run(folder)
    export = folder / "export"
    artefacts, images = read_manifest(export).artefacts, chosen_images(run, count)
    known = {one.name: in_batches(load(export / one.name).predict, images.pixels) for one in artefacts}
    columns: list[tuple[str, dict[str, Cell]]] = []
    for client in installed():
        cells = {
            one.name: run_client(client, export / one.name, one.precision, images, known[one.name])
            for one in artefacts
            if Path(one.name).suffix in client.suffixes
        }
        columns.append((f"{client.name} {client.version}", cells))
    if browser := run_browser(export, artefacts, images, known):
        columns.append((f"{browser[0]}: LiteRT.js, onnxruntime-web", browser[1]))
    lines = [f"| file | {' | '.join(name for name, _ in columns)} |", "|---|" + "---|" * len(columns)]
    for one in artefacts:
        row = (shown(cells[one.name]) if one.name in cells else "" for _, cells in columns)
        lines.append(f"| `{one.name}` | {' | '.join(row)} |")
    table = "\n".join(lines)
    print(f"{len(images.labels)} test images\n\n{table}")
    if write:
        before, _, rest = write.read_text().partition("<!-- table -->\n")
        _, _, after = rest.partition("<!-- end -->")
        write.write_text(f"{before}<!-- table -->\n{table}\n<!-- end -->{after}")
    if not columns:
        sys.exit("no client is installed")
    wrong = [f"{one} in {name}" for name, cells in columns for one, cell in cells.items() if cell.wrong or cell.error]
    sys.exit(f"wrong or refused: {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
