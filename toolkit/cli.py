"""The application: parse, check, call one function, print, exit.

Heavy packages are imported in the bodies of the commands, so that `--help` and a wrong path answer at once.
Exit codes: 0 done; 1 it ran and the answer is no; 2 the call or its input is wrong; 3 a fault of Unfreeze;
130 interrupted.
"""

from __future__ import annotations

import io
import json
import math
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from toolkit import options as o
from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.mlflow_store import require
from toolkit.quiet import start_tensorflow

ANYWHERE = ("--debug", "--quiet", "-q")  # may also stand behind the command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="unfreeze")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, results only.")
@click.pass_context
def cli(context: click.Context, quiet: bool) -> None:
    """Find how deep to unfreeze a pre-trained backbone for your images, export the best model as SavedModel, TFLite and
    ONNX, and prove that every file answers as the model does.

    DATA is a folder with a sub-folder per class, or with train/ and, if you have them, val/ and test/; or a CSV
    path,label[,split]. RUN is the folder for everything that a run makes.
    """
    from toolkit.screen import Screen

    context.obj = context.with_resource(Screen(quiet=quiet))


@cli.command(short_help="Search, evaluate, export and verify in one go.")
@o.DATA
@o.RUN
@o.options(o.MODEL, o.SEARCH, o.TRAINING, o.EXPORT)
@o.MLFLOW
@o.STRICT
@o.JSON
@click.pass_obj
def run(screen: Any, data: Path, run: Path, strict: bool, as_json: bool, mlflow: str | None, **values: Any) -> None:
    """Search, evaluate, export and verify in one go. The same call again goes on where it stopped."""
    require(mlflow)
    exported = _exported(values)
    opened, result = _search(screen, data, run, strict, values)
    from export.parity import to_json
    from export.predict import first_of
    from export.verify import verify
    from export.write import export
    from toolkit import show, show_export
    from toolkit.assess import assess

    evaluation = assess(opened, progress=screen.progress)
    manifest = export(opened, **exported, progress=screen.progress)
    which = {name: exported[name] for name in ("formats", "precisions", "margin")}
    parities = verify(opened, **which, progress=screen.progress)

    def summary() -> None:
        click.echo()
        show.show_search(result)
        show.show_evaluation(evaluation)
        click.echo()
        show_export.show_attempts(manifest)
        show_export.show_parity(parities)
        click.echo()
        show.show_places(run)

    artefacts = [to_json(parity) for parity in parities]
    _answer(screen, as_json, {"search": asdict(result), "test": evaluation.to_json(), "artefacts": artefacts}, summary)
    _log(screen, run, mlflow)
    _require(parities)
    show.next_step(f"unfreeze predict {run / 'export' / first_of([p.artefact.name for p in parities])} IMAGE...")


@cli.command(short_help="Classes, counts, broken files, duplicates, the split.")
@o.DATA
@click.option("--val", type=float, default=o.DEFAULT.val, help="Fraction for validation.", show_default=True)
@click.option("--test", type=float, default=o.DEFAULT.test, help="Fraction for the test.", show_default=True)
@click.option("--seed", type=int, default=o.DEFAULT.seed, help="Of the split.", show_default=True)
@o.STRICT
@o.JSON
@click.pass_obj
def scan(screen: Any, data: Path, val: float, test: float, seed: int, strict: bool, as_json: bool) -> None:
    """What is in DATA: classes, counts, sizes, broken files, duplicates, and the split that a run would make."""
    _need_data(data)
    from toolkit import folder, show
    from toolkit.split import split

    found = folder.scan(data, strict=strict, progress=lambda done, total: screen.progress("scanning", done, total))
    images = split(found, val=val, test=test, seed=seed)
    classes = {
        name: {part: int(images.counts(part)[number]) for part in ("train", "val", "test")}
        for number, name in enumerate(images.class_names)
    }
    listed = {
        "classes": classes,
        "images": len(images),
        "rejected": [asdict(left) for left in images.rejected],
        "duplicates": images.duplicates(),
        "leaks": show.leaks(found),
        "ignored": images.ignored,
        "fingerprint": images.fingerprint(),
    }
    _answer(screen, as_json, listed, lambda: show.show_folder(images))
    show.next_step(f"unfreeze run {data} RUN")


