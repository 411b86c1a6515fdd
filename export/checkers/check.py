"""Does your pipeline answer as the model does?   python check.py [../model.onnx | ../model_int8.tflite | ...]"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

here, model = Path(__file__).parent, Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "../model.onnx")
if model.suffix == ".onnx":
    import onnxruntime

    session = onnxruntime.InferenceSession(model)
    predict = lambda pixels: session.run(None, {"image": pixels[None]})[0][0]  # noqa: E731
elif model.suffix == ".tflite":
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(model)).get_signature_runner("serve")
    predict = lambda pixels: runner(image=pixels[None])["probabilities"][0]  # noqa: E731
else:
    sys.exit("give an .onnx or a .tflite file")
# Put your own pipeline in place of `predict`: from uint8 RGB [height, width, 3] to a probability for each class.
golden = json.loads((here / "expected.json").read_text(encoding="utf-8"))
worst, wanted = 0.0, golden["artefacts"][model.name]
for image, expected in zip(golden["images"], wanted["probabilities"], strict=True):
    got = predict(np.asarray(Image.open(here / image["file"])))
    worst = float(np.maximum(worst, np.abs(got - expected).max()))  # NaN stays NaN
    print(image["file"], image["label"], [round(float(share), 4) for share in got])
right = worst <= wanted["tolerance"]
print(f"largest difference {worst:.2g}, {wanted['tolerance']} is allowed: {'ok' if right else 'WRONG'}")
sys.exit(not right)
