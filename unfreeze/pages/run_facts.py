"""A run folder -> `RunFacts`, all that a report needs. The parts of steps that were not done yet are empty."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from export.artefacts import TEST, Manifest, read_manifest, read_reference
from export.limits import Limits, Probed
from export.proof.parity import Parity, read_parities
from export.proof.pixel_sensitivity import StoredSensitivity, read_sensitivity
from export.settings import ExportSettings
from toolkit.data.image_set import ImageSet
from toolkit.errors import UnfreezeError, first_line
from toolkit.evaluation.results import read_answers, read_metrics
from toolkit.models.spec import ModelSpec
from toolkit.run import Run
from toolkit.settings_rules import FINALS, VARIED
from toolkit.stats.metrics import Evaluation, evaluate
from toolkit.storage.files import read_json
from toolkit.storage.records import plain_record
from toolkit.training.held_out import Temperature, read_temperature
from toolkit.training.history import Row, read_history
from toolkit.training.stored_spec import OF_EARLIER, read_spec
from tuning.results import Trial, read_epochs, read_left_out, read_trials
from unfreeze.device_limits import read_probes
from unfreeze.front_points import FrontPoint, read_front
from unfreeze.pages.exported_file import ExportedFile
from unfreeze.picked import Picked, read_pick
from unfreeze.wording import VARIED_WORDS

OBJECT = "the model "  # prefix, in model.json, of the name of a model that was adopted as a Python object


@dataclass(frozen=True)
class Answers:
    """The model's answers to the test part."""

    images: ImageSet
    probabilities: np.ndarray  # float32 [N, C]


@dataclass(frozen=True)
class Adopted:
    """The facts about a model that was trained elsewhere."""

    model: str  # the path of its file, or "the model NAME" if it was given as an object
    sha256: str
    pixels: str  # the range that it takes, as `--pixels` names it
    logits: bool  # whether it gave logits
    answers: str  # "probabilities", "logits" or "sigmoids", one for each class
    grey: bool  # whether it took greyscale images


@dataclass(frozen=True)
class RunFacts:
    """All that a report is made of."""

    run: Run
    stored: dict[str, Any]  # run.json: versions, fingerprint, weights_sha256
    spec: ModelSpec | None  # None if the model was trained elsewhere
    adopted: Adopted | None  # None if it was trained here
    best_epoch: Row  # the epoch whose weights were kept; {} for a model from elsewhere
    search: dict[str, Any]  # taken, best, tied, recommended, refit; {} without a search
    trials: tuple[Trial, ...]
    limits: Limits | None  # of the device, for which the search left out combinations
    probes: tuple[Probed, ...]  # what was measured for them
    front: tuple[FrontPoint, ...]  # trials as files: what can be had
    picked: Picked | None  # why the model is another than the one that the search took; None: it is that one
    trial_epochs: dict[str, int]  # trial -> the epoch at which the oracle ended it, if that was before the last
    history: tuple[Row, ...]
    evaluation: Evaluation | None
    answers: Answers | None
    temperature: Temperature | None  # None if none was fitted
    description: dict[str, Any]  # what every artefact says of itself; {} before an export
    files: tuple[ExportedFile, ...]
    failed: dict[str, str]  # name -> why that file could not be written
    exports: tuple[ExportSettings, ...]  # settings of the exports that wrote the files, the earliest first
    outdated: bool  # whether the export is of an earlier model
    sensitivity: StoredSensitivity | None  # accuracy by what an app does to the pixels; None before `verify --resize`

    @property
    def left_out(self) -> str:
        """What the search did not try for lack of time, as a sentence; "" if nothing."""
        left_out = read_left_out(self.run.path)
        return f"{left_out[0].upper()}{left_out[1:]}." if left_out else ""

    @property
    def kept_limits(self) -> Limits | None:
        """The limits of the device that the model was taken for."""
        return self.picked.limits if self.picked else self.limits

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return self.run.path.resolve().name

    @property
    def later_versions(self) -> tuple[dict[str, Any], ...]:
        """The package versions with which the run went on, if they were not those with which it was begun."""
        later = self.stored.get("later_versions")
        return tuple(one for one in later if isinstance(one, dict)) if isinstance(later, list) else ()

    @property
    def adopted_object(self) -> bool:
        """Whether a model from elsewhere was given as an object, not as a file."""
        return self.adopted is not None and self.adopted.model.startswith(OBJECT)

    @property
    def adopted_file(self) -> str:
        """Name of the file of a model from elsewhere, without its folder; "" if the model was trained here."""
        name = self.adopted.model if self.adopted else ""
        return f"{name.removeprefix(OBJECT)}.keras" if self.adopted_object else Path(name).name

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.run.images.class_names

    @property
    def image_size(self) -> int:
        """Side of the square input in pixels."""
        return self.spec.image_size if self.spec else read_spec(self.run).image_size

    @property
    def varied(self) -> dict[str, str]:
        """Settings that the search varied besides head size, dropout and depth -> their names in a sentence."""
        names = dict.fromkeys(name for trial in self.trials for name in trial.varied)
        return {name: VARIED_WORDS.get(name, name) for name in names}

    @property
    def trained(self) -> dict[str, Any]:
        """The settings with which the model was trained, as far as a search may vary them."""
        taken = next((trial.varied for trial in self.trials if trial.trial == self.search.get("taken")), {})
        return {name: getattr(self.run.settings, name) for name in VARIED} | dict(taken)

    @property
    def verified(self) -> tuple[ExportedFile, ...]:
        return tuple(file for file in self.files if file.parity is not None)

    @property
    def parities(self) -> tuple[Parity, ...]:
        return tuple(file.parity for file in self.files if file.parity is not None)

    @property
    def margins(self) -> tuple[float, ...]:
        """The margins of the verdicts, as fractions, each once: files may have been verified with different ones."""
        return tuple(dict.fromkeys(one.margin for one in self.parities if one.margin is not None))