@cli.command(short_help="Search with KerasTuner; keep the best model.")
@o.DATA
@o.RUN
@o.options(o.MODEL, o.SEARCH, o.TRAINING)
@o.MLFLOW
@o.STRICT
@o.JSON
@click.pass_obj
def tune(screen: Any, data: Path, run: Path, strict: bool, as_json: bool, mlflow: str | None, **values: Any) -> None:
    """Search head size, dropout and unfreeze depth with KerasTuner; keep the best model. Goes on where it stopped."""
    require(mlflow)
    _, result = _search(screen, data, run, strict, values)
    from toolkit import show

    _answer(screen, as_json, asdict(result), lambda: show.show_search(result))
    _log(screen, run, mlflow)
    show.next_step(f"unfreeze evaluate {run}")


@cli.command(short_help="Train one model, no search.")
@o.DATA
@o.RUN
@o.options(o.MODEL, o.SINGLE, o.TRAINING)
@o.MLFLOW
@o.STRICT
@o.JSON
@click.pass_obj
def train(screen: Any, data: Path, run: Path, strict: bool, as_json: bool, mlflow: str | None, **values: Any) -> None:
    """Train one model, no search."""
    require(mlflow)
    opened = _open(screen, data, run, strict, values)
    from toolkit import show
    from toolkit.train import train_run

    epochs = opened.settings.epochs
    history = train_run(opened, progress=screen.progress, on_epoch=lambda row: screen.epoch(row, epochs))
    _answer(
        screen, as_json, {"best": history.best, "epochs": history.rows}, lambda: show.show_training(history.best or {})
    )
    _log(screen, run, mlflow)
    show.next_step(f"unfreeze evaluate {run}")


@cli.command(short_help="Test accuracy, per-class numbers, pictures.")
@o.RUN
@click.argument("data", type=click.Path(path_type=Path), required=False)
@o.JSON
@click.pass_obj
def evaluate(screen: Any, run: Path, data: Path | None, as_json: bool) -> None:
    """Test accuracy, per-class numbers and pictures of RUN's model, on its test part.

    With DATA, on another folder: on its test part, or on all of it where it has none.
    """
    _need_run(run)
    if data is not None:
        _need_data(data)
    from toolkit import show
    from toolkit.run import load_run

    opened = load_run(run)
    start_tensorflow()
    from toolkit.assess import assess, assess_other

    if data is None:
        evaluation = assess(opened, progress=screen.progress)
        _answer(screen, as_json, evaluation.to_json(), lambda: show.show_evaluation(evaluation))
        show.next_step(f"look at {run / 'plots'}, then: unfreeze export {run}")
        return
    evaluation, known = assess_other(opened, data, progress=screen.progress)
    if known:
        screen.say(
            f"{known} of these {evaluation.images} images were trained or chosen on: this is no test of the model"
        )
    told = evaluation.to_json() | {"trained_on": known}
    _answer(screen, as_json, told, lambda: show.show_evaluation(evaluation, f"accuracy on {data}"))


@cli.command(short_help="SavedModel, TFLite and ONNX in float32, float16 and int8.")
@o.RUN
@o.options(o.EXPORT)
@o.MOVED
@o.JSON
@click.pass_obj
def export(screen: Any, run: Path, data: Path | None, as_json: bool, **values: Any) -> None:
    """Write RUN's model as SavedModel, TFLite and ONNX, in float32, float16 and int8, with labels, metadata, a
    manifest, and a golden pack to prove an app with.

    An int8 file that loses more than the margin on images other than the test part is made in other ways, until one
    holds. Other artefacts of the same model that were exported earlier stay.
    """
    _need_run(run)
    exported = _exported(values)
    from toolkit import show, show_export
    from toolkit.run import load_run

    opened = load_run(run, data)
    start_tensorflow()
    from export.write import export as write

    manifest = write(opened, **exported, progress=screen.progress)
    told = {"artefacts": [asdict(artefact) for artefact in manifest.artefacts], "failed": manifest.failed}
    _answer(screen, as_json, told, lambda: show_export.show_manifest(manifest))
    if manifest.failed:
        raise NoAnswerError("; ".join(f"{name} could not be written: {why}" for name, why in manifest.failed.items()))
    show.next_step(f"unfreeze verify {run}")


