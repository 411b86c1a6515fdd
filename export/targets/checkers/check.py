"""Does your pipeline answer as the model does?   python check.py [../model.onnx | ../model_int8.tflite | ...]

Exit code 0: it does; 1: it does not; 2: a file is missing, damaged or another one."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)  # for Python; what native runtimes tell of themselves goes nowhere
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def load(model: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A function from uint8 [height, width, 3], RGB, or [height, width, 1], grey, to a probability for each class."""
    if model.suffix not in (".onnx", ".tflite"):
        raise ValueError("give an .onnx or a .tflite file")
    if model.suffix == ".onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return lambda pixels: session.run(None, {"image": pixels[None]})[0][0]
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(model)).get_signature_runner()
    kind = runner.get_input_details()["image"]["dtype"]  # float32 where the file is for a GPU: the same values
    return lambda pixels: runner(image=pixels[None].astype(kind))["probabilities"][0]


def stop(text: str) -> NoReturn:
    print(f"error: {' '.join(str(text).split())[:300]}", file=sys.stderr)
    sys.exit(2)


model = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "model.onnx"
try:
    golden = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
    shape = golden["input"]["shape"][1:]
    opened = [Image.open(HERE / image["file"]).convert("L" if shape[2] == 1 else "RGB") for image in golden["images"]]
    images = [np.asarray(image).reshape(shape) for image in opened]
    known = golden["artefacts"]
except Exception as error:
    stop(f"the golden pack is damaged ({type(error).__name__}: {error}); copy the whole folder anew")
if not model.exists():
    stop(f"{model}: there is no such file")
if model.name not in known:
    stop(f"{model}: the golden pack knows no such model, only {', '.join(known)}")
wanted = known[model.name]
try:
    predict = load(model)  # Put your own pipeline in its place.
    predict(np.zeros_like(images[0]))
except Exception as error:
    stop(f"{model} cannot be run: {error}")

worst = 0.0
for image, pixels, expected in zip(golden["images"], images, wanted["probabilities"], strict=True):
    got = np.asarray(predict(pixels))
    if got.shape != np.shape(expected):
        stop(f"{model}: an answer of shape {got.shape} where {len(expected)} probabilities were expected")
    worst = float(np.maximum(worst, np.abs(got - expected).max()))  # NaN stays NaN
    doubt = ["unsure"] if got.max() < golden.get("reject_below", 0) else []
    print(image["file"], image["label"], [round(float(share), 4) for share in got], *doubt)
right = worst <= wanted["tolerance"]
print(f"{model.name}: largest difference {worst:.2g}, {wanted['tolerance']} is allowed: {'ok' if right else 'WRONG'}")
if not right:
    print(
        "Usual reasons: BGR, pixels scaled before the model does it, another resize; a GPU delegate with an int8 file; "
        'OpenVINO without {"INFERENCE_PRECISION_HINT": "f32"}, which computes in bfloat16 on newer processors',
        file=sys.stderr,
    )
sys.exit(not right)
