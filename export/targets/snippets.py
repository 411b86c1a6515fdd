"""Code that loads an artefact and answers for one image, ready to paste: the right names, shapes and classes in it.

Every snippet decodes as the model was trained: EXIF orientation applied, RGB, stretched to the square by bilinear
interpolation without antialias. A name comes from a folder that anybody may have made, so each stands in its language's
own string literal, where nothing of it can end the string or be run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

INPUT, OUTPUT = "image", "probabilities"


@dataclass(frozen=True)
class Snippet:
    """One way to load one artefact."""

    title: str  # where it runs
    language: str  # "python" | "javascript" | "kotlin" | "swift"
    needs: str  # what has to be installed
    code: str


@dataclass(frozen=True)
class _Values:
    """What the templates below are filled with."""

    file: str  # name of the file, or its path from where the code runs
    size: int  # pixels
    names: tuple[str, ...]  # classes
    entry: str  # name of the input
    answer: str  # name of the output


def snippets(
    name: str, form: str, *, image_size: int, class_names: Sequence[str], description: Mapping[str, Any]
) -> tuple[Snippet, ...]:
    """For the artefact RUN/export/`name` of a format ("saved_model", "tflite", "onnx"), or "keras": RUN/model.keras.

    `image_size` in pixels. `description`: what the artefact says of itself, {} before an export.
    """
    entry = description.get("input", {}).get("name", INPUT)
    answer = description.get("output", {}).get("name", OUTPUT)
    names = tuple(description.get("class_names") or class_names)
    values = _Values(name, image_size, names, entry, answer)
    return tuple(
        Snippet(title, language, needs, _filled(template, values, LITERALS[language]))
        for title, language, needs, template in WAYS[form]
    )


def python_literal(text: str) -> str:
    """A Python string in ASCII."""
    return ascii(text)


def javascript_literal(text: str) -> str:
    """JSON in ASCII is JavaScript; "<" is escaped so that a script element can hold it."""
    return json.dumps(text).replace("<", "\\u003c")


def kotlin_literal(text: str) -> str:
    """Kotlin knows \\u with four digits; a dollar would begin a template."""
    units = (int.from_bytes(unit) for unit in _pairs(text.encode("utf-16-be", "surrogatepass")))
    return '"' + "".join(chr(u) if _plain(u) and chr(u) != "$" else f"\\u{u:04x}" for u in units) + '"'


def swift_literal(text: str) -> str:
    """Swift knows \\u{...}; a backslash is escaped, so none begins an interpolation."""
    return '"' + "".join(c if _plain(ord(c)) else f"\\u{{{ord(c):x}}}" for c in text) + '"'


def _pairs(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 2] for at in range(0, len(data), 2))


def _plain(code: int) -> bool:
    """Whether a character may stand in a string literal as it is."""
    return 32 <= code < 127 and chr(code) not in '"\\<'


LITERALS: dict[str, Callable[[str], str]] = {
    "python": python_literal,
    "javascript": javascript_literal,
    "kotlin": kotlin_literal,
    "swift": swift_literal,
}


def _filled(template: str, values: _Values, literal: Callable[[str], str]) -> str:
    return Template(template).substitute(
        file=literal(values.file),
        stem=literal(values.file.rpartition(".")[0] or values.file),
        size=values.size,
        classes=len(values.names),
        names=_listed([literal(name) for name in values.names]),
        entry=literal(values.entry),
        answer=literal(values.answer),
        entry_name=values.entry,
    )


def _listed(literals: Sequence[str]) -> str:
    """In one line, or where that is long in lines of their own between the brackets."""
    line = ", ".join(literals)
    if len(line) <= 80:
        return line
    return "\n" + "\n".join(f"    {one}" for one in _wrapped(literals)) + "\n"


def _wrapped(literals: Sequence[str], width: int = 92) -> list[str]:
    """The literals with their commas, as many in a line as fit; none is broken, as it may hold spaces."""
    lines = [""]
    for literal in literals:
        if lines[-1] and len(lines[-1]) + len(literal) + 2 > width:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{literal},"
    return lines


_PYTHON_PIXELS = """\
image = cv2.cvtColor(cv2.imread("photo.jpg"), cv2.COLOR_BGR2RGB)  # applies the EXIF orientation
image = cv2.resize(image, ($size, $size), interpolation=cv2.INTER_LINEAR)  # stretched, no antialias
batch = image[None]  # uint8 [1, $size, $size, 3], RGB, 0 to 255: normalisation is inside the model
"""
_PYTHON_END = """\
print(dict(zip(class_names, probabilities.tolist())))
"""
PYTHON_ONNX = f"""\
import cv2
import onnxruntime