def read_run_facts(run: Run) -> RunFacts:
    """Read a run's folder. Raises UnfreezeError if a file in it is damaged, or if there is no model yet."""
    if not (run.path / "model.json").is_file():
        raise UnfreezeError(
            f"{run.path} has no model yet, so there is nothing to report; `unfreeze tune DATA RUN` first"
        )
    stored = read_json(run.path / "run.json")
    if not isinstance(stored.get("versions"), dict):
        raise _damaged(run.path / "run.json", "`versions` is not an object")
    spec, adopted, best_epoch, search = _read_model(run.path / "model.json")
    exported = (run.path / "export" / "manifest.json").is_file()
    manifest = read_manifest(run.path / "export") if exported else None
    outdated = manifest is not None and not manifest.is_of(run.path / "model.keras")
    answers = _answers(run, None if outdated else manifest)
    trials, history = read_trials(run.path / "trials.csv"), run.path / "history.csv"
    limits, probes = read_probes(run.path) or (None, ())
    return RunFacts(
        run=run,
        stored=stored,
        spec=spec,
        adopted=adopted,
        best_epoch=best_epoch,
        search=search,
        trials=tuple(trials),
        limits=limits,
        probes=probes,
        front=tuple(read_front(run)),
        picked=read_pick(run.path),
        trial_epochs=read_epochs(run.path, trials),
        history=tuple(read_history(history)) if history.is_file() else (),
        evaluation=_evaluation(run, answers),
        answers=answers,
        temperature=read_temperature(run.path),
        description=manifest.description if manifest else {},
        files=_files(manifest, read_parities(run.path / "parity.json")),
        failed=manifest.failed if manifest else {},
        exports=manifest.calls if manifest else (),
        outdated=outdated,
        sensitivity=read_sensitivity(run.path),
    )


def _damaged(path: Path, why: str) -> UnfreezeError:
    return UnfreezeError(f"{path} is damaged ({why}); remove it and repeat the step that writes it")


def _read_model(path: Path) -> tuple[ModelSpec | None, Adopted | None, Row, dict[str, Any]]:
    """(spec, adopted, best epoch, search) of a model.json."""
    model = read_json(path)
    try:
        adopted = plain_record(Adopted, _of_adopted(model["adopted"])) if model.get("adopted") else None
        spec = None if adopted else plain_record(ModelSpec, _of_record(OF_EARLIER | model["spec"], ModelSpec))
        best_epoch, search = model.get("best_epoch") or {}, model.get("search") or {}
        if best_epoch and not (type(best_epoch["epoch"]) is int and isinstance(best_epoch["stage"], str)):
            raise ValueError("best_epoch lacks its epoch number or its stage")
        if search and not all(str(name).isdecimal() for name in (search["taken"], *search["tied"])):
            raise ValueError("`taken` or `tied` holds something that is not a trial number")
        if search.get("folds", 1) != 1 and not (int(search["judged"]) and search["final"] in FINALS):
            raise ValueError("the search had folds, and `judged` or `final` is missing")
        return spec, adopted, best_epoch, search
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, first_line(error)) from None


def _of_adopted(values: dict[str, Any]) -> dict[str, Any]:
    """The entries about a model from elsewhere. Earlier versions wrote fewer."""
    earlier = {"answers": "logits" if values["logits"] else "probabilities", "grey": False}
    return _of_record(earlier | values, Adopted)


def _of_record(values: dict[str, Any], record: Any) -> dict[str, Any]:
    """The entries that are fields of `record`. Raises KeyError if one is missing."""
    return {field.name: values[field.name] for field in fields(record)}


def _answers(run: Run, manifest: Manifest | None) -> Answers | None:
    """The answers that the evaluation stored, else those that the export of this model stored; None if there are
    neither."""
    stored = read_answers(run.path)
    found = _of_these_images(run, *stored) if stored else None
    if found is None and manifest is not None and (run.path / "export" / "reference.npz").is_file():
        reference = read_reference(manifest).only(TEST)
        found = _of_these_images(run, reference.paths, reference.probabilities)
    return found


def _of_these_images(run: Run, paths: tuple[str, ...], probabilities: np.ndarray) -> Answers | None:
    """The answers; None if they are not answers to the run's test part."""
    images = run.images.select("test")
    if not len(images) or paths != images.paths or probabilities.shape != (len(images), len(images.class_names)):
        return None
    return Answers(images, probabilities)


def _evaluation(run: Run, answers: Answers | None) -> Evaluation | None:
    """The evaluation, computed from the answers; without answers, the one in metrics.json."""
    stored = read_metrics(run.path, run.images.class_names)
    if answers is None:
        return stored
    return evaluate(answers.probabilities, answers.images.labels, run.images.class_names)


def _files(manifest: Manifest | None, parities: list[Parity]) -> tuple[ExportedFile, ...]:
    """The exported files, each with the verdict on a file of the same name and SHA-256."""
    verdicts = {(parity.artefact.name, parity.artefact.sha256): parity for parity in parities}
    artefacts = manifest.artefacts if manifest else ()
    return tuple(ExportedFile(one, verdicts.get((one.name, one.sha256))) for one in artefacts)
