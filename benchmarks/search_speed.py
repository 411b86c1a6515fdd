"""The same trials twice: as a KerasTuner user writes them after the public transfer-learning guide, and with Unfreeze.

    python benchmarks/search_speed.py DATA WEIGHTS [--alpha 1.0] [--image-size 160] [--epochs 5] [--seed 0]

12 trials over unfreeze depths 0, 1, 2, 4 and head units 0, 64, 256 at dropout 0.2, the same images, split, epochs,
batch size and rates. Each search is a process of its own, one after the other; the machine should be idle. Prints
seconds, their ratio, the best validation accuracy of both, and Spearman's rank correlation of the trials' losses.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

DEPTHS, UNITS, DROPOUT, BATCH = (0, 1, 2, 4), (0, 64, 256), 0.2, 32


def settings(alpha: float, weights: str, size: int, epochs: int, seed: int, oracle: str = "grid"):
    from toolkit.settings import Settings

    return Settings(
        alpha=alpha,
        weights=weights,
        image_size=size,
        head_units=UNITS,
        dropout=(DROPOUT,),
        unfreeze=DEPTHS,
        head_epochs=epochs,
        tune_epochs=epochs,
        batch_size=BATCH,
        patience=10**6,
        oracle=oracle,
        trials=len(DEPTHS) * len(UNITS),
        seed=seed,
    )


def plain(data: Path, folder: Path, chosen) -> list[dict]:
    """KerasTuner's GridSearch over a HyperModel with augmentation layers, a frozen backbone and two stages of `fit`."""
    import keras
    import keras_tuner
    import tensorflow as tf

    from toolkit.run import prepare
    from toolkit.spec import cut_layer

    images = prepare(data, folder / "split", chosen).images  # the same split
    side = chosen.image_size

    def dataset(part: str, shuffle: bool) -> tf.data.Dataset:
        own = images.select(part)

        def decode(path, label):
            pixels = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
            return tf.image.resize(pixels, (side, side)), label

        files = tf.data.Dataset.from_tensor_slices(([str(own.root / path) for path in own.paths], own.labels))
        decoded = files.map(decode, num_parallel_calls=tf.data.AUTOTUNE).cache()
        decoded = decoded.shuffle(len(own.paths), seed=chosen.seed) if shuffle else decoded
        return decoded.batch(BATCH).prefetch(tf.data.AUTOTUNE)

    class Guide(keras_tuner.HyperModel):
        def build(self, hp):
            base = keras.applications.MobileNetV2(
                input_shape=(side, side, 3), alpha=chosen.alpha, include_top=False, weights=chosen.weights
            )
            base.trainable = False
            entry = keras.Input((side, side, 3))
            x = keras.layers.RandomFlip("horizontal")(entry)
            x = keras.layers.RandomRotation(0.1)(x)
            x = keras.layers.Rescaling(1 / 127.5, -1)(x)
            x = keras.layers.GlobalAveragePooling2D()(base(x, training=False))
            units = hp.Choice("head_units", list(UNITS))
            if units:
                x = keras.layers.Dense(units, activation="relu")(x)
            x = keras.layers.Dropout(DROPOUT)(x)
            model = keras.Model(entry, keras.layers.Dense(2, activation="softmax")(x))
            hp.Choice("unfreeze", list(DEPTHS))
            model.base = base
            return self.compiled(model, chosen.head_rate)

        def compiled(self, model, rate):
            model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

        def fit(self, hp, model, *args, **more):
            model.fit(*args, epochs=chosen.head_epochs, **more)
            cut = cut_layer("MobileNetV2", hp.get("unfreeze"))
            behind = False
            for layer in model.base.layers:
                # BatchNormalization too would collapse: `fit` overrides the guide's training=False
                layer.trainable = behind and not isinstance(layer, keras.layers.BatchNormalization)
                behind = behind or layer.name == cut
            self.compiled(model, chosen.tune_rate)
            return model.fit(*args, epochs=chosen.epochs, initial_epoch=chosen.head_epochs, **more)

    tuner = keras_tuner.GridSearch(
        Guide(), objective="val_loss", seed=chosen.seed, directory=str(folder), project_name="plain"
    )
    tuner.search(dataset("train", True), validation_data=dataset("val", False), verbose=0)
    return [
        {
            "unfreeze": trial.hyperparameters.get("unfreeze"),
            "head_units": trial.hyperparameters.get("head_units"),
            "val_loss": trial.metrics.get_best_value("val_loss"),
            "val_accuracy": trial.metrics.get_best_value("val_accuracy"),
        }
        for trial in tuner.oracle.trials.values()
    ]


def unfreeze(data: Path, folder: Path, chosen) -> list[dict]:
    """The same with Unfreeze, from the images to the saved best model."""
    from toolkit.run import prepare
    from tuning.search import search

    started, reported = time.perf_counter(), set()

    def progress(what: str, done: int, total: int) -> None:
        if done >= total and what not in reported:
            reported.add(what)
            print(f"{time.perf_counter() - started:7.1f} s  {what}", file=sys.stderr)

    result = search(prepare(data, folder / "run", chosen), progress=progress)
    names = ("unfreeze", "head_units", "val_loss", "val_accuracy", "seconds")
    return [{name: getattr(trial, name) for name in names} for trial in result.trials]


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.argument("weights", type=click.Path(exists=True))
@click.option("--alpha", default=1.0)
@click.option("--image-size", default=160)
@click.option("--epochs", default=5, help="Of each of the two stages.")
@click.option("--seed", default=0)
@click.option("--oracle", default="grid", help="Of Unfreeze's search.")
@click.option("--side", type=click.Choice(["both", "plain", "unfreeze"]), default="both")
def main(
    data: Path, weights: str, alpha: float, image_size: int, epochs: int, seed: int, oracle: str, side: str
) -> None:
    """Time the two searches, or one."""
    chosen = settings(alpha, weights, image_size, epochs, seed, oracle)
    if side != "both":
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            trials = {"plain": plain, "unfreeze": unfreeze}[side](data, Path(folder), chosen)
            print(json.dumps({"seconds": time.perf_counter() - started, "trials": trials}))
        return
    told = {}
    for own in ("unfreeze", "plain"):
        command = [sys.executable, __file__, *sys.argv[1:], "--side", own]
        told[own] = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        )
        print(f"{own}: {told[own]['seconds']:.0f} s", flush=True)
    compare(told)


def compare(told: dict) -> None:
    from scipy.stats import spearmanr

    ratio = told["plain"]["seconds"] / told["unfreeze"]["seconds"]
    print(f"plain / unfreeze: {ratio:.1f}")
    keyed = {own: {(t["unfreeze"], t["head_units"]): t for t in told[own]["trials"]} for own in told}
    for own, trials in keyed.items():
        print(f"{own}: best validation accuracy {max(t['val_accuracy'] for t in trials.values()):.2%}")
    points = sorted(keyed["plain"].keys() & keyed["unfreeze"].keys())
    losses = [[keyed[own][point]["val_loss"] for point in points] for own in ("plain", "unfreeze")]
    print(f"rank correlation of the validation losses: {spearmanr(*losses).statistic:.2f}")
    for point, *pair in zip(points, *losses, strict=True):
        print(f"  unfreeze {point[0]}, head units {point[1]:>3}: plain {pair[0]:.4f}, unfreeze {pair[1]:.4f}")


if __name__ == "__main__":
    main()