class_names = [$names]
session = onnxruntime.InferenceSession($file)

{_PYTHON_PIXELS}
probabilities = session.run([$answer], {{$entry: batch}})[0][0]  # float32 [$classes]
{_PYTHON_END}"""
PYTHON_TFLITE = f"""\
import cv2
from ai_edge_litert.interpreter import Interpreter

class_names = [$names]
interpreter = Interpreter($file)
run = interpreter.get_signature_runner()

{_PYTHON_PIXELS}
probabilities = run($entry_name=batch)[$answer][0]  # float32 [$classes]
{_PYTHON_END}"""
PYTHON_SAVED_MODEL = f"""\
import cv2
import tensorflow as tf

class_names = [$names]
model = tf.saved_model.load($file)

{_PYTHON_PIXELS}
probabilities = model.serve(tf.constant(batch))[$answer][0].numpy()  # float32 [$classes]
{_PYTHON_END}"""
PYTHON_KERAS = f"""\
import cv2
import keras

class_names = [$names]
model = keras.saving.load_model($file, compile=False)

{_PYTHON_PIXELS}
probabilities = model.predict(batch, verbose=0)[0]  # float32 [$classes]
{_PYTHON_END}"""

_JAVASCRIPT_PIXELS = """\
async function pixelsOf(file) { // a File or Blob -> RGB, 0 to 255: normalisation is inside the model
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  const context = new OffscreenCanvas($size, $size).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "low"; // bilinear; "high" would smooth, which the model was not trained on
  context.fillStyle = "white";
  context.fillRect(0, 0, $size, $size); // under transparent images
  context.drawImage(bitmap, 0, 0, $size, $size); // stretched
  const rgba = context.getImageData(0, 0, $size, $size).data;
  const pixels = new Uint8Array($size * $size * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    pixels[to++] = rgba[from];
    pixels[to++] = rgba[from + 1];
    pixels[to++] = rgba[from + 2];
  }
  return pixels;
}
"""
JAVASCRIPT_BROWSER = f"""\
import * as ort from "onnxruntime-web";

const classNames = [$names];
const session = await ort.InferenceSession.create($file);

{_JAVASCRIPT_PIXELS}
export async function classify(file) {{
  const image = new ort.Tensor("uint8", await pixelsOf(file), [1, $size, $size, 3]);
  const answers = await session.run({{ [$entry]: image }});
  const probabilities = answers[$answer].data; // Float32Array [$classes]
  return classNames.map((name, label) => ({{ name, probability: probabilities[label] }}));
}}
"""
JAVASCRIPT_NODE = """\
import ort from "onnxruntime-node";
import sharp from "sharp";

const classNames = [$names];
const session = await ort.InferenceSession.create($file);

// Bilinear without antialias, half-pixel centres, edges clamped: as the model was trained.
export function resize(rgb, width, height, size = $size) {
  const pixels = new Uint8Array(size * size * 3);
  const along = (place, length) => {
    const at = Math.min(Math.max(((place + 0.5) * length) / size - 0.5, 0), length - 1);
    return [Math.floor(at), Math.min(Math.floor(at) + 1, length - 1), at - Math.floor(at)];
  };
  for (let y = 0, to = 0; y < size; y++) {
    const [top, bottom, down] = along(y, height);
    for (let x = 0; x < size; x++) {
      const [left, right, across] = along(x, width);
      for (let channel = 0; channel < 3; channel++) {
        const value = (row, column) => rgb[(row * width + column) * 3 + channel];
        const above = value(top, left) * (1 - across) + value(top, right) * across;
        const below = value(bottom, left) * (1 - across) + value(bottom, right) * across;
        pixels[to++] = Math.round(above * (1 - down) + below * down);
      }
    }
  }
  return pixels; // RGB, 0 to 255: normalisation is inside the model
}

export async function classify(path) {
  const decoded = sharp(path).rotate().flatten({ background: "white" }).toColourspace("srgb"); // rotate(): by EXIF
  const { data, info } = await decoded.raw().toBuffer({ resolveWithObject: true });
  const image = new ort.Tensor("uint8", resize(data, info.width, info.height), [1, $size, $size, 3]);
  const answers = await session.run({ [$entry]: image });
  const probabilities = answers[$answer].data; // Float32Array [$classes]
  return classNames.map((name, label) => ({ name, probability: probabilities[label] }));
}
"""

# InterpreterApi, not CompiledModel: the files take any number of images at once, and CompiledModel refuses an input
# whose shape is open (seen with LiteRT.js 2.5.3, "does not match expected ranked tensor type"), so browsers have none.
KOTLIN_TFLITE = """\
// build.gradle.kts: implementation("com.google.ai.edge.litert:litert:2.3.2"); the file goes into src/main/assets
import android.content.Context
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import java.io.FileInputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel
import org.tensorflow.lite.InterpreterApi

