"""The same search over backbones and image sizes as a KerasTuner user writes it by hand, on whole models, and with
Unfreeze.

    python benchmarks/search_over_backbones.py DATA WEIGHTS [--side NAME ...] [--image-sizes 96,160,224] [--seed 0]

Nine trials, one for each of three backbones at each of three sizes, all with 64 head units, dropout 0.2, unfreeze depth
2 and 5 + 5 epochs, on the same images, split, batch size and rates. WEIGHTS: a folder with the two MobileNetV2 weights
files and efficientnet_lite0_backbone.keras. `plain`: KerasTuner's GridSearch; `unfreeze`: `unfreeze tune`. Each is a
process of its own, one after the other; the machine should be idle. Prints the seconds, the trials, and the test
accuracy of the model that had the best validation loss.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from toolkit.settings import Settings

UNITS, DROPOUT, DEPTH, BATCH, EPOCHS = 64, 0.2, 2, 32, 5
FILES = {  # label -> (file of its weights, alpha)
    "MobileNetV2:0.35": ("mobilenet_v2_0.35_224_no_top.weights.h5", 0.35),
    "MobileNetV2": ("mobilenet_v2_1.0_224_no_top.weights.h5", 1.0),
    "efficientnet_lite0_backbone": ("efficientnet_lite0_backbone.keras", 0.0),
}


def settings(weights: Path, sizes: Sequence[int], seed: int) -> Settings:
    names = [f"{label}={weights / file}" if alpha else str(weights / file) for label, (file, alpha) in FILES.items()]
    return Settings(
        vary={"backbone": tuple(names), "image_size": tuple(sizes)},
        head_units=(UNITS,),
        dropout=(DROPOUT,),
        unfreeze=(DEPTH,),
        head_epochs=EPOCHS,
        tune_epochs=EPOCHS,
        batch_size=BATCH,
        patience=10**6,
        oracle="grid",
        trials=len(names) * len(sizes),
        folds=1,
        seed=seed,
    )


def unfreeze(data: Path, folder: Path, weights: Path, chosen: Settings) -> dict[str, Any]:
    import unfreeze as package

    started = time.perf_counter()
    result = package.tune(data, folder / "run", settings=chosen)
    seconds = time.perf_counter() - started
    trials = [
        trial.values | {"val_loss": trial.val_loss, "val_accuracy": trial.val_accuracy} for trial in result.trials
    ]
    return {"seconds": seconds, "trials": trials, "test": package.evaluate(folder / "run").accuracy}


def plain(data: Path, folder: Path, weights: Path, chosen: Settings) -> dict[str, Any]:
    """GridSearch over a HyperModel with augmentation layers, a frozen backbone and two stages of `fit`."""
    import keras
    import keras_tuner
    from guide import TwoStages, dataset, model_on

    from toolkit.models.backbones import cut_layer
    from toolkit.run import prepare

    images = prepare(data, folder / "split", chosen).images  # the same split

    def backbone(label: str, side: int) -> keras.Model:
        file, alpha = FILES[label]
        if not alpha:
            model = keras.models.load_model(weights / file, compile=False)
            base = keras.models.clone_model(model, input_tensors=keras.Input((side, side, 3)))
            base.set_weights(model.get_weights())
            return base
        base = keras.applications.MobileNetV2((side, side, 3), alpha, include_top=False, weights=None)
        base.load_weights(weights / file)
        return base

    class Guide(TwoStages):
        def build(self, hp: Any) -> keras.Model:
            side, label = hp.Choice("image_size", list(chosen.vary["image_size"])), hp.Choice("backbone", list(FILES))
            model = model_on(backbone(label, side), side, UNITS, DROPOUT, scale=bool(FILES[label][1]))
            return self.compiled(model, chosen.head_rate)

        def cut(self, hp: Any) -> str | None:
            file, alpha = FILES[hp.get("backbone")]
            return cut_layer("MobileNetV2" if alpha else str(weights / file), DEPTH)

        def fit(self, hp: Any, model: keras.Model, *args: Any, **more: Any) -> Any:
            train, val = (dataset(images, part, hp.get("image_size"), chosen) for part in ("train", "val"))
            return super().fit(hp, model, train, validation_data=val, **more)

    tuner = keras_tuner.GridSearch(
        Guide(chosen), objective="val_loss", seed=chosen.seed, directory=str(folder), project_name="plain"
    )
    started = time.perf_counter()
    tuner.search(verbose=0)
    (best,) = tuner.get_best_models(1)
    seconds = time.perf_counter() - started
    side = tuner.oracle.get_best_trials(1)[0].hyperparameters.get("image_size")
    answers = best.predict(dataset(images, "test", side, chosen), verbose=0)
    trials = [
        {name: trial.hyperparameters.get(name) for name in ("backbone", "image_size")}
        | {name: trial.metrics.get_best_value(name) for name in ("val_loss", "val_accuracy")}
        for trial in tuner.oracle.trials.values()
    ]
    return {
        "seconds": seconds,
        "trials": trials,
        "test": float(np.mean(answers.argmax(1) == images.select("test").labels)),
    }


SIDES: dict[str, Callable[[Path, Path, Path, Settings], dict[str, Any]]] = {"unfreeze": unfreeze, "plain": plain}


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.argument("weights", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--image-sizes", default="96,160,224")
@click.option("--seed", default=0)
@click.option("--side", "sides", type=click.Choice(list(SIDES)), multiple=True, default=list(SIDES))
def main(data: Path, weights: Path, image_sizes: str, seed: int, sides: tuple[str, ...]) -> None:
    """Time the searches, or those of --side."""
    if len(sides) == 1:
        chosen = settings(weights.resolve(), [int(size) for size in image_sizes.split(",")], seed)
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(SIDES[sides[0]](data, Path(folder), weights.resolve(), chosen)))
        return
    shared = [str(data), str(weights), "--image-sizes", image_sizes, "--seed", str(seed)]
    for side in sides:
        command = [sys.executable, __file__, *shared, "--side", side]
        ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        told = json.loads(ended.stdout.splitlines()[-1])
        print(f"{side}: {told['seconds']:.0f} s, test accuracy of the best {told['test']:.2%}", flush=True)
        for trial in sorted(told["trials"], key=lambda trial: trial["val_loss"]):
            print(
                f"  {trial['backbone']:<28} {trial['image_size']:>4} px  loss {trial['val_loss']:.4f}  "
                f"accuracy {trial['val_accuracy']:.2%}"
            )


if __name__ == "__main__":
    main()
