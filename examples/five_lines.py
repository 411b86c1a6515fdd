"""Search, export and verify in five lines.

python examples/five_lines.py PHOTOS RUN [--quick]
"""

import sys

from toolkit import api
from toolkit.settings import Settings

QUICK = Settings(weights="none", image_size=32, trials=1, head_epochs=1, tune_epochs=1)


def main(data: str, run: str, settings: Settings = Settings()) -> None:  # noqa: B008
    result = api.tune(data, run, settings=settings, on_trials=lambda trials: print(len(trials), "trials"))
    evaluation = api.evaluate(run)
    manifest = api.export(run, formats=["tflite", "onnx"], precisions=["float32"])
    parities = api.verify(run, threads=())
    print(result.spec, evaluation.accuracy, manifest.folder, {one.artefact.name: one.verdict for one in parities})


if __name__ == "__main__":  # verifying starts processes, which import this file
    main(*sys.argv[1:3], *([QUICK] if "--quick" in sys.argv else []))
