"""TFLite metadata (schema M001): written and read with flatbuffers and the schema that LiteRT ships.

The labels are appended as a stored zip, which MediaPipe Tasks reads; the whole description is a custom entry.
No maintained writer of this format works beside the current TensorFlow.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from export.description import LONGEST_DESCRIPTION, channels
from export.formats.tflite_rewrites import close_shapes, float_softmax, name_ends

LABELS = "labels.txt"
ENTRY = "unfreeze.json"  # the name of the custom metadata
BUFFER = "TFLITE_METADATA"
KINDS = {  # what the file says of itself where not every processor runs it
    **dict.fromkeys(("int8", "int16x8"), "image classifier for CPU and NPU; GPU delegates compute it wrongly"),
    "float16_gpu": "image classifier for GPU and CPU, whose pixels are float32, 0 to 255",
}

# Field numbers and enum values of metadata_schema.fbs.
IMAGE, FEATURE = 2, 1  # ContentProperties
RGB, GREYSCALE = 1, 2  # ColorSpaceType
NORMALIZATION = 1  # ProcessUnitOptions
TENSOR_AXIS_LABELS = 2  # AssociatedFileType


def attach(model: bytes, description: dict[str, Any]) -> bytes:
    """The TFLite file, rewritten for all clients, with its metadata and its label file."""
    parsed = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    float_softmax(parsed)
    close_shapes(parsed)
    name_ends(parsed, description["input"]["name"], description["output"]["name"])
    buffer = schema.BufferT()
    buffer.data = list(_metadata(description))
    parsed.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = BUFFER, len(parsed.buffers) - 1
    parsed.metadata = [*(parsed.metadata or []), entry]
    builder = flatbuffers.Builder(4096)
    builder.Finish(parsed.Pack(builder), file_identifier=b"TFL3")
    out = io.BytesIO()
    out.write(builder.Output())
    with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as archive:
        for name, text in _files(description).items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)  # fixed date: equal bytes each time
    return out.getvalue()


def description_in(model: bytes) -> str | None:
    """The description in a TFLite file written here, in JSON, its class names those of the label file, which others
    read; None where there is none. Raises ValueError if the two are not what they should be."""
    try:
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            sizes = [archive.getinfo(name).file_size for name in (LABELS, ENTRY)]
            if sum(sizes) > LONGEST_DESCRIPTION:
                raise ValueError(f"its description has {sum(sizes):,} bytes, more than {LONGEST_DESCRIPTION:,}")
            labels, entry = archive.read(LABELS).decode().splitlines(), json.loads(archive.read(ENTRY))
    except (zipfile.BadZipFile, KeyError):
        return None
    except (NotImplementedError, RuntimeError, RecursionError) as error:  # of zipfile, and of json
        raise ValueError(f"its description cannot be read ({error})") from None
    return json.dumps(entry | {"class_names": labels} if isinstance(entry, dict) else entry)


def _files(description: dict[str, Any]) -> dict[str, str]:
    return {
        LABELS: "\n".join(description["class_names"]) + "\n",
        ENTRY: json.dumps(description, ensure_ascii=False),
    }


def _metadata(description: dict[str, Any]) -> bytes:
    """The M001 flatbuffer: one sub-graph with an image input of 0 to 255 and an output whose axis has labels. MediaPipe
    Tasks refuses an image that is not RGB; the schema knows grey all the same."""
    b = flatbuffers.Builder(1024)
    name, colours = ("RGB", RGB) if channels(description) == 3 else ("grey", GREYSCALE)
    image = _tensor(
        b,
        name=description["input"]["name"],
        text=f"{name} image, 0 to 255, " + description["input"]["resize"],
        content=(IMAGE, _table(b, 2, {0: ("int8", colours)})),
        highest=255.0,
        units=_vector(b, [_process_unit(b)]),
    )
    labels = _table(
        b, 5, {0: b.CreateString(LABELS), 1: b.CreateString("class names"), 2: ("int8", TENSOR_AXIS_LABELS)}
    )
    output = _tensor(
        b,
        name=description["output"]["name"],
        text="probability of each class",
        content=(FEATURE, _table(b, 0, {})),
        highest=1.0,
        files=_vector(b, [labels]),
    )
    graph = _table(b, 10, {2: _vector(b, [image]), 3: _vector(b, [output])})
    fields = {
        0: b.CreateString("unfreeze"),
        1: b.CreateString(KINDS.get(str(description.get("precision")), "image classifier")),
        2: b.CreateString(str(description["unfreeze"])),
        3: _vector(b, [graph]),
        5: b.CreateString(str(description["license"])),
        7: b.CreateString("1.0.0"),
    }
    b.Finish(_table(b, 8, fields), file_identifier=b"M001")
    return bytes(b.Output())


def _tensor(
    b: flatbuffers.Builder,
    *,
    name: str,
    text: str,
    content: tuple[int, int],
    highest: float,
    units: int | None = None,
    files: int | None = None,
) -> int:
    """TensorMetadata: name, description, content, process units, value range, associated files."""
    statistics = _table(b, 2, {0: _floats(b, [highest]), 1: _floats(b, [0.0])})
    properties = _table(b, 3, {0: ("uint8", content[0]), 1: content[1]})
    fields: dict[int, Any] = {0: b.CreateString(name), 1: b.CreateString(text), 3: properties, 5: statistics}
    fields |= {4: units} if units is not None else {}
    fields |= {6: files} if files is not None else {}
    return _table(b, 7, fields)


def _process_unit(b: flatbuffers.Builder) -> int:
    """Mean 0 and deviation 1: the model normalises inside, and MediaPipe must not do it again."""
    options = _table(b, 2, {0: _floats(b, [0.0]), 1: _floats(b, [1.0])})
    return _table(b, 2, {0: ("uint8", NORMALIZATION), 1: options})


def _table(b: flatbuffers.Builder, slots: int, fields: dict[int, Any]) -> int:
    b.StartObject(slots)
    for slot, value in fields.items():
        if isinstance(value, tuple):
            kind, number = value
            (b.PrependUint8Slot if kind == "uint8" else b.PrependInt8Slot)(slot, number, 0)
        else:
            b.PrependUOffsetTRelativeSlot(slot, value, 0)
    return b.EndObject()


def _vector(b: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _floats(b: flatbuffers.Builder, values: Sequence[float]) -> int:
    b.StartVector(4, len(values), 4)
    for value in reversed(values):
        b.PrependFloat32(value)
    return b.EndVector()
