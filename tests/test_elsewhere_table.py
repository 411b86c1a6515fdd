"""The table of kinds of files and commands in docs/recipes/elsewhere.md, cell by cell: the command is typed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

import unfreeze
from export.runtimes.runners import load
from export.settings import Conversion, ExportSettings
from tests.elsewhere_kinds import (
    BY_NAME,
    CLASSES,
    KINDS,
    LABELS,
    PARTNER_OF_ITSELF,
    PARTNERS,
    SIDE,
    Kind,
    families,
    options,
    write_kinds,
)
from tests.pictures import write_pictures
from tests.test_cli import typed
from tests.warm import warm_processes
from toolkit.data.image_set import scan
from toolkit.errors import UnfreezeError
from toolkit.run import load_run
from toolkit.stats.accuracy_lost import HOLDS
from toolkit.training.answers import probabilities
from toolkit.training.batches import load_part
from toolkit.training.model_file import load_model

pytestmark = pytest.mark.long
PAGE = Path(__file__).parents[1] / "docs" / "recipes" / "elsewhere.md"
WORKS = "✓"
COMMANDS = ("inspect", "predict", "verify --reference", "verify --artefact", "adopt")
VERIFY = ("--no-times", "--json", "--margin", 10, SIDE, 32, "--output", "answer")  # 10: forty images can show it
Table = dict[str, tuple[set[str], dict[str, str]]]  # row -> (options, what is said of each command)


def table() -> Table:
    """As the page has it."""
    section = PAGE.read_text(encoding="utf-8").partition("## Which files")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split(" |")] for line in section.splitlines() if line[:1] == "|"]
    head, _, *rows = rows
    assert [cell.strip("` ") for cell in head] == ["file", "options", *COMMANDS]
    return {
        name: (set(re.findall("`(--[a-z-]+)`", said)), dict(zip(COMMANDS, cells, strict=True)))
        for name, said, *cells in rows
    }


TABLE = table()
CELLS = [(kind, command) for kind in TABLE for command in COMMANDS]


def working(command: str) -> list[Kind]:
    return [BY_NAME[name] for name, (_, cells) in TABLE.items() if cells[command] == WORKS]


@contextmanager
def once(shared: Path, name: str) -> Iterator[bool]:
    """Whether this worker is the one to make what is `name`; the others wait until it is made."""
    with FileLock(shared / f"{name}.lock"):
        yield not (shared / f"{name}.made").exists()
        (shared / f"{name}.made").touch()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Files of all kinds, pictures/ of both classes, and answers.npz, the oracle; one for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "elsewhere_table"
    folder.mkdir(exist_ok=True)
    with once(folder, "files") as first:
        if first:
            made = families(write_pictures(folder / "pictures", per_class=20))
            write_kinds(folder, made)
            np.savez(folder / "answers.npz", **{family: made.answers(family) for family in made.models})
            unfreeze.adopt(folder / "base.keras", folder / "pictures", folder / "own", pixels="-1..1")
            written = ExportSettings(formats=["tflite"], precisions=["int8", "dynamic"])
            assert unfreeze.export(folder / "own", written).failed == {}
    return folder


@pytest.fixture(scope="module", autouse=True)
def warm() -> Iterator[None]:
    with warm_processes():
        yield


def oracle(kind: Kind, folder: Path) -> np.ndarray:
    """float64 [40, 2], of the pictures in the order of `pictures`."""
    answers: np.ndarray = np.load(folder / "answers.npz")[kind.family]
    assert answers.std(0).min() > 0.1, "answers that hardly differ prove nothing"
    return answers


def pictures(folder: Path) -> list[Path]:
    return [folder / "pictures" / path for path in scan(folder / "pictures").paths]


def test_the_table_and_the_kinds_are_the_same() -> None:
    assert list(TABLE) == [kind.name for kind in KINDS]
    assert len({kind.file for kind in KINDS}) == len(KINDS)
    for name, (needs, cells) in TABLE.items():
        kind = BY_NAME[name]
        assert all(cells.values()), name
        assert (cells["predict"] == WORKS) == bool(kind.family), name
        assert needs == ({*options(kind, Path())} if kind.family else set()), name


@pytest.mark.parametrize(("name", "command"), CELLS, ids=[f"{BY_NAME[kind].file}-{how}" for kind, how in CELLS])
def test_cell(name: str, command: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kind, said = BY_NAME[name], TABLE[name][1][command]
    if said == WORKS:
        CHECKS[command](kind, folder, tmp_path, capsys)
        return
    code, out, err = typed(capsys, *TYPED[command](kind, folder, tmp_path))
    lines = [line for line in err.splitlines() if not re.match(r"(loading|scanning|decoding|verifying)\b", line)]
    if (command, kind.file) == ("verify --artefact", "random"):  # it is the file that fails
        (entry,) = json.loads(out)
        assert (code, entry["verdict"]) == (1, "fails")
        assert said in entry["reason"]
        return
    assert (code, len(lines)) == (2, 1), err
    assert lines[0].startswith("error: ")
    assert str(folder / kind.file) in lines[0]
    assert said in lines[0]
    assert not (tmp_path / "run").exists()


# What is typed


def flat(given: dict[str, list[str]]) -> list[str]:
    return [part for option in given.values() for part in option]


def inspected(kind: Kind, folder: Path, scratch: Path) -> list[Any]:
    return ["inspect", folder / kind.file]


def predicted(kind: Kind, folder: Path, scratch: Path) -> list[Any]:
    return ["predict", folder / kind.file, *pictures(folder), *flat(options(kind, folder)), "--json"]


def adopted(kind: Kind, folder: Path, scratch: Path) -> list[Any]:
    pixels = ["--pixels", kind.pixels] if kind.pixels else []
    return ["adopt", folder / kind.file, folder / "pictures", scratch / "run", *pixels]


def verified(reference: Path, artefacts: Sequence[Path], folder: Path, pixels: str, its: str) -> list[Any]:
    """`pixels` of the reference, `its` of the artefacts."""
    which = [part for path in artefacts for part in ("--artefact", path)]
    ranges = ["--reference-pixels", pixels, *(("--pixels", its) if its else ())]
    return ["verify", "--reference", reference, *which, "--data", folder / "pictures", *ranges, *VERIFY]


def partner(kind: Kind, folder: Path) -> Path:
    """A float file of -1..1 that computes the same."""
    name = PARTNERS[kind.family or "colour"]
    return folder / (PARTNER_OF_ITSELF if kind.file == name else name)


def as_reference(kind: Kind, folder: Path, scratch: Path) -> list[Any]:
    typed_ = verified(folder / kind.file, [partner(kind, folder)], folder, kind.pixels, "-1..1")
    return typed_ if kind.pixels else [part for part in typed_ if part not in ("--reference-pixels", "")]


def as_artefact(kind: Kind, folder: Path, scratch: Path) -> list[Any]:
    return verified(partner(kind, folder), [folder / kind.file], folder, "-1..1", kind.pixels)


TYPED = dict(zip(COMMANDS, (inspected, predicted, as_reference, as_artefact, adopted), strict=True))


# What works


def check_inspect(kind: Kind, folder: Path, scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = typed(capsys, *inspected(kind, folder, scratch), "--json")
    assert code == 0
    told = json.loads(out)
    assert sum(told["operators"].values()) > 0 or told["format"] == "Keras weights"
    if kind.family:
        proposed = {*re.findall("--[a-z-]+", told["next"])}
        needed = {*options(kind, folder)}
        assert proposed == (needed - {LABELS} if told["next"].startswith("unfreeze adopt") else needed)
        assert told["classes"] == {"two.onnx": None, "sigmoid.onnx": 1}.get(kind.file, 2)


def check_predict(kind: Kind, folder: Path, scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = typed(capsys, *predicted(kind, folder, scratch))
    assert code == 0, err
    rows = json.loads(out)
    assert all(tuple(row["probabilities"]) == CLASSES for row in rows)
    assert all(row["answer"] == max(row["probabilities"], key=row["probabilities"].get) for row in rows)
    got = np.array([[*row["probabilities"].values()] for row in rows])
    np.testing.assert_allclose(got, oracle(kind, folder), atol=kind.close, rtol=0)
    check_needs(kind, folder)


def check_needs(kind: Kind, folder: Path) -> None:
    """Without one of the options the file is refused, in a line that names it."""
    given = {name: value[1] for name, value in options(kind, folder).items()}
    for left_out in {*given} - {LABELS}:
        rest = {name.strip("-").replace("-", "_"): value for name, value in given.items() if name != left_out}
        rest = {name: int(value) if name == "image_size" else value for name, value in rest.items() if name != "labels"}
        with pytest.raises(UnfreezeError, match=f"give {left_out}"):
            load(folder / kind.file, conversion=Conversion(**rest))


def check_verify(kind: Kind, command: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = typed(capsys, *command)
    assert code == 0, err
    (entry,) = json.loads(out)
    assert (entry["verdict"], entry["images"]) == (HOLDS, 40)
    assert entry["max_difference"] <= kind.close


def check_reference(kind: Kind, folder: Path, scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_verify(kind, as_reference(kind, folder, scratch), capsys)


def check_artefact(kind: Kind, folder: Path, scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All files that have a partner and a range in common are verified at once."""
    if kind.file in PARTNERS.values():
        check_verify(kind, as_artefact(kind, folder, scratch), capsys)
        return
    one = f"{kind.family}{kind.pixels}".replace(".", "_")
    with once(folder, one) as first:
        if first:
            alike = [k for k in working("verify --artefact") if (k.family, k.pixels) == (kind.family, kind.pixels)]
            files = [folder / other.file for other in alike if other.file not in PARTNERS.values()]
            _, out, err = typed(capsys, *verified(partner(kind, folder), files, folder, "-1..1", kind.pixels))
            (folder / f"{one}.json").write_text(out if out else json.dumps(err))
    entries = {entry["artefact"]["name"]: entry for entry in json.loads((folder / f"{one}.json").read_text())}
    entry = entries[Path(kind.file).name]
    assert (entry["verdict"], entry["images"]) == (HOLDS, 40), entry["reason"]
    assert entry["max_difference"] <= kind.close


def check_adopt(kind: Kind, folder: Path, scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = typed(capsys, *adopted(kind, folder, scratch))
    assert code == 0, err
    assert err.endswith(f"next: unfreeze evaluate {scratch / 'run'}\n")
    run = load_run(scratch / "run")
    part = run.images.select("val")
    rows = [scan(folder / "pictures").paths.index(path) for path in part.paths]
    got = probabilities(load_model(run), load_part(run, "val").images)
    np.testing.assert_allclose(got, oracle(kind, folder)[rows], atol=kind.close)


CHECKS = dict(zip(COMMANDS, (check_inspect, check_predict, check_reference, check_artefact, check_adopt), strict=True))
