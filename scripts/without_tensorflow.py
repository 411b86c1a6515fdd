"""Two model files verified in an environment in which TensorFlow, Keras and KerasTuner were never installed.

    python scripts/without_tensorflow.py FOLDER --reference a.onnx --artefact b.onnx --data DIR --pixels 0..1

Makes FOLDER/venv with the wheel of the last commit and the dependencies that ONNX and TFLite files need, then types
`unfreeze verify` with the other arguments. Needs git, `build` and a package index. Exits as that does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
import venv
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LEFT_OUT = ("tensorflow", "keras", "keras-tuner", "tensorboard", "tf2onnx", "scikit-learn")


def needed(project: Path = ROOT / "pyproject.toml") -> list[str]:
    """The dependencies that are not left out, with their bounds."""
    lines = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [line for line in lines if Requirement(line).name not in LEFT_OUT]


def make(folder: Path) -> Path:
    """The interpreter of the new environment."""
    venv.create(folder / "venv", with_pip=True, clear=True)
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([sys.executable, ROOT / "scripts" / "wheel.py", folder / "dist"], check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    for packages in (needed(), ["--no-deps", str(wheel)]):
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    made = make(Path(sys.argv[1]).absolute())
    for name in LEFT_OUT[:3]:
        module = name.replace("-", "_")
        found = subprocess.run([made, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0
        assert not found, f"{module} is there"
    started = time.perf_counter()
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = subprocess.run([made, "-m", "unfreeze", "verify", *sys.argv[2:]], env=outside, check=False).returncode
    print(f"{time.perf_counter() - started:.1f} s, exit {code}", file=sys.stderr)
    sys.exit(code)
