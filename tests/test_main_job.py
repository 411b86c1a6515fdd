"""The main job, through the command line, on real photographs with pre-trained weights."""

from __future__ import annotations

import csv
import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from export.runtimes.cpu import instruction_sets
from toolkit.pixels.decode import decode
from toolkit.process.cores import cores

ROOT = Path(__file__).parents[1]
PHOTOGRAPHS = {"train": 120, "test": 80}  # of each class


def overflows() -> bool:
    """Whether sums of 8-bit products may overflow in onnxruntime's kernels here, so that width 0.35, which is hard to
    round, may lose too much: on x86 without VNNI."""
    return platform.machine() in ("x86_64", "AMD64") and not {"avx512_vnni", "avx_vnni"} & {*instruction_sets()}


@pytest.mark.real
def test_the_main_job_on_real_photographs(shared: Path, tmp_path: Path) -> None:
    data, run = tmp_path / "pets", tmp_path / "run"
    for part, count in PHOTOGRAPHS.items():
        for name in ("cat", "dog"):
            (data / part / name).mkdir(parents=True)
            for photograph in sorted((shared / "data" / "cats_dogs" / part / name).iterdir())[:count]:
                shutil.copy(photograph, data / part / name)
    weights = shared / "weights" / "mobilenet_v2_0.35_224_no_top.weights.h5"
    command = [sys.executable, "-m", "unfreeze", "run", str(data), str(run), "--weights", str(weights)]
    options = "--alpha 0.35 --image-size 96 --trials 3 --head-epochs 4 --tune-epochs 3 --unfreeze 0,1,2 --batch-size 16"
    ended = subprocess.run([*command, *options.split()], cwd=ROOT, capture_output=True, text=True, check=False)
    broken = ended.stderr.splitlines()[-1] == "error: model_int8.onnx does not hold" and overflows()
    assert ended.returncode == (1 if broken else 0), ended.stderr

    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["images"] == 160
    assert metrics["accuracy"] >= 0.8  # 0.86 is what a logistic regression reaches with 1,399 images at this size
    with (run / "trials.csv").open(newline="") as file:
        trials = list(csv.DictReader(file))
    assert {trial["status"] for trial in trials} == {"COMPLETED"}
    assert [trial["parent"] != "" for trial in trials] == [False] * 3 + [True] * 3  # 3 heads, 2 and then 1 fine-tuned
    parities = json.loads((run / "parity.json").read_text())
    assert len(parities) == 8
    for parity in parities:
        if broken and parity["artefact"]["name"] == "model_int8.onnx":
            continue
        assert parity["verdict"] in ("holds", "undecided"), parity
        assert parity["images"] == 160
        assert len(parity["timings"]) == len({1, cores()})
        if parity["artefact"]["precision"] == "float32":
            assert (parity["verdict"], parity["agreement"], parity["accuracy"]) == ("holds", 1, metrics["accuracy"])
        else:  # width 0.35 at 96 px is hard to round
            assert parity["agreement"] >= (0.95 if parity["artefact"]["precision"] == "float16" else 0.85)
    for picture in ("confusion", "learning_curves", "mistakes", "trials"):
        assert (run / "plots" / f"{picture}.png").stat().st_size > 5000

    # A client's view: only the ONNX file, onnxruntime and the decoder.
    session = onnxruntime.InferenceSession(run / "export" / "model.onnx")
    names = json.loads(session.get_modelmeta().custom_metadata_map["unfreeze"])["class_names"]
    right = 0
    for label, name in enumerate(names):
        files = sorted((data / "test" / name).iterdir())
        pixels = np.stack([decode(file, 96) for file in files])
        right += int((session.run(None, {"image": pixels})[0].argmax(1) == label).sum())
    assert right / 160 == pytest.approx(metrics["accuracy"])
