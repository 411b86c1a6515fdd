"""TensorBoard's event files: learning curves and hyperparameters, written while training goes on.

    RUN/tensorboard/             the search space, for the HParams page
    RUN/tensorboard/trial_0003/  the epochs of one trial, after those of the trials with whose weights it went on
    RUN/tensorboard/model/       the model that was saved, with the epochs of its refit

An event file is a sequence of records, each with its length and checksums; a reader ignores a last record that was cut
short. When a training is interrupted and starts again, its file starts again too.

The records are written here, with TensorBoard's own `RecordWriter` and HParams summaries, and not by `tf.summary` or
TensorBoard's `EventFileWriter`: both import TensorFlow, and both keep the file open, so that all later epochs are lost
if the folder is deleted during a training.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.models.spec import POINT
from toolkit.settings import Settings
from toolkit.stats.scores import SCORES
from toolkit.storage.files import remove

FOLDER = "tensorboard"  # of a run
SCALARS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")  # columns of history.csv
TEXT = ("epoch", "stage")  # columns that are no curves; a metric of the caller's is one
BEST = {"best_val_loss": "val_loss", "best_val_accuracy": "val_accuracy"}  # tag -> column in the best epoch
PATTERN = "events.out.tfevents.*"

Row = Mapping[str, Any]  # of history.csv


class CurveWriter:
    """Writes the event file of one training, a new file. Earlier files in its folder are removed."""

    def __init__(
        self, folder: Path, objective: str, *, point: Mapping[str, Any] | None = None, before: Iterable[Row] = ()
    ) -> None:
        """`point`: the hyperparameters; None: the training gets no row on the HParams page. `before`: the epochs of
        earlier trainings from whose weights this one starts; they are shown, but never count as its best epoch."""
        remove(folder)
        # a new name, so that a running TensorBoard sees that it is a new file
        self.path = folder / f"events.out.tfevents.{time.time_ns()}.unfreeze"
        self.objective, self.point = objective, point
        self.best: Row | None = None
        _append(self.path, [(0, _start(folder.name, point))] if point else [], first=True)
        _append(self.path, [(row["epoch"], _scalars(row)) for row in before])

    def add(self, row: Row) -> None:
        """Write one epoch, which TensorBoard can show at once."""
        if self._is_better(row):
            self.best = row
        _append(self.path, [(row["epoch"], _scalars(row, self.best))])

    def end(self, *, good: bool) -> None:
        """Write that the training has ended. `good`: whether it gave a model."""
        if self.point:
            _append(self.path, [(0, _end(good))])

    def _is_better(self, row: Row) -> bool:
        if not all(math.isfinite(row[name]) for name in SCALARS[:4]):
            return False
        sign = -1 if SCORES[self.objective].rises else 1
        return self.best is None or sign * row[self.objective] < sign * self.best[self.objective]


def write_curve(
    folder: Path,
    objective: str,
    rows: Iterable[Row],
    *,
    point: Mapping[str, Any] | None = None,
    before: Iterable[Row] = (),
) -> None:
    """Write the whole event file of a training that has ended and gave a model."""
    curve = CurveWriter(folder, objective, point=point, before=before)
    for row in rows:
        curve.add(row)
    curve.end(good=True)


def write_space(folder: Path, settings: Settings, own: Mapping[str, Sequence[Any]] | None = None) -> None:
    """Write what the HParams page shows: the values of each hyperparameter, and the metrics of the best epoch. `own`:
    hyperparameters of the caller's, with their values."""
    for old in folder.glob(PATTERN):
        remove(old)
    from tensorboard.plugins.hparams import summary_v2

    tried = settings.varied | dict(own or {}) | {name: getattr(settings, name) for name in POINT}
    if depths := {depth for one in settings.backbones for depth in settings.depths(one.backbone)}:
        tried["unfreeze"] = tuple(sorted(depths))
    space = [summary_v2.HParam(name, summary_v2.Discrete(list(values))) for name, values in tried.items()]
    metrics = [summary_v2.Metric(tag, display_name=f"{name}, best epoch") for tag, name in BEST.items()]
    path = folder / f"events.out.tfevents.{time.time_ns()}.unfreeze"
    _append(path, [(0, summary_v2.hparams_config_pb(space, metrics))], first=True)


def has_events(folder: Path) -> bool:
    """Whether a folder has an event file. Its sub-folders do not count."""
    return any(folder.glob(PATTERN))


def _scalars(row: Row, best: Row | None = None) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = {name: row[name] for name in dict.fromkeys((*SCALARS, *SCORES, *row)) if name in row and name not in TEXT}
    values |= {tag: best[name] for tag, name in BEST.items()} if best is not None else {}
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])


def _start(name: str, point: Mapping[str, Any]) -> Any:
    from tensorboard.plugins.hparams import summary_v2

    return summary_v2.hparams_pb(dict(point), trial_id=name)


def _end(good: bool) -> Any:
    """The record that ends a trial on the HParams page; TensorBoard's own function for it imports TensorFlow."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_SUCCESS if good else api_pb2.STATUS_FAILURE
    ended = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    told = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=ended))
    value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=told, tensor=metadata.NULL_TENSOR)
    return Summary(value=[value])


def _append(path: Path, summaries: Iterable[tuple[int, Any]], *, first: bool = False) -> None:
    """Append (step, summary) pairs to the file, all in one write. `first`: begin with the record that opens a file."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    now, records = time.time(), io.BytesIO()
    events = [Event(wall_time=now, file_version="brain.Event:2")] if first else []
    events += [Event(wall_time=now, step=step, summary=summary) for step, summary in summaries]
    writer = RecordWriter(records)
    for event in events:
        writer.write(event.SerializeToString())
    path.parent.mkdir(parents=True, exist_ok=True)  # it may have been deleted in the meantime
    with path.open("ab") as file:
        file.write(records.getvalue())
