"""Files that are damaged, that are something else, or that want to harm: each gets one line; nothing runs or hangs."""

from __future__ import annotations

import io
import json
import pickle
import struct
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export.formats.tflite_metadata import attach
from export.inspect import inspection
from export.inspect.file_kind import kind_of
from export.inspect.image_input import image_input
from export.inspect.inspection import inspect
from export.inspect.pixels import pixel_hints
from tests.elsewhere import classifier, to_onnx, to_tflite
from tests.test_cli import typed
from tests.test_inspect_graphs import described
from toolkit.errors import UnfreezeError

FORMATS = ("m.tflite", "m.onnx", "m.keras", "m.h5")
SECONDS = 5.0  # for a file of some kilobytes, on a busy machine


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A good file of each format."""
    made, model = tmp_path_factory.mktemp("good"), classifier()
    path = to_tflite(model, made / "m.tflite")
    path.write_bytes(attach(path.read_bytes(), described(["cat", "dog"])))
    to_onnx(model, made / "m.onnx")
    model.save(made / "m.keras")
    model.save(made / "m.h5")
    return {name: (made / name).read_bytes() for name in FORMATS}


def refusal(capsys: pytest.CaptureFixture, path: Path) -> str:
    """The one line with which `unfreeze inspect` ends."""
    code, out, err = typed(capsys, "inspect", path)
    assert (code, out) == (2, ""), err
    assert err.startswith(f"error: {path}")
    assert err.count("\n") == 1
    assert err.strip().isprintable()
    return err.strip()


def zipped(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return made.getvalue()


OTHERS: dict[str, tuple[bytes, str]] = {
    "lfs.tflite": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n", "is a Git LFS pointer"),
    "lfs.onnx": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n", "is a Git LFS pointer"),
    "page.tflite": (b"\n<!DOCTYPE html><html><body>Not found</body></html>", "is a web page"),
    "page.keras": (b"<html>", "is a web page"),
    "empty.onnx": (b"", "is empty"),
    "zeros.h5": (bytes(5000), "is empty (zeros only)"),
    "random.tflite": (np.random.default_rng(1).bytes(5000), "does not begin as .tflite files do"),
    "random.keras": (np.random.default_rng(2).bytes(5000), "does not begin as .keras files do"),
    "random.bin": (b"\x07" + np.random.default_rng(3).bytes(5000), "begins as no model file"),
    "random.onnx": (np.random.default_rng(4).bytes(5000), "cannot be read as ONNX"),
    "one.bin": (b"\x08", "begins as no model file"),
    "text.onnx": (b"cat\ndog\n", "cannot be read as ONNX"),
    "frozen.pb": (b"\x0a\x0bhello", "is a single .pb file"),
    "old.pt": (pickle.dumps({"a": 1}, 2), "is a pickle, which runs code"),
    "new.pt": (zipped(model__data_dot_pkl=b"x"), "is a PyTorch file"),
    "face.task": (zipped(face_dot_tflite=b"x"), "is a bundle that holds TFLite files"),
    "saved.zip": (zipped(m__saved_model_dot_pb=b"x"), "is an archive that holds a model"),
    "other.keras": (zipped(readme=b"x"), "is an archive without config.json"),
    "gzip.h5": (b"\x1f\x8b" + bytes(100) + b"x", "is a gzip archive"),
    "m.ort": (b"\x10\0\0\0ORTM" + bytes(50), "onnxruntime's own format"),
    "magic.tflite": (b"\x1c\0\0\0TFL3", "cannot be read as TFLite"),
    "magic.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "cannot be read as HDF5"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_model_is_said_in_a_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    content, wanted = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    assert wanted in refusal(capsys, tmp_path / name)


def test_folders_and_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert "does not exist" in refusal(capsys, tmp_path / "gone.onnx")
    (tmp_path / "folder").mkdir()
    assert "is a folder without saved_model.pb" in refusal(capsys, tmp_path / "folder")
    (tmp_path / "folder" / "model.json").write_text("{}")
    assert "is a folder of TensorFlow.js" in refusal(capsys, tmp_path / "folder")
    (tmp_path / "folder" / "saved_model.pb").write_bytes(b"\xff" * 50)
    assert "saved_model.pb is damaged" in refusal(capsys, tmp_path / "folder")


@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_file(name: str, contents: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / name
    path.write_bytes(contents[name][: len(contents[name]) // 2])
    refusal(capsys, path)


def test_the_content_counts_and_not_the_suffix(contents: dict[str, bytes], tmp_path: Path) -> None:
    for name, wanted in zip(FORMATS, ("TFLite", "ONNX", "Keras", "Keras HDF5"), strict=True):
        (tmp_path / "model.bin").write_bytes(contents[name])
        assert inspect(tmp_path / "model.bin").file.format == wanted


# Bombs


def test_a_keras_file_that_inflates(contents: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with zipfile.ZipFile(io.BytesIO(contents["m.keras"])) as archive:
        config = archive.read("config.json")
    bombs = {"weights": zipped(config_dot_json=config, model_dot_weights_dot_h5=bytes(200 << 20))}
    bombs["config"] = zipped(config_dot_json=b" " * (40 << 20))
    for name, content in bombs.items():
        (tmp_path / f"{name}.keras").write_bytes(content)
        assert "it inflates" in refusal(capsys, tmp_path / f"{name}.keras")


def test_labels_that_inflate(contents: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    content = contents["m.tflite"]
    path.write_bytes(content[: content.index(b"PK\x03\x04")])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(100 << 20))
    told = inspect(path)
    assert told.file.labels is None
    assert "labels.txt" in told.file.notes[0]


def test_an_array_of_terabytes_in_hdf5(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))
    assert "holds an array of" in refusal(capsys, tmp_path / "m.h5")


def aliased(graphs: int, tensors: int, operands: int) -> bytes:
    """A TFLite file in which all graphs are one graph, all its tensors and operators one."""
    out = bytearray(b"\0\0\0\0TFL3")

    def table(fields: dict[int, bytes], slots: int) -> int:
        """Its position; a field of 4 bytes each, the offsets to be filled later."""
        entries = {slot: 4 + 4 * number for number, slot in enumerate(fields)}
        out.extend(bytes(-len(out) % 4))
        start = len(out)
        out.extend(struct.pack("<HH", 4 + 2 * slots, 4 + 4 * len(fields)))
        out.extend(b"".join(struct.pack("<H", entries.get(slot, 0)) for slot in range(slots)))
        out.extend(bytes(-len(out) % 4))
        position = len(out)
        out.extend(struct.pack("<i", position - start) + b"".join(fields.values()))
        return position

    def point(position: int, number: int, target: int) -> None:
        place = position + 4 + 4 * number
        struct.pack_into("<I", out, place, target - place)

    def vector(count: int) -> int:
        out.extend(bytes(-len(out) % 4))
        position = len(out)
        out.extend(struct.pack("<I", count) + bytes(4 * count))
        return position

    hole = bytes(4)
    model = table({0: struct.pack("<I", 3), 1: hole, 2: hole}, 3)
    struct.pack_into("<I", out, 0, model)
    graph_list, codes = vector(graphs), vector(1)
    point(model, 1, codes)
    point(model, 2, graph_list)
    graph = table({0: hole, 3: hole}, 4)
    tensor_list, operator_list = vector(tensors), vector(tensors)
    point(graph, 0, tensor_list)
    point(graph, 1, operator_list)
    tensor, code = table({1: hole}, 2), table({3: hole}, 4)
    operator, operand_list = table({0: hole, 1: hole}, 2), vector(operands)
    point(operator, 1, operand_list)
    for start, count, target in (
        (graph_list, graphs, graph),
        (codes, 1, code),
        (tensor_list, tensors, tensor),
        (operator_list, tensors, operator),
    ):
        for number in range(count):
            point(start, number, target)
    return bytes(out)


@pytest.mark.long
def test_a_small_tflite_file_that_refers_to_itself_again_and_again(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "good.tflite").write_bytes(aliased(1, 3, 2))
    assert inspect(tmp_path / "good.tflite").file.operators == {"ADD": 3}
    for number, how in enumerate(((2000, 2000, 1), (1, 2000, 5000))):
        path = tmp_path / f"{number}.tflite"
        path.write_bytes(aliased(*how))
        begun = time.monotonic()
        assert "more than 1,000,000 tensors" in refusal(capsys, path)
        assert time.monotonic() - begun < 30


def test_a_reader_that_needs_too_much_memory_or_time(
    contents: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the process of its own, as it is for a real file."""
    path = tmp_path / "m.tflite"
    path.write_bytes(contents["m.tflite"])
    if sys.platform == "linux":  # elsewhere memory is not limited
        monkeypatch.setattr(inspection, "_read", _greedy)
        with pytest.raises(UnfreezeError, match="more memory"):
            inspect(path)
    monkeypatch.setattr(inspection, "_read", _endless)
    monkeypatch.setattr(inspection, "SECONDS", 2.0)
    with pytest.raises(UnfreezeError, match="does not answer within 2 s"):
        inspect(path)


