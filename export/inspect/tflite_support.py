"""What of a phone runs a TFLite file: the plain runtime, the GPU delegate, MediaPipe Tasks."""

from __future__ import annotations

from collections.abc import Iterator

from export.inspect.model_file import NO, PERHAPS, YES, Support, cut
from export.inspect.tflite_description import TfliteDescription
from export.inspect.tflite_graph import TfliteFile

IN_RUNTIME = {"TFLite_Detection_PostProcess", "Mfcc", "AudioSpectrogram", "NumericVerify"}  # custom, and registered
ON_GPU = {  # operators that the GPU delegate has taken in floats for years
    *("ABS", "ADD", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CONCATENATION", "CONV_2D", "COS", "DEPTHWISE_CONV_2D", "DIV"),
    *("ELU", "EXP", "FULLY_CONNECTED", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN"),
    *("MINIMUM", "MIRROR_PAD", "MUL", "NEG", "PACK", "PAD", "POW", "PRELU", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"),
    *("RELU", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SIN", "SLICE", "SOFTMAX"),
    *("SPACE_TO_DEPTH", "SPLIT_V", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "STRIDED_SLICE", "SUB", "SUM", "TANH"),
    *("TRANSPOSE", "TRANSPOSE_CONV"),
}
FLOATS = ("float32", "float16")


def support(file: TfliteFile, described: TfliteDescription) -> tuple[Support, ...]:
    return (_runtime(file), _gpu(file), _media_pipe(file, described))


def _runtime(file: TfliteFile) -> Support:
    custom = {one.name for graph in file.graphs for one in graph.operators if one.custom} - IN_RUNTIME
    flex = sorted(name for name in custom if name.startswith("Flex"))
    others = sorted(custom - set(flex))
    where = "TFLite runtime (CPU)"
    if others:
        return Support(where, NO, f"its author's own operators {_named(others)} have to be linked to the app")
    if flex:
        return Support(where, NO, f"{_named(flex)} need the larger library with TensorFlow operators (Flex)")
    wide = any(one.dtype == "int16" and one.scales for one in file.graphs[0].tensors)
    return Support(where, YES, "built-in operators only" + (", but int16 activations are slow there" if wide else ""))


def _gpu(file: TfliteFile) -> Support:
    where, graph = "GPU delegate", file.graphs[0]
    integers = {one.dtype for one in graph.tensors if one.scales and not one.constant}
    entry = next((one.dtype for one in graph.inputs if one.dtype not in FLOATS), "")
    if entry or integers:
        what = f"its input is {entry}" if entry else f"its activations are {' and '.join(sorted(integers))}"
        return Support(where, NO, f"{what}; it takes floats only, and may answer wrongly without an error")
    not_taken = sorted({one.name for one in graph.operators} - ON_GPU - {"DEQUANTIZE"})
    if not_taken:
        return Support(where, PERHAPS, f"{_named(not_taken)} may stay on the CPU")
    if any(one.constant and one.dtype in ("int8", "uint8", "int4") for one in graph.tensors):
        return Support(where, PERHAPS, "its weights are integers, which not every release of it takes")
    return Support(where, YES, "floats, and operators that it has")


def _media_pipe(file: TfliteFile, described: TfliteDescription) -> Support:
    """By what MediaPipe Tasks asks of a model for its ImageClassifier."""
    reasons = list(_refusals(file, described))
    where = "MediaPipe ImageClassifier"
    if reasons:
        return Support(where, NO, "; ".join(reasons))
    if not described.label_files:
        return Support(where, YES, "without labels: its answers are numbers of classes")
    return Support(where, YES, "one image in, scores out, labels in its metadata")


def _refusals(file: TfliteFile, described: TfliteDescription) -> Iterator[str]:
    inputs, outputs = file.graphs[0].inputs, file.graphs[0].outputs
    if len(inputs) != 1 or len(outputs) != 1:
        yield f"it has {len(inputs)} inputs and {len(outputs)} outputs"
        return
    shape = inputs[0].shape
    if len(shape) != 4 or shape[0] != 1 or shape[3] != 3:
        yield f"its input is {list(shape)}, not [1, height, width, 3]"
    if inputs[0].dtype not in ("uint8", "float32"):
        yield f"its input is {inputs[0].dtype}, not uint8 or float32"
    elif inputs[0].dtype == "float32" and described.normalisation is None:
        have = "its metadata have none" if "TFLITE_METADATA" in file.metadata else "it has no metadata"
        yield f"a float32 input needs NormalizationOptions in the metadata: {have}"
    if outputs[0].dtype not in ("uint8", "float32"):
        yield f"its output is {outputs[0].dtype}, not uint8 or float32"


def _named(names: list[str]) -> str:
    return ", ".join(cut(name, 40) for name in names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
