"""An estimate of the time that `unfreeze run` takes after its search: test, exports, their proof, report."""

from __future__ import annotations

START = 10.0  # seconds: runtimes are loaded, pictures drawn, the report written
FILE = 6.0  # seconds for each exported file: converting, loading, timing it
MILLION = 1.0  # seconds more for each million of parameters
RUN = 1.3  # an image in a file's own runtime, in forward passes of the Keras model


def seconds_after(files: int, images: int, per_image: float, parameters: int) -> float:
    """Seconds. `images`: of the test and the validation part, on which each of the `files` runs. `per_image`: seconds
    of one through the Keras model. Fitted to two runs: 8 files, 2,063 images at 160 px, MobileNetV2 1.0, 4.5 ms: 182 s
    for 160 s measured; the demo, 8 files, 935 images at 96 px, 0.35, 1 ms: 75 s for 50 s."""
    return START + files * (FILE + MILLION * parameters / 1e6) + images * per_image * (1 + RUN * files)
