"""Which objective, and which images, should choose the model: the test accuracy of what each way of a search takes.

    python benchmarks/choice.py CATS_DOGS WEIGHTS_FOLDER OUT.csv [--sets NAME ...] [--seeds 0 1 2 3 4] [--ways NAME ...]

Data sets: photographs of cats and dogs with MobileNetV2 0.35 at 96 and 160 px and 1.0 at 160 px; 200 and 400 of their
training images at 160 px; the digits of the demo. A seed draws the validation part (of the digits the test part too),
and the reduced sets.

Ways, on one validation part: `loss`, `accuracy`, `scaled` (the loss after a fitted temperature); `folds3` and `folds5`,
the loss by cross-validation. Each is a process of its own, with a cache of its own; its seconds are those from the
images to the saved model, elapsed and of the processor. Of a search with folds the final model is made twice: `average`
of the folds' weights, and `retrained` on all images. Rows are appended to OUT.csv; those that are there are not run
again. `--table OUT.csv` prints the means.
"""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from toolkit.settings import Settings

CATS = {"head_epochs": 5, "tune_epochs": 5}
SETS: dict[str, dict[str, Any]] = {
    "0.35 at 96": {"alpha": 0.35, "image_size": 96},
    "0.35 at 160": {"alpha": 0.35, "image_size": 160},
    "1.0 at 160": {"alpha": 1.0, "image_size": 160},
    "200 images": {"alpha": 0.35, "image_size": 160},
    "400 images": {"alpha": 0.35, "image_size": 160},
    "digits": {},
}
WAYS: dict[str, dict[str, Any]] = {
    "loss": {"folds": 1},
    "accuracy": {"objective": "val_accuracy", "folds": 1},
    "scaled": {"folds": 1},
    "folds3": {"folds": 3},
    "folds5": {"folds": 5},
}
FIELDS = [
    *("set", "seed", "way", "final", "seconds", "cpu", "taken", "unfreeze", "score"),
    *("accuracy", "loss", "balanced"),
]


def settings(name: str, seed: int, weights: Path) -> Settings:
    if name == "digits":
        from unfreeze.digits_demo import DEMO

        return replace(DEMO, seed=seed)
    chosen = SETS[name]
    file = weights / f"mobilenet_v2_{chosen['alpha']}_224_no_top.weights.h5"
    return Settings(weights=str(file), seed=seed, **chosen)


def images(name: str, seed: int, cats: Path, folder: Path) -> Path:
    """The data set: a folder, or a CSV of the reduced ones."""
    if name == "digits":
        from unfreeze.digits_demo import write_digits

        return write_digits(folder / "digits")
    if not name.endswith("images"):
        return cats
    rng, count = random.Random(seed), int(name.split()[0])
    rows = [(path, label, "test") for label in ("cat", "dog") for path in sorted((cats / "test" / label).iterdir())]
    for label in ("cat", "dog"):
        chosen = rng.sample(sorted((cats / "train" / label).iterdir()), count // 2)
        rows += [(path, label, "train") for path in chosen]
    with (folder / "reduced.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    return folder / "reduced.csv"


def scaled(answers: np.ndarray, labels: np.ndarray) -> float:
    """The loss in nats after the temperature that minimises it."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logits = np.log(np.clip(answers.astype(np.float64), 1e-7, 1))

    def loss(log_temperature: float) -> float:
        chosen = log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(labels)), labels]
        return -float(chosen.mean())

    return float(minimize_scalar(loss, bounds=(-3, 3), method="bounded").fun)


def one(name: str, seed: int, way: str, cats: Path, weights: Path) -> list[dict]:
    """One search, and the test of its models."""
    from toolkit.process.keras_start import start_keras

    start_keras()
    from toolkit.evaluation.evaluate_run import evaluate_run
    from toolkit.run import prepare
    from toolkit.stats import scores
    from tuning.search import search

    if way == "scaled":
        scores.SCORES["val_loss"] = scores.Score("loss", rises=False, nats=True, whole=scaled)
    chosen, found = replace(settings(name, seed, weights), **WAYS[way]), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as scratch:
        data = images(name, seed, cats, Path(scratch))
        for final in ("average", "retrained") if chosen.fold_count > 1 else ("",):
            started, cpu = time.perf_counter(), time.process_time()
            run = prepare(data, Path(scratch) / "run", replace(chosen, final=final or "average"))
            result = search(run)
            spent = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
            trial, test = result.trial(result.taken), evaluate_run(run)
            row: dict[str, Any] = {"set": name, "seed": seed, "way": way, "final": final, **spent, "taken": trial.trial}
            row |= {"unfreeze": trial.unfreeze, "score": trial.value(chosen.objective)}
            row |= {"accuracy": test.accuracy, "loss": test.log_loss, "balanced": test.balanced_accuracy}
            found.append(row)
    if len(found) == 2:
        for column in ("seconds", "cpu"):  # the second time, only the final model was made
            found[1][column] += found[0][column]
    return found


def table(path: Path) -> None:
    """The means over the seeds, with the standard error of each accuracy."""
    rows: dict[tuple, list[dict]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            rows[row["set"], row["way"], row["final"]].append(row)
    print("| set | way | final | seeds | test accuracy | ± | test loss | seconds | CPU s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for key, own in rows.items():
        accuracy = np.array([float(row["accuracy"]) for row in own])
        loss, seconds, cpu = (np.mean([float(row[name]) for row in own]) for name in ("loss", "seconds", "cpu"))
        error = accuracy.std(ddof=1) / len(own) ** 0.5 if len(own) > 1 else float("nan")
        told = [len(own), f"{accuracy.mean():.2%}", f"{error:.2%}", f"{loss:.4f}", f"{seconds:.0f}", f"{cpu:.0f}"]
        print("|", " | ".join(map(str, (*key, *told))), "|")


@click.command(help=__doc__)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--sets", multiple=True, default=tuple(SETS), type=click.Choice(list(SETS)))
@click.option("--ways", multiple=True, default=tuple(WAYS), type=click.Choice(list(WAYS)))
@click.option("--seeds", multiple=True, type=int, default=range(5))
@click.option("--table", "as_table", is_flag=True)
@click.option("--child", nargs=3, type=str, hidden=True)
def main(paths: tuple[Path, ...], sets: Any, ways: Any, seeds: Any, as_table: bool, child: Any) -> None:
    if as_table:
        table(paths[-1])
        return
    cats, weights, *out = (path.resolve() for path in paths)
    if child:
        print(json.dumps(one(child[0], int(child[1]), child[2], cats, weights)))
        return
    there = set()
    if out[0].exists():
        with out[0].open(newline="") as file:
            there = {(row["set"], int(row["seed"]), row["way"]) for row in csv.DictReader(file)}
    for seed in seeds:
        for name in sets:
            for way in ways:
                if (name, seed, way) in there:
                    continue
                call = [sys.executable, __file__, str(cats), str(weights), "--child", name, str(seed), way]
                done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=True)
                new = not out[0].exists()
                with out[0].open("a", newline="") as file:
                    writer = csv.DictWriter(file, FIELDS)
                    if new:
                        writer.writeheader()
                    for row in json.loads(done.stdout.strip().splitlines()[-1]):
                        writer.writerow(row)
                        print(row, file=sys.stderr)


if __name__ == "__main__":
    main()
