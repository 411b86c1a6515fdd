"""The same trials as a KerasTuner user writes them after the public transfer-learning guide, and with Unfreeze.

    python benchmarks/search_speed.py DATA WEIGHTS [--seed 0] [--side NAME ...] [--epochs 5] [--alpha 1.0]

12 trials over unfreeze depths 0, 1, 2, 4 and head units 0, 64, 256 at dropout 0.2, on the same images, split, epochs,
batch size and rates: `plain`, KerasTuner alone; `unfreeze`, on cached activations; `halving`, the same points by
successive halving; `uncached`, Unfreeze with --no-cache. Each is a process of its own, one after the other; the machine
should be idle. Prints seconds, where they went, the best validation accuracy, and Spearman's rank correlation of the
trials' validation losses.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from toolkit.settings import Settings

DEPTHS, UNITS, DROPOUT, BATCH = (0, 1, 2, 4), (0, 64, 256), 0.2, 32


def settings(alpha: float, weights: str, size: int, epochs: int, seed: int) -> Settings:
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
        oracle="grid",
        trials=len(DEPTHS) * len(UNITS),
        seed=seed,
    )


def plain(data: Path, folder: Path, chosen: Settings) -> list[dict]:
    """KerasTuner's GridSearch over a HyperModel with augmentation layers, a frozen backbone and two stages of `fit`."""
    import keras
    import keras_tuner
    from guide import TwoStages, dataset, model_on

    from toolkit.models.backbones import cut_layer
    from toolkit.run import prepare

    images = prepare(data, folder / "split", chosen).images  # the same split
    side = chosen.image_size

    class Guide(TwoStages):
        def build(self, hp: Any) -> keras.Model:
            base = keras.applications.MobileNetV2(
                input_shape=(side, side, 3), alpha=chosen.alpha, include_top=False, weights=chosen.weights
            )
            hp.Choice("unfreeze", list(DEPTHS))
            units = hp.Choice("head_units", list(UNITS))
            return self.compiled(model_on(base, side, units, DROPOUT, scale=True), chosen.head_rate)

        def cut(self, hp: Any) -> str | None:
            return cut_layer("MobileNetV2", hp.get("unfreeze"))

    tuner = keras_tuner.GridSearch(
        Guide(chosen), objective="val_loss", seed=chosen.seed, directory=str(folder), project_name="plain"
    )
    train, val = (dataset(images, part, side, chosen) for part in ("train", "val"))
    tuner.search(train, validation_data=val, verbose=0)
    return [
        {
            "unfreeze": trial.hyperparameters.get("unfreeze"),
            "head_units": trial.hyperparameters.get("head_units"),
            "val_loss": trial.metrics.get_best_value("val_loss"),
            "val_accuracy": trial.metrics.get_best_value("val_accuracy"),
        }
        for trial in tuner.oracle.trials.values()
    ]


def unfreeze(data: Path, folder: Path, chosen: Settings) -> list[dict]:
    """The same with Unfreeze, from the images to the saved best model."""
    from toolkit.progress import Listener
    from toolkit.run import prepare
    from tuning.search import search

    began: dict[str, float] = {}
    ended: dict[str, float] = {}

    def progress(what: str, done: int, total: int) -> None:
        what = what.partition(",")[0]
        began.setdefault(what, time.perf_counter())
        ended[what] = time.perf_counter()

    started = time.perf_counter()
    result = search(prepare(data, folder / "run", chosen), Listener(progress))
    whole = time.perf_counter() - started
    spent = {what: ended[what] - began[what] for what in began} | stages(folder / "run" / "search")
    spent["the rest (start, tracing, checkpoints, assembly)"] = whole - sum(spent.values())
    for what, seconds in spent.items():
        print(f"    {seconds:6.1f} s  {what}", file=sys.stderr)
    names = ("unfreeze", "head_units", "val_loss", "val_accuracy", "seconds")
    return [{name: getattr(trial, name) for name in names} for trial in result.trials]


