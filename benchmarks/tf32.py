"""How far TF32 moves a model's answers: Keras on JAX, on an NVIDIA card, against answers that were computed on a CPU.

    KERAS_BACKEND=jax python benchmarks/tf32.py MODEL.keras IMAGES.npy ANSWERS.npz [--every N]

IMAGES is an array of decoded images from a run's cache, uint8 [N, S, S, 3]; ANSWERS is the run's
test_probabilities.npz. TensorFlow computes in TF32 by default, as JAX does.
"""

from __future__ import annotations

from pathlib import Path

import click
import jax
import keras
import numpy as np

BATCH = 64
PRECISIONS = ("default", "tensorfloat32", "highest")  # of jax.default_matmul_precision


def answers(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """float32 [N, C]; compiled anew, for the precision is one of the compilation."""
    compiled = jax.jit(lambda own, other, batch: model.stateless_call(own, other, batch, training=False)[0])
    own = [variable.value for variable in model.trainable_variables]
    other = [variable.value for variable in model.non_trainable_variables]
    batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
    return np.concatenate([np.asarray(compiled(own, other, batch)) for batch in batches])


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path))
@click.argument("expected", type=click.Path(path_type=Path))
@click.option("--every", type=int, default=4, show_default=True, help="Take every so many images.")
def main(model: Path, images: Path, expected: Path, every: int) -> None:
    print(jax.devices())
    loaded = keras.saving.load_model(model, compile=False)
    pixels = np.load(images, mmap_mode="r")[::every]
    reference = np.load(expected)["probabilities"][::every]
    for precision in PRECISIONS:
        with jax.default_matmul_precision(precision):
            got = answers(loaded, pixels)
        difference = np.abs(got - reference).max(axis=1)
        flips = int((got.argmax(1) != reference.argmax(1)).sum())
        beyond = int((difference > 1e-4).sum())
        print(f"{precision}: at most {difference.max():.2g}, beyond 1e-4 {beyond} of {len(got)}, flips {flips}")


if __name__ == "__main__":
    main()