class Classifier(context: Context) : AutoCloseable {
    val classNames = listOf($names)
    private val interpreter = context.assets.openFd($file).use { file ->
        val channel = FileInputStream(file.fileDescriptor).channel
        val model = channel.map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
        InterpreterApi.create(model, InterpreterApi.Options().setNumThreads(2))
    }

    /** ImageDecoder applies the EXIF orientation; BitmapFactory would not. */
    fun classify(source: ImageDecoder.Source): Map<String, Float> {
        val decoded = ImageDecoder.decodeBitmap(source) { decoder, _, _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
        }
        return classNames.zip(probabilities(decoded).asList()).toMap()
    }

    fun probabilities(bitmap: Bitmap): FloatArray {
        val scaled = Bitmap.createScaledBitmap(bitmap, $size, $size, true) // stretched, bilinear
        val pixels = IntArray($size * $size)
        scaled.getPixels(pixels, 0, $size, 0, 0, $size, $size)
        val input = ByteBuffer.allocateDirect($size * $size * 3) // RGB, 0 to 255: normalisation is inside the model
        for (pixel in pixels) {
            input.put((pixel shr 16).toByte()).put((pixel shr 8).toByte()).put(pixel.toByte())
        }
        input.rewind()
        val output = ByteBuffer.allocateDirect($classes * 4).order(ByteOrder.nativeOrder())
        interpreter.run(input, output)
        output.rewind()
        return FloatArray($classes).also { output.asFloatBuffer().get(it) }
    }

    override fun close() = interpreter.close()
}
"""
KOTLIN_ONNX = """\
// build.gradle.kts: implementation("com.microsoft.onnxruntime:onnxruntime-android:latest.release")
// the file goes into src/main/assets
import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import android.content.Context
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import java.nio.ByteBuffer

class Classifier(context: Context) : AutoCloseable {
    val classNames = listOf($names)
    private val environment = OrtEnvironment.getEnvironment()
    private val session = environment.createSession(context.assets.open($file).use { it.readBytes() })

    /** ImageDecoder applies the EXIF orientation; BitmapFactory would not. */
    fun classify(source: ImageDecoder.Source): Map<String, Float> {
        val decoded = ImageDecoder.decodeBitmap(source) { decoder, _, _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
        }
        return classNames.zip(probabilities(decoded).asList()).toMap()
    }

    fun probabilities(bitmap: Bitmap): FloatArray {
        val scaled = Bitmap.createScaledBitmap(bitmap, $size, $size, true) // stretched, bilinear
        val pixels = IntArray($size * $size)
        scaled.getPixels(pixels, 0, $size, 0, 0, $size, $size)
        val input = ByteBuffer.allocateDirect($size * $size * 3) // RGB, 0 to 255: normalisation is inside the model
        for (pixel in pixels) {
            input.put((pixel shr 16).toByte()).put((pixel shr 8).toByte()).put(pixel.toByte())
        }
        input.rewind()
        val shape = longArrayOf(1, $size, $size, 3)
        return OnnxTensor.createTensor(environment, input, shape, OnnxJavaType.UINT8).use { image ->
            session.run(mapOf($entry to image), setOf($answer)).use { answers ->
                (answers[0].value as Array<*>)[0] as FloatArray
            }
        }
    }