@cli.command(short_help="Prove each artefact in its own runtime.")
@click.argument("run", type=click.Path(path_type=Path), required=False)
@o.FORMATS
@o.PRECISIONS
@o.MARGIN
@click.option(
    "--tolerance",
    type=float,
    default=1e-4,
    show_default=True,
    help="Largest difference of a float32 file's probabilities.",
)
@o.THREADS
@click.option("--times/--no-times", default=True, show_default=True, help="Measure latency, load time and memory.")
@click.option(
    "--sort",
    type=click.Choice(["size", "latency", "accuracy"]),
    help="Order of the table, the best first.  [as exported]",
)
@click.option("--strict", is_flag=True, help="Too few images to tell is a failure, too.")
@click.option("--layers", is_flag=True, help="Compare all artefacts layer by layer, not only those that do not hold.")
@click.option("--resize", is_flag=True, help="Besides: accuracy if an app decodes or resizes in another way.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Where the images are now, if they were moved since the run. With --reference: the images to compare on.",
)
@click.option("--reference", type=click.Path(path_type=Path), help="Instead of RUN: a .keras model from elsewhere.")
@click.option(
    "--artefact",
    "artefacts",
    type=click.Path(path_type=Path),
    multiple=True,
    help="With --reference: a file that was made of it; may be given several times.",
)
@click.option(
    "--pixels",
    type=click.Choice(["0..255", "0..1", "-1..1", "imagenet", "caffe"]),
    help="With --reference: the range of values that the models take.  [0..255]",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="With --reference: a class name a line, in the model's order.  [the folders' names, sorted]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="With --reference: a folder for parity.json and the pictures."
)
@o.JSON
@click.pass_obj
def verify(screen: Any, run: Path | None, as_json: bool, **values: Any) -> None:
    """Run every artefact of RUN in its own runtime over the whole test part: accuracy lost, with a bound on it,
    flips, differences, calibration, latency, memory. Where one does not hold, the first layer that differs is named.
    Exit 1 where one does not hold.

    Or a model from elsewhere: unfreeze verify --reference model.keras --artefact model.onnx --data DIR
    """
    if run is None:
        _verify_foreign(screen, as_json, values)
        return
    for name in ("reference", "artefacts", "labels", "out", "pixels"):
        if values[name]:
            raise UnfreezeError(
                f"--{name.removesuffix('s') if name == 'artefacts' else name} goes without RUN: give one of both"
            )
    _need_run(run)
    which: dict[str, Any] = {name: _listed(values[name], name) for name in ("formats", "precisions")}
    from export.parity import to_json
    from export.predict import first_of
    from export.verify import verify as check
    from toolkit import show, show_export
    from toolkit.run import load_run

    opened = load_run(run, values["data"])
    how = {name: values[name] for name in ("margin", "tolerance", "layers")}
    parities = check(opened, **which, **how, threads=_threads(values), progress=screen.progress)
    clients, trouble = _clients(screen, opened, parities, values["margin"]) if values["resize"] else ([], None)
    told: Any = [to_json(parity) for parity in parities]
    told = {"artefacts": told, "clients": [asdict(row) for row in clients]} if clients else told

    def summary() -> None:
        show_export.show_parity(parities, values["sort"])
        show_export.show_clients(clients)

    _answer(screen, as_json, told, summary)
    if trouble:
        raise trouble
    _require(parities, values["strict"])
    show.next_step(f"unfreeze predict {run / 'export' / first_of([p.artefact.name for p in parities])} IMAGE...")


