"""Unfreeze: a folder of images in, a fine-tuned classifier out, exported and proven.

    import unfreeze

    finished = unfreeze.run("photos", "runs/pets", settings=unfreeze.Settings(trials=4))
    print(finished.evaluation.accuracy, finished.parities)

There is a function for each command, by the same name. Functions that train or convert load TensorFlow; this import
does not.

    api            what the commands do, as functions: images, training, evaluation, report
    artefact_api   likewise: export, verification, inspection, prediction
    backbone_api   likewise: which backbones there are, what they cost on a device
    digits_demo    the whole job on handwritten digits that are always there
    cli            the command line: the group of commands, and how each ends
    commands       the commands
    options        the options that commands share
    search_options  those of a search, and of a single training in their place
    data_options   those that say how DATA is read and divided
    export_options  those that say which files are exported, and what is asked of them
    option_records  their values -> the settings records
    option_types   the types of options that click does not have
    screen         progress and tables on the terminal
    pages          report.html and the model card
    gate           verdicts for continuous integration: JUnit, annotations, a summary
    tracking       a run's folder -> MLflow
    searching      the search of `tune` and `run`, within what the device allows
    device_limits  what the device allows, measured before any training
    probing        the files of `unfreeze probe`, to be measured on a device
    probe_command  the command that writes them
    own_parts      parts of the caller's: the settings that fit them
    own_backbone   a keras.Model or a preset of KerasHub as the backbone of a run
    finalists      trained models as files, measured
    finalist_files  how they are written and measured
    file_judge     the search chooses by them
    front_points   what can be had of accuracy, latency, size and memory
    picked         what `pick` was asked for last
    picking        another trial of a finished search becomes the run's model
    after_search   what `run` takes after its search: an estimate
    wording        sentences that terminal, page and model card share
    evidence_wording  those on what the verdicts rest on
"""

from export.limits import Limits
from export.settings import Conversion, ExportSettings, VerifySettings
from toolkit.data.settings import DataSettings
from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.own.parts import Own
from toolkit.progress import Listener
from toolkit.settings import Settings
from unfreeze.api import Finished, adopt, evaluate, report, run, scan, track, train, tune, write_csv
from unfreeze.artefact_api import export, inspect, predict, sensitivity, verify, verify_foreign
from unfreeze.backbone_api import backbones, probe
from unfreeze.digits_demo import demo
from unfreeze.front_points import FrontPoint
from unfreeze.picking import front, pick

__all__ = [
    "Conversion",
    "DataSettings",
    "ExportSettings",
    "Finished",
    "FrontPoint",
    "Limits",
    "Listener",
    "NoAnswerError",
    "Own",
    "Settings",
    "UnfreezeError",
    "VerifySettings",
    "adopt",
    "backbones",
    "demo",
    "evaluate",
    "export",
    "front",
    "inspect",
    "pick",
    "predict",
    "probe",
    "report",
    "run",
    "scan",
    "sensitivity",
    "track",
    "train",
    "tune",
    "verify",
    "verify_foreign",
    "write_csv",
]