def _greedy(path: Path, kind: str) -> Any:
    inspection._bound_memory(path)
    try:
        return len(b"\1" * (inspection.MEMORY * 2))
    except MemoryError:
        raise UnfreezeError("it takes more memory") from None


def _endless(path: Path, kind: str) -> Any:
    while True:
        time.sleep(1)


# Text from a file


def test_text_from_a_file_controls_no_terminal(
    contents: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    evil = "\x1b[2J\u202egpj\x07\n" + "x" * 100_000
    path = tmp_path / "m.onnx"
    path.write_bytes(contents["m.onnx"])
    stored = onnx.load(path)
    stored.producer_name = stored.doc_string = evil
    stored.graph.output[0].name = stored.graph.node[-1].output[0] = evil
    onnx.helper.set_model_props(stored, {evil: evil, "names": json.dumps([evil, "b"])})
    onnx.save(stored, path)
    code, out, err = typed(capsys, "inspect", path)
    assert code == 0
    assert all(line.isprintable() for text in (out, err) for line in text.splitlines())
    assert max(map(len, out.splitlines())) < 1000
    assert "\\x1b[2J\\u202egpj" in out
    code, out, _ = typed(capsys, "inspect", path, "--json")
    assert len(out) < 50_000
    assert json.loads(out)["labels"][1] == "b"


# Mutations


@pytest.fixture
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, whose memory is not to be limited."""
    monkeypatch.setattr(inspection, "_bound_memory", lambda path: None)


def mutated(content: bytes, places: list[tuple[int, int, bytes]]) -> bytes:
    """At each place so many bytes are replaced by others."""
    for start, count, others in places:
        at = start % (len(content) + 1)
        content = content[:at] + others + content[at + count :]
    return content


CHANGE = st.tuples(
    st.integers(0, 1 << 20),
    st.integers(0, 40),
    st.one_of(st.binary(max_size=12), st.sampled_from([b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", bytes(4), bytes(40)])),
)


def read_or_refused(path: Path) -> None:
    """Nothing but UnfreezeError may come, in a line, and soon."""
    begun, reason = time.process_time(), ""
    try:
        file = inspection._read(path, kind_of(path))
        image_input(file.inputs)
        pixel_hints(file)
    except UnfreezeError as error:
        reason = str(error)
    assert "\n" not in reason
    assert time.process_time() - begun < SECONDS


def peak_memory() -> float:
    """MB that this process has held at most; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM")), 0.0)


@pytest.mark.parametrize("name", ["m.tflite", "m.onnx", "m.keras"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(CHANGE, min_size=1, max_size=6))
def test_mutated_files(
    name: str, places: list[Any], contents: dict[str, bytes], unbounded: None, tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / f"mutated_{name}"
    path.write_bytes(mutated(contents[name], places))
    before = peak_memory()
    read_or_refused(path)
    assert peak_memory() - before < 500


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_keras_configuration_of_anything(
    data: st.DataObject, contents: dict[str, bytes], unbounded: None, tmp_path_factory: Any
) -> None:
    """Values of a good configuration are exchanged for others of any type."""
    with zipfile.ZipFile(io.BytesIO(contents["m.keras"])) as archive:
        config = json.loads(archive.read("config.json"))
    spots: list[tuple[Any, Any]] = []
    waiting: list[Any] = [config]
    while waiting:
        entry = waiting.pop()
        items = entry.items() if isinstance(entry, dict) else enumerate(entry)
        for key, value in list(items):
            spots.append((entry, key))
            if isinstance(value, (dict, list)):
                waiting.append(value)
    anything = st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
        max_leaves=6,
    )
    for entry, key in data.draw(st.lists(st.sampled_from(spots), min_size=1, max_size=4)):
        if key in entry if isinstance(entry, dict) else key < len(entry):
            entry[key] = data.draw(anything)
    path = tmp_path_factory.getbasetemp() / "config.keras"
    path.write_bytes(zipped(config_dot_json=json.dumps(config).encode(), metadata_dot_json=b"{}"))
    read_or_refused(path)


@pytest.mark.long
def test_mutated_hdf5_files(contents: dict[str, bytes], tmp_path: Path) -> None:
    """Each in a process of its own: HDF5 is a C library."""
    rng = np.random.default_rng(0)
    reasons = []
    for number in range(25):
        content = bytearray(contents["m.h5"])
        for at in rng.integers(0, len(content), 1 + number):
            content[at] = rng.integers(256)
        path = tmp_path / f"{number}.h5"
        path.write_bytes(content)
        try:
            inspect(path)
            reasons.append("")
        except UnfreezeError as error:
            reasons.append(str(error))
    assert not any("\n" in reason for reason in reasons)
    assert 0 < reasons.count("") < len(reasons)