def _verify_foreign(screen: Any, as_json: bool, values: dict[str, Any]) -> None:
    """Without RUN."""
    if not (values["reference"] and values["artefacts"] and values["data"]):
        raise UnfreezeError(
            "give RUN; or --reference MODEL.keras, --artefact FILE and --data DIR for a model from elsewhere"
        )
    for name in ("formats", "precisions"):
        if values[name]:
            raise UnfreezeError(f"--{name} chooses among a RUN's artefacts; here each is given by --artefact")
    if values["resize"]:
        raise UnfreezeError("--resize needs a RUN: with --reference it is not known how the model was trained")
    _need_data(values["data"])
    for path in values["artefacts"]:
        if not path.exists():
            raise UnfreezeError(
                f"{path} does not exist; give --artefact an .onnx or .tflite file or a SavedModel folder"
            )
    start_tensorflow()
    from export.foreign import verify_foreign
    from export.parity import to_json
    from toolkit import show_export

    names = ("data", "pixels", "labels", "margin", "tolerance", "layers", "out")
    how = {name: values[name] for name in names} | {"pixels": values["pixels"] or "0..255"}
    parities = verify_foreign(
        values["reference"], values["artefacts"], **how, threads=_threads(values), progress=screen.progress
    )
    told = [to_json(parity) for parity in parities]
    _answer(screen, as_json, told, lambda: show_export.show_parity(parities, values["sort"]))
    _require(parities, values["strict"])


def _threads(values: dict[str, Any]) -> tuple[int, ...] | None:
    """How many threads are timed; None: as many as `export.verify` says."""
    if min(values["threads"] or (1,)) < 1:
        raise UnfreezeError(f"--threads has {min(values['threads'])}; a runtime needs one at least")
    return values["threads"] if values["times"] else ()


def _clients(screen: Any, run: Any, parities: list[Any], margin: float) -> tuple[list[Any], UnfreezeError | None]:
    """How sensitive one of the artefacts that ran is to what apps do (all of a precision answer alike), or why that
    could not be found out."""
    from export.clients import sensitivity, write_sensitivity
    from export.predict import first_of

    ran = [parity.artefact.name for parity in parities if parity.accuracy is not None]
    if not ran:
        return [], None
    name, images = first_of(ran), run.images.select("test")
    path, size = run.path / "export" / name, run.settings.image_size
    try:
        rows = sensitivity(path, images, size, margin=margin, progress=screen.progress)
    except UnfreezeError as error:
        return [], error
    write_sensitivity(run.path, name, rows, margin)
    return rows, None


@cli.command(short_help="Class and probability of each image.")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True)
@o.JSON
@click.pass_obj
def predict(screen: Any, source: Path, images: tuple[Path, ...], as_json: bool) -> None:
    """Class and probability of each image, by an .onnx or .tflite file, a SavedModel folder, or a run.

    An image may be a folder of them.
    """
    if not source.exists():
        raise UnfreezeError(
            f"{source} does not exist; give an .onnx or .tflite file, a SavedModel folder or a run folder"
        )
    from export.predict import predict as answer

    predictions = []
    for prediction in answer(source, images):
        predictions.append(prediction)
        if not as_json:
            said = prediction.error or f"{prediction.answer}  {prediction.probability:.4f}"
            click.echo(f"{prediction.path}  {said}", err=bool(prediction.error))
    _answer(screen, as_json, [asdict(prediction) for prediction in predictions], lambda: None)
    broken = sum(prediction.error is not None for prediction in predictions)
    if broken:
        raise NoAnswerError(f"{broken} of {len(predictions)} files could not be read")


@cli.command(short_help="The table of backbones and their cut layers.")
@o.JSON
@click.pass_obj
def backbones(screen: Any, as_json: bool) -> None:
    """The backbones, their default image size, and the cut layer of each unfreeze depth."""
    from toolkit import show
    from toolkit.spec import BACKBONES

    _answer(screen, as_json, [asdict(row) for row in BACKBONES.values()], show.show_backbones)


def _log(screen: Any, run: Path, uri: str | None) -> None:
    """The last step of a command: the folder is whole."""
    if uri is not None:
        from toolkit.tracking import log_to_mlflow

        screen.say(f"logged to MLflow as run {log_to_mlflow(run, uri)}")


def _need_data(data: Path) -> None:
    if not data.exists():
        raise UnfreezeError(f"{data} does not exist; give a folder with a sub-folder per class, or a CSV path,label")


def _need_run(run: Path) -> None:
    if not (run / "run.json").is_file():
        raise UnfreezeError(f"{run} is not a run folder (it has no run.json); `unfreeze run DATA {run}` makes one")


def _open(screen: Any, data: Path, run: Path, strict: bool, values: dict[str, Any]) -> Any:
    """The run folder for a command that trains; TensorFlow is loaded last, when all that can be wrong was checked."""
    _need_data(data)
    settings = o.settings(values)
    from toolkit import show
    from toolkit.run import prepare

    opened = prepare(data, run, settings, strict=strict, progress=screen.progress)
    for line in show.warnings(opened.images):
        screen.say(line)
    start_tensorflow()
    return opened


