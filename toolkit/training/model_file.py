"""The model that a run ended with: `model.keras`, and `model.json`, which says what it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import keras
import numpy as np

from toolkit.errors import UnfreezeError
from toolkit.models.build import Head, build_model, usual_head
from toolkit.models.spec import ModelSpec
from toolkit.run import Run
from toolkit.storage.files import atomic, read_json, remove, write_json
from toolkit.training.held_out import ANSWERS, COUNT, TEMPERATURE, HeldOut, fit, with_temperature, write_held_out
from toolkit.training.history import History, Row
from toolkit.untrusted.keras_file import read_model


def without_optimizer(model: keras.Model, spec: ModelSpec, head: Head = usual_head) -> keras.Model:
    """The same weights in a new model: a model that was compiled would be saved with its optimizer's state. `head`:
    that of the model."""
    fresh = build_model(spec, head=head)
    fresh.set_weights(model.get_weights())
    return fresh


def save_model(run: Run, model: keras.Model, spec: ModelSpec, rows: list[Row], held_out: HeldOut, **more: Any) -> None:
    """Save the result of a training: model.keras, model.json (spec, best epoch and `more`), history.csv and
    val_answers.npz.

    `model`: not compiled, see `without_optimizer`. `rows`: its learning curve. `held_out`: its answers as it was
    trained. If the run's settings say so, a temperature is fitted on them and becomes part of the model's last layer,
    so that every file that is exported carries it; the answers that are stored are those with the temperature.
    """
    history = History(run.settings.objective, rows)
    described = {"spec": asdict(spec), "best_epoch": history.stored_best, COUNT: len(held_out.labels), **more}
    if run.settings.calibrate:
        temperature = fit(held_out)
        fold_temperature(model, temperature.value)
        described[TEMPERATURE], held_out = asdict(temperature), with_temperature(held_out, temperature.value)
    put_model(run, model, described, history, held_out)


def fold_temperature(model: keras.Model, temperature: float) -> None:
    """Divide the logits of the model's last layer by a temperature, in place: its weights are divided by it."""
    layer = model.get_layer("probabilities")
    layer.set_weights([weights / np.float32(temperature) for weights in layer.get_weights()])


def put_model(
    run: Run,
    model: keras.Model,
    described: dict[str, Any],
    history: History | None = None,
    held_out: HeldOut | None = None,
) -> None:
    """Write model.keras, model.json (`described`), and history.csv and val_answers.npz where the model was trained
    here.

    Results of an earlier model of the run (metrics, parity, plots, report) are removed. An export of it stays, and
    `verify` says that it belongs to another model.
    """
    for stale in (
        *("model.json", "metrics.json", "test_probabilities.npz", "parity.json", "resize.json", ANSWERS),
        *("plots", "report.html", "report.md"),
    ):
        remove(run.path / stale)
    if history is not None:
        history.write(run.path / "history.csv")
    if held_out is not None:
        write_held_out(run.path, held_out)
    with atomic(run.path / "model.keras") as temporary:
        model.save(temporary)
    write_json(run.path / "model.json", described)


def load_model(run: Run) -> keras.Model:
    """The model that was saved in a run. Raises UnfreezeError if there is none yet, or if it is damaged or unsafe to
    load."""
    path, again = run.path / "model.keras", f"unfreeze tune DATA {run.path}"
    if not path.is_file():
        raise UnfreezeError(f"{run.path} has no model yet; finish its search with `{again}`")
    if not isinstance(read_json(path.with_name("model.json")), dict):
        raise UnfreezeError(f"{path.with_name('model.json')} is damaged; repeat `{again}`")
    try:
        return read_model(path)
    except UnfreezeError as error:
        raise UnfreezeError(f"{error}; repeat `{again}`") from None
