"""What the starter backbone is worth on the demo's digits, against random weights: frozen and fine-tuned.

    PYTHONPATH=. python benchmarks/starter.py OUT [--seeds 0,1,2] [--epochs 5] [--photographs DIR]

Frozen: a logistic regression on the pooled features. Fine-tuned: the whole backbone by `toolkit.training.train`, where
BatchNormalization stays frozen; and for random weights, which that cripples, by Keras' `fit` with BatchNormalization
in training as well. Each seed has a split and an initialisation of its own. Numbers are accuracies on the test part.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np

from toolkit.process.keras_start import start_tensorflow

start_tensorflow()
import keras  # noqa: E402

from toolkit.models.backbones import deepest  # noqa: E402
from toolkit.models.build import build_model  # noqa: E402
from toolkit.run import Run, prepare  # noqa: E402
from toolkit.settings import Settings  # noqa: E402
from toolkit.training.batches import Part, load_part  # noqa: E402
from toolkit.training.train import train  # noqa: E402
from unfreeze.digits_demo import write_digits  # noqa: E402

PARTS = ("train", "val", "test")
WEIGHTS = ("starter", "none")


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--epochs", default=5, show_default=True, help="Of fine-tuning.")
@click.option("--photographs", type=click.Path(path_type=Path), help="Besides: another folder of images, frozen only.")
def main(out: Path, seeds: str, epochs: int, photographs: Path | None) -> None:
    digits = write_digits(out / "digits")
    table: dict[str, list[float]] = {}

    def note(what: str, accuracy: float) -> None:
        table.setdefault(what, []).append(accuracy)
        print(f"{what}: {accuracy:.2%}", file=sys.stderr, flush=True)

    for seed in map(int, seeds.split(",")):
        for weights in WEIGHTS:
            run = opened(digits, out / f"run_{weights}_{seed}", weights, epochs, seed)
            parts = {name: load_part(run, name) for name in PARTS}
            note(f"digits, frozen {weights}, linear head", frozen(run, parts))
            note(f"digits, frozen {weights}, linear head, 10 images a class", frozen(run, parts, per_class=10))
            note(f"digits, {epochs} epochs from {weights}, BatchNormalization frozen", tuned(run, parts))
            if photographs:
                run = opened(photographs, out / f"photographs_{weights}_{seed}", weights, epochs, seed)
                parts = {name: load_part(run, name) for name in PARTS}
                note(f"photographs, frozen {weights}, linear head", frozen(run, parts))
        run = opened(digits, out / f"run_none_{seed}", "none", epochs, seed)
        note(
            f"digits, {epochs} epochs from none by fit, BatchNormalization trained",
            plain_fit(run, {name: load_part(run, name) for name in PARTS}),
        )
    print("\n| | " + " | ".join(f"seed {seed}" for seed in seeds.split(",")) + " |")
    print("|---" * (len(seeds.split(",")) + 1) + "|")
    for what, accuracies in table.items():
        print(f"| {what} | " + " | ".join(f"{accuracy:.2%}" for accuracy in accuracies) + " |")


def opened(data: Path, folder: Path, weights: str, epochs: int, seed: int) -> Run:
    settings = Settings(
        alpha=0.35, weights=weights, image_size=96, head_units=(0,), dropout=(0.0,), unfreeze=(deepest("MobileNetV2"),),
        head_epochs=3, tune_epochs=epochs, tune_rate=1e-3, flip=False, seed=seed, patience=99,
    )  # fmt: skip
    return prepare(data, folder, settings)


def model_of(run: Run) -> tuple[keras.Model, object]:
    keras.utils.set_random_seed(run.settings.seed)
    spec = run.settings.spec(len(run.images.class_names), 0, 0.0, run.settings.space[2][0])
    return build_model(spec, run.settings.weights), spec


def frozen(run: Run, parts: dict[str, Part], per_class: int | None = None) -> float:
    """scikit-learn's logistic regression, its strength chosen on the validation part; `per_class`: learnt from the
    first so many images of each class only."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model, _ = model_of(run)
    pooled = keras.Model(model.input, model.get_layer("pool").output)
    features = {name: pooled.predict(np.asarray(part.images), verbose=0) for name, part in parts.items()}
    labels = parts["train"].labels
    rows = np.concatenate([np.flatnonzero(labels == label)[:per_class] for label in np.unique(labels)])
    tried = [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000)).fit(
            features["train"][rows], labels[rows]
        )
        for strength in (0.01, 0.1, 1.0)
    ]
    best = max(tried, key=lambda one: one.score(features["val"], parts["val"].labels))
    return float(best.score(features["test"], parts["test"].labels))


def tuned(run: Run, parts: dict[str, Part]) -> float:
    model, spec = model_of(run)
    part = load_part(run, "train", antialiased=True)
    train(model, spec, part, parts["val"], run.settings)  # type: ignore[arg-type]
    return accuracy(model, parts["test"])


def plain_fit(run: Run, parts: dict[str, Part]) -> float:
    """Everything trains, for as many epochs as both stages have."""
    model, _ = model_of(run)
    for layer in model.layers:
        layer.trainable = True
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(
        np.asarray(parts["train"].images), parts["train"].labels, batch_size=32, epochs=run.settings.epochs, verbose=0
    )
    return accuracy(model, parts["test"])


def accuracy(model: keras.Model, part: Part) -> float:
    answers = model.predict(np.asarray(part.images), verbose=0)
    return float((answers.argmax(1) == part.labels).mean())


if __name__ == "__main__":
    main()