def _search(screen: Any, data: Path, run: Path, strict: bool, values: dict[str, Any]) -> tuple[Any, Any]:
    """The part that `run` and `tune` share."""
    opened = _open(screen, data, run, strict, values)
    from tuning.search import search

    settings = opened.settings
    total = None if settings.oracle in ("hyperband", "halving") else min(settings.trials, settings.points)
    result = search(
        opened,
        progress=screen.progress,
        on_epoch=lambda row: screen.epoch(row, settings.epochs + (settings.refit if row["stage"] == "refit" else 0)),
        on_trials=lambda trials: screen.trials(trials, total),
    )
    return opened, result


def _exported(values: dict[str, Any]) -> dict[str, Any]:
    """The options of an export, taken out of a command's; what cannot be made is said here, before anything starts."""
    from export.variants import choose

    names = ("formats", "precisions", "calibration", "float_layers", "license", "margin")
    taken = {name: values.pop(name) for name in names}
    for name in ("formats", "precisions"):
        taken[name] = _listed(taken[name], name)
    choose(taken["formats"], taken["precisions"])
    taken["float_layers"] = tuple(filter(None, (taken["float_layers"] or "").replace(" ", "").split(",")))
    return taken


def _listed(text: str | None, what: str) -> tuple[str, ...] | None:
    """The formats or precisions asked for; None: all that there are."""
    from difflib import get_close_matches

    from export.variants import FORMATS, PRECISIONS

    known = {"formats": FORMATS, "precisions": PRECISIONS}[what]
    if text is None:
        return None
    chosen = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in chosen:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UnfreezeError(f"no {what.removesuffix('s')} {name!r}; {hint}")
    if not chosen:
        raise UnfreezeError(f"--{what} is empty; there are {', '.join(known)}")
    return chosen


def _require(parities: list[Any], strict: bool = False) -> None:
    if not parities:
        raise NoAnswerError("no artefact to verify; `unfreeze export RUN` writes them")
    broken = [parity.artefact.name for parity in parities if parity.broken]
    if broken:
        raise NoAnswerError(f"{', '.join(broken)} {'do' if len(broken) > 1 else 'does'} not hold")
    unsure = [parity.artefact.name for parity in parities if not parity]
    if strict and unsure:
        raise NoAnswerError(
            f"too few images to tell whether {', '.join(unsure)} {'hold' if len(unsure) > 1 else 'holds'}"
        )


def _answer(screen: Any, as_json: bool, value: Any, show: Callable[[], None]) -> None:
    """The result on standard output: as JSON, or as people read it."""
    screen.close()
    if as_json:
        click.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        show()


def _plain(value: Any) -> Any:
    """What JSON can hold: numpy's numbers and arrays as Python's, and null for what is not a finite number."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name that the terminal cannot show
    sys.exit(_main(sys.argv[1:]))


def _main(arguments: list[str]) -> int:
    arguments = _hoisted(arguments)
    try:
        return cli.main(arguments, prog_name="unfreeze", standalone_mode=False) or 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted; nothing that was finished is lost: type the same command to go on", 130)
    except click.ClickException as error:
        return _fail(error.format_message(), 2, arguments)
    except UnfreezeError as error:
        return _fail(str(error), 2, arguments)
    except NoAnswerError as error:
        return _fail(str(error), 1, arguments)
    except OSError as error:
        return _fail(str(error), 2, arguments)
    except Exception as error:
        text = f"unexpected: {type(error).__name__}: {error} (--debug shows where; please report it)"
        return _fail(text, 3, arguments)


def _hoisted(arguments: list[str]) -> list[str]:
    """The options of the whole program to the front, wherever they were typed."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    head = arguments[:end]
    return [a for a in head if a in ANYWHERE] + [a for a in head if a not in ANYWHERE] + arguments[end:]


def _fail(text: str, code: int, arguments: list[str] | tuple[()] = ()) -> int:
    if "--debug" in arguments:
        traceback.print_exc()
    click.echo(f"error: {' '.join(text.split())}", err=True)
    return code
