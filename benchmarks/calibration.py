"""What does the temperature do to test images, how few images can it be fitted on, and do thresholds keep their word?

    PYTHONPATH=. python benchmarks/calibration.py RUN...

Each RUN was evaluated. The temperature in its model is taken back first, so that ways to fit one can be compared: as
Unfreeze does it, by the plain log loss of the validation answers, and the best one for the test part, which nobody can
know. Then the test part stands for all images that there are: parts of it are drawn, a temperature and a threshold are
chosen on each, and the rest says what they are worth.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import numpy as np

from toolkit.evaluation.results import read_answers
from toolkit.run import load_run
from toolkit.stats import temperature as module
from toolkit.stats.metrics import BINS, calibration_error, log_losses
from toolkit.stats.rejection import Coverage, choose_threshold, coverage
from toolkit.stats.temperature import fit_temperature, tempered
from toolkit.training.held_out import read_held_out, read_temperature

FITTED_ON = (20, 30, 50, 100, 200, 280)  # images
CHOSEN_ON, WANTED = (280, 1000), (0.98, 0.985, 0.99)
DRAWS = 200
Answers = tuple[np.ndarray, np.ndarray]  # probabilities float32 [N, C], labels int32 [N]


def fit(answers: Answers, mistakes: float = 0.5) -> float:
    """As `fit_temperature` does it, with so many added mistakes (0: the plain log loss), of any number of images."""
    fewest, module.FEWEST, usual, module.MISTAKES = module.FEWEST, 1, module.MISTAKES, mistakes
    try:
        return fit_temperature(*answers)
    finally:
        module.FEWEST, module.MISTAKES = fewest, usual


def loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(log_losses(probabilities, labels).mean())


def equal_mass_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The calibration error in 15 bins with the same number of images each."""
    top, right = probabilities.max(1).astype(np.float64), probabilities.argmax(1) == labels
    parts = np.array_split(np.argsort(top), BINS)
    return float(sum(abs((right[rows] - top[rows]).sum()) for rows in parts) / len(labels))


def floor(probabilities: np.ndarray, rng: np.random.Generator) -> float:
    """The mean calibration error that is measured if the probabilities are exactly right: labels are drawn by them."""
    edges = probabilities.cumsum(1, dtype=np.float64)
    drawn = ((rng.random((DRAWS, len(edges), 1)) * edges[:, -1:]) > edges).sum(2)
    return float(np.mean([calibration_error(probabilities, labels) for labels in drawn]))


def whole(run: str, val: Answers, test: Answers, rng: np.random.Generator) -> None:
    """Print the errors on the test part for each way to fit."""
    ways = {"none": 1.0, "plain": fit(val, 0), "unfreeze": fit(val), "best on test": fit(test, 0)}
    wrong = int((val[0].argmax(1) != val[1]).sum())
    print(f"{run}: {len(val[1])} validation images, {wrong} wrong; {len(test[1])} test images")
    for way, value in ways.items():
        after = tempered(test[0], value)
        numbers = calibration_error(after, test[1]), floor(after, rng), equal_mass_error(after, test[1])
        print(
            f"  {way}: T {value:.2f}, ECE {numbers[0]:.4f} (floor {numbers[1]:.4f}), equal bins {numbers[2]:.4f}, "
            f"log loss {loss(after, test[1]):.4f}"
        )


def by_number(test: Answers, rng: np.random.Generator) -> None:
    """Print the log loss of the rest if so many images fit the temperature."""
    before = loss(*test)
    for count in FITTED_ON:
        found = []
        for _ in range(DRAWS):
            rows = rng.permutation(len(test[1]))
            some, rest = ((test[0][part], test[1][part]) for part in (rows[:count], rows[count:]))
            found.append([loss(tempered(rest[0], fit(some, way)), rest[1]) - loss(*rest) for way in (0, 0.5)])
        plain, ours = np.array(found).T
        print(
            f"  fitted on {count}: log loss {before:.4f}, plain {before + plain.mean():.4f} (worse in "
            f"{(plain > 0).mean():.0%}), unfreeze {before + ours.mean():.4f} (worse in {(ours > 0).mean():.0%})"
        )


def by_estimate(probabilities: np.ndarray, labels: np.ndarray, wanted: float) -> float | None:
    """The lowest threshold at which the share of right answers, and not its bound, is high enough."""
    top = probabilities.max(1)
    order = np.argsort(-top)
    right = np.cumsum((probabilities.argmax(1) == labels)[order]) / np.arange(1, len(top) + 1)
    good = np.flatnonzero(right >= wanted)
    return float(top[order][good[-1]]) if len(good) else None


def by_bound(probabilities: np.ndarray, labels: np.ndarray, wanted: float) -> float | None:
    choice = choose_threshold(probabilities, labels, wanted)
    return choice.best.threshold if choice else None


def thresholds(test: Answers, rng: np.random.Generator) -> None:
    """Print how often a threshold for a wanted accuracy is found, and how often it is reached on the rest."""
    for count in CHOSEN_ON:
        draws = [rng.permutation(len(test[1])) for _ in range(DRAWS)]
        for wanted in WANTED:
            for name, choose in (("bound", by_bound), ("estimate", by_estimate)):
                rows = [_rest(test, draw, count, partial(choose, wanted=wanted)) for draw in draws]
                found = [row for row in rows if row is not None]
                kept = sum((row.accuracy or 0) >= wanted for row in found) / max(1, len(found))
                share = np.mean([row.share for row in found]) if found else 0
                print(
                    f"  {wanted} by its {name} on {count}: found in {len(found) / DRAWS:.0%}, "
                    f"kept in {kept:.0%} of these, {share:.1%} answered"
                )


def _rest(test: Answers, order: np.ndarray, count: int, choose: partial) -> Coverage | None:
    """What the threshold that is chosen on the first `count` images does on the others."""
    some = test[0][order[:count]], test[1][order[:count]]
    value = fit(some)
    limit = choose(tempered(some[0], value), some[1])
    rest = order[count:]
    return None if limit is None else coverage(tempered(test[0][rest], value), test[1][rest], limit)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(runs: tuple[Path, ...]) -> None:
    for path in runs:
        run, rng = load_run(path), np.random.default_rng(0)
        held_out, stored, fitted = (
            read_held_out(path, len(run.images.class_names)),
            read_answers(path),
            read_temperature(path),
        )
        if held_out is None or stored is None:
            raise click.ClickException(f"{path} has no answers; train and evaluate it")
        back = 1 / (fitted.value if fitted else 1.0)
        val = tempered(held_out.probabilities, back), held_out.labels
        test = tempered(stored[1], back), run.images.select("test").labels
        whole(path.name, val, test, rng)
        by_number(test, rng)
        thresholds(test, rng)


if __name__ == "__main__":
    main()