    override fun close() = session.close()
}
"""

_SWIFT_PIXELS = """\
/// RGB, 0 to 255, [$size, $size, 3]: upright, stretched, bilinear without antialias, as the model was trained.
func pixels(of photo: UIImage) -> Data {
    let format = UIGraphicsImageRendererFormat()
    format.scale = 1
    format.opaque = true
    let area = CGRect(origin: .zero, size: photo.size)
    let upright = UIGraphicsImageRenderer(size: photo.size, format: format).image { context in
        UIColor.white.setFill()
        context.fill(area)
        photo.draw(in: area) // applies the orientation
    }.cgImage!
    let (width, height) = (upright.width, upright.height)
    var rgba = [UInt8](repeating: 255, count: width * height * 4)
    let context = CGContext(
        data: &rgba, width: width, height: height, bitsPerComponent: 8, bytesPerRow: width * 4,
        space: CGColorSpace(name: CGColorSpace.sRGB)!, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)!
    context.draw(upright, in: CGRect(x: 0, y: 0, width: width, height: height))
    rgba = Array(UnsafeRawBufferPointer(start: context.data!, count: rgba.count))

    func along(_ place: Int, _ length: Int) -> (Int, Int, Float) {
        let at = min(max((Float(place) + 0.5) * Float(length) / $size - 0.5, 0), Float(length - 1))
        return (Int(at), min(Int(at) + 1, length - 1), at - Float(Int(at)))
    }
    var result = Data(capacity: $size * $size * 3)
    for y in 0..<$size {
        let (top, bottom, down) = along(y, height)
        for x in 0..<$size {
            let (left, right, across) = along(x, width)
            for channel in 0..<3 {
                func value(_ row: Int, _ column: Int) -> Float { Float(rgba[(row * width + column) * 4 + channel]) }
                let above = value(top, left) * (1 - across) + value(top, right) * across
                let below = value(bottom, left) * (1 - across) + value(bottom, right) * across
                result.append(UInt8((above * (1 - down) + below * down).rounded()))
            }
        }
    }
    return result
}
"""
SWIFT_TFLITE = f"""\
// Podfile: pod 'TensorFlowLiteSwift'; the file goes into the app's bundle
import TensorFlowLite
import UIKit

let classNames = [$names]

final class Classifier {{
    private let interpreter: Interpreter

    init() throws {{
        interpreter = try Interpreter(modelPath: Bundle.main.path(forResource: $stem, ofType: "tflite")!)
        try interpreter.allocateTensors()
    }}

    func probabilities(of photo: UIImage) throws -> [Float] {{ // $classes, in the order of classNames
        try interpreter.copy(pixels(of: photo), toInputAt: 0)
        try interpreter.invoke()
        return try interpreter.output(at: 0).data.withUnsafeBytes {{ Array($$0.bindMemory(to: Float.self)) }}
    }}
}}

{_SWIFT_PIXELS}"""
SWIFT_ONNX = f"""\
// Podfile: pod 'onnxruntime-objc'; the file goes into the app's bundle
import onnxruntime_objc
import UIKit

let classNames = [$names]

final class Classifier {{
    private let environment: ORTEnv
    private let session: ORTSession

    init() throws {{
        environment = try ORTEnv(loggingLevel: .warning)
        let path = Bundle.main.path(forResource: $stem, ofType: "onnx")!
        session = try ORTSession(env: environment, modelPath: path, sessionOptions: nil)
    }}

    func probabilities(of photo: UIImage) throws -> [Float] {{ // $classes, in the order of classNames
        let data = NSMutableData(data: pixels(of: photo))
        let image = try ORTValue(tensorData: data, elementType: .uInt8, shape: [1, $size, $size, 3])
        let answers = try session.run(withInputs: [$entry: image], outputNames: [$answer], runOptions: nil)
        let answer = try answers[$answer]!.tensorData() as Data
        return answer.withUnsafeBytes {{ Array($$0.bindMemory(to: Float.self)) }}
    }}
}}

{_SWIFT_PIXELS}"""

WAYS: dict[str, tuple[tuple[str, str, str, str], ...]] = {  # (where it runs, language, what it needs, template)
    "keras": (("Python", "python", "pip install keras tensorflow opencv-python-headless", PYTHON_KERAS),),
    "saved_model": (("Python", "python", "pip install tensorflow opencv-python-headless", PYTHON_SAVED_MODEL),),
    "tflite": (
        ("Python", "python", "pip install ai-edge-litert opencv-python-headless", PYTHON_TFLITE),
        ("Android, Kotlin", "kotlin", "com.google.ai.edge.litert:litert", KOTLIN_TFLITE),
        ("iOS, Swift", "swift", "TensorFlowLiteSwift", SWIFT_TFLITE),
    ),
    "onnx": (
        ("Python", "python", "pip install onnxruntime opencv-python-headless", PYTHON_ONNX),
        ("Browser, JavaScript", "javascript", "npm install onnxruntime-web", JAVASCRIPT_BROWSER),
        ("Node, JavaScript", "javascript", "npm install onnxruntime-node sharp", JAVASCRIPT_NODE),
        ("Android, Kotlin", "kotlin", "com.microsoft.onnxruntime:onnxruntime-android", KOTLIN_ONNX),
        ("iOS, Swift", "swift", "onnxruntime-objc", SWIFT_ONNX),
    ),
}
