"""Milliseconds an image of one pass over MobileNetV2 with an output at each of four cuts: what runs it fastest.

    python benchmarks/prefix_speed.py WEIGHTS [--alpha 1.0] [--image-size 160] [--images 512]

Keras' `predict`, a traced function, and onnxruntime, at several batch sizes, on noise; the images lie ready in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import click
import numpy as np

DEPTHS = (0, 1, 2, 4)


def milliseconds(forward: Callable[[np.ndarray], object], images: np.ndarray, batch: int) -> float:
    """The better of two runs over all images."""
    forward(images[:batch])  # traced, allocated
    times = []
    for _ in range(2):
        started = time.perf_counter()
        for first in range(0, len(images), batch):
            forward(images[first : first + batch])
        times.append(time.perf_counter() - started)
    return 1000 * min(times) / len(images)


@click.command()
@click.argument("weights", type=click.Path(exists=True))
@click.option("--alpha", default=1.0)
@click.option("--image-size", default=160)
@click.option("--images", "count", default=512)
def main(weights: str, alpha: float, image_size: int, count: int) -> None:
    """Time each way at each batch size."""
    import keras

    from toolkit.models.build import build_model, cut_tensor
    from toolkit.models.spec import ModelSpec
    from tuning.activations.prefix import in_onnxruntime, in_tensorflow

    spec = ModelSpec("MobileNetV2", alpha, image_size, 2, 0, 0.0, 0)
    model = build_model(spec, weights)
    part = keras.Model(model.input, [cut_tensor(model, spec, depth) for depth in DEPTHS])
    images = np.random.default_rng(0).integers(0, 256, (count, image_size, image_size, 3), dtype=np.uint8)
    started = time.perf_counter()
    converted = in_onnxruntime(part)
    print(f"conversion to ONNX: {time.perf_counter() - started:.1f} s")
    ways = {"predict": part.predict_on_batch, "tf.function": in_tensorflow(part), "onnxruntime": converted}
    for name, forward in ways.items():
        if forward is None:
            print(f"{name}: cannot run this model")
            continue
        row = "  ".join(f"{batch}: {milliseconds(forward, images, batch):.2f}" for batch in (16, 32, 64, 128))
        print(f"{name:12} ms an image at batch {row}")


if __name__ == "__main__":
    main()