def stages(folder: Path) -> dict[str, float]:
    """Seconds of the epochs of the head stages, each of which is run once, and of fine-tuning at each depth."""
    import csv

    from tuning.trial_files import read_head

    heads = [rows for _, _, rows in filter(None, map(read_head, folder.glob("heads/*.npz")))]
    spent = {"head stages": sum(row["seconds"] for rows in heads for row in rows)}
    for trial in sorted(folder.glob("trial_*")):
        depth = json.loads((trial / "trial.json").read_text())["hyperparameters"]["values"]["unfreeze"]
        with (trial / "history.csv").open() as file:
            own = sum(float(row["seconds"]) for row in csv.DictReader(file) if row["stage"] == "tune")
        what = f"fine-tuning at depth {depth}"
        spent[what] = spent.get(what, 0) + own
    return dict(sorted(spent.items()))


SIDES: dict[
    str, tuple[Callable[[Path, Path, Settings], list[dict]], dict[str, Any]]
] = {  # what runs, and what it changes
    "unfreeze": (unfreeze, {}),
    "halving": (unfreeze, {"oracle": "halving"}),
    "plain": (plain, {}),
    "uncached": (unfreeze, {"cache": False}),
}


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.argument("weights", type=click.Path(exists=True))
@click.option("--alpha", default=1.0)
@click.option("--image-size", default=160)
@click.option("--epochs", default=5, help="Of each of the two stages.")
@click.option("--seed", default=0)
@click.option("--side", "sides", type=click.Choice(list(SIDES)), multiple=True, default=list(SIDES))
def main(
    data: Path, weights: str, alpha: float, image_size: int, epochs: int, seed: int, sides: tuple[str, ...]
) -> None:
    """Time the searches, or those of --side."""
    chosen = settings(alpha, weights, image_size, epochs, seed)
    if len(sides) == 1:
        search, changes = SIDES[sides[0]]
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            trials = search(data, Path(folder), replace(chosen, **changes))
            print(json.dumps({"seconds": time.perf_counter() - started, "trials": trials}))
        return
    told = {}
    shared = ["--alpha", alpha, "--image-size", image_size, "--epochs", epochs, "--seed", seed]
    for side in sides:
        command = [sys.executable, __file__, data, weights, *shared, "--side", side]
        ended = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True)
        told[side] = json.loads(ended.stdout.splitlines()[-1])
        best = max(trial["val_accuracy"] for trial in told[side]["trials"])
        print(f"{side}: {told[side]['seconds']:.0f} s, best validation accuracy {best:.2%}", flush=True)
    compare(told)


def compare(told: dict) -> None:
    from scipy.stats import spearmanr

    for side in told.keys() - {"plain"} if "plain" in told else ():
        print(f"plain / {side}: {told['plain']['seconds'] / told[side]['seconds']:.1f}")
    losses = {side: by_point(told[side]["trials"]) for side in told}
    for one, other in (("plain", "unfreeze"), ("unfreeze", "uncached")):
        if {one, other} <= losses.keys():
            points = sorted(losses[one])
            pairs = [(losses[one][point], losses[other][point]) for point in points]
            print(f"rank correlation of the validation losses, {one} and {other}: {spearmanr(pairs).statistic:.2f}")
            for (depth, units), (first, second) in zip(points, pairs, strict=True):
                print(f"  unfreeze {depth}, head units {units:>3}: {first:.4f}, {second:.4f}")


def by_point(trials: list[dict]) -> dict[tuple[int, int], float]:
    """The lowest validation loss at each point; successive halving comes to one more than once."""
    ordered = sorted(trials, key=lambda trial: -trial["val_loss"])
    return {(trial["unfreeze"], trial["head_units"]): trial["val_loss"] for trial in ordered}


if __name__ == "__main__":
    main()
