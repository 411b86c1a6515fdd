"""The application: parse, check, call one function, print, exit.

Heavy packages are imported in the bodies of the commands, so that `--help` and a wrong path answer at once.
Exit codes: 0 done; 1 it ran and the answer is no; 2 the call or its input is wrong; 130 interrupted.
"""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from toolkit import options as o
from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.quiet import start_tensorflow


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

    context.obj = context.with_resource(Screen(quiet=quiet)) if context.invoked_subcommand else None


@cli.command()
@o.DATA
@o.RUN
@o.options(o.MODEL, o.SEARCH, o.TRAINING)
@o.STRICT
@o.JSON
@click.pass_obj
def run(screen: Any, data: Path, run: Path, strict: bool, as_json: bool, **values: Any) -> None:
    """Search, evaluate, export and verify in one go. The same call again goes on where it stopped."""
    _settle(data, values)
    from toolkit import show

    opened, result = _search(screen, data, run, strict, values)
    from export.parity import to_json, verify
    from export.write import export
    from toolkit.assess import assess

    evaluation = assess(opened, progress=screen.progress)
    export(opened, progress=screen.progress)
    parities = verify(opened, progress=screen.progress)
    if as_json:
        _print_json(
            {
                "search": asdict(result),
                "test": evaluation.to_json(),
                "artefacts": [to_json(p) for p in parities],
            }
        )
    else:
        click.echo()
        show.show_search(result)
        show.show_evaluation(evaluation)
        click.echo()
        show.show_parity(parities)
        click.echo()
        show.show_places(run)
    _require(parities)
    show.next_step(f"unfreeze predict {run / 'export' / 'model.onnx'} IMAGE...")


@cli.command()
@o.DATA
@click.option("--val", type=float, default=o.DEFAULT.val, help="Fraction for validation.", show_default=True)
@click.option("--test", type=float, default=o.DEFAULT.test, help="Fraction for the test.", show_default=True)
@click.option("--seed", type=int, default=o.DEFAULT.seed, help="Of the split.", show_default=True)
@o.STRICT
@o.JSON
@click.pass_obj
def scan(screen: Any, data: Path, val: float, test: float, seed: int, strict: bool, as_json: bool) -> None:
    """What is in DATA: classes, counts, sizes, broken files, duplicates, and the split that a run would make."""
    from toolkit import folder, show
    from toolkit.split import split

    found = folder.scan(data, strict=strict, progress=lambda done, total: screen.progress("scanning", done, total))
    images = split(found, val=val, test=test, seed=seed)
    if as_json:
        _print_json(
            {
                "classes": {
                    name: {part: int(images.counts(part)[n]) for part in ("train", "val", "test")}
                    for n, name in enumerate(images.class_names)
                },
                "images": len(images),
                "rejected": [asdict(left) for left in images.rejected],
                "duplicates": images.duplicates(),
                "leaks": found.leaks(),
                "ignored": images.ignored,
                "fingerprint": images.fingerprint(),
            }
        )
    else:
        show.show_folder(images)
    show.next_step(f"unfreeze run {data} RUN")


@cli.command()
@o.DATA
@o.RUN
@o.options(o.MODEL, o.SEARCH, o.TRAINING)
@o.STRICT
@o.JSON
@click.pass_obj
def tune(screen: Any, data: Path, run: Path, strict: bool, as_json: bool, **values: Any) -> None:
    """Search head size, dropout and unfreeze depth with KerasTuner; keep the best model. Goes on where it stopped."""
    _settle(data, values)
    from toolkit import show

    _, result = _search(screen, data, run, strict, values)
    _print_json(asdict(result)) if as_json else show.show_search(result)
    show.next_step(f"unfreeze evaluate {run}")


@cli.command()
@o.DATA
@o.RUN
@o.options(o.MODEL, o.SINGLE, o.TRAINING)
@o.STRICT
@o.JSON
@click.pass_obj
def train(screen: Any, data: Path, run: Path, strict: bool, as_json: bool, **values: Any) -> None:
    """Train one model, no search."""
    settings = _settle(data, values)
    from toolkit import show
    from toolkit.run import prepare

    opened = prepare(data, run, settings, strict=strict, progress=screen.progress)
    start_tensorflow()
    from toolkit.train import train_run

    history = train_run(opened, progress=screen.progress, on_epoch=lambda row: screen.epoch(row, settings.epochs))
    best: Any = history.best
    if as_json:
        _print_json({"best": best, "epochs": history.rows})
    else:
        click.echo(
            f"best epoch {best['epoch'] + 1}: "
            f"validation accuracy {best['val_accuracy']:.2%}, loss {best['val_loss']:.4f}"
        )
    show.next_step(f"unfreeze evaluate {run}")


@cli.command()
@o.RUN
@click.argument("data", type=click.Path(path_type=Path), required=False)
@o.JSON
@click.pass_obj
def evaluate(screen: Any, run: Path, data: Path | None, as_json: bool) -> None:
    """Test accuracy, per-class numbers and pictures of RUN's model, on its test part or on another folder."""
    from toolkit import show
    from toolkit.run import load_run

    opened = load_run(run)
    if data is not None and not data.exists():
        raise UnfreezeError(f"{data} does not exist; give a folder of images or a CSV")
    start_tensorflow()
    from toolkit.assess import assess, assess_other

    evaluation = (
        assess(opened, progress=screen.progress)
        if data is None
        else assess_other(opened, data, progress=screen.progress)
    )
    _print_json(evaluation.to_json()) if as_json else show.show_evaluation(evaluation)
    show.next_step(f"unfreeze export {run}")


@cli.command()
@o.RUN
@click.option("--formats", default="saved_model,tflite,onnx", show_default=True, help="Which, separated by commas.")
@o.JSON
@click.pass_obj
def export(screen: Any, run: Path, formats: str, as_json: bool) -> None:
    """Write RUN's model as SavedModel, TFLite and ONNX, with labels, metadata and a manifest."""
    from toolkit import show
    from toolkit.run import load_run

    opened = load_run(run)
    chosen = _formats(formats)
    start_tensorflow()
    from export.write import export as write

    manifest = write(opened, formats=chosen, progress=screen.progress)
    if as_json:
        _print_json([asdict(artefact) for artefact in manifest.artefacts])
    else:
        rows = [[str(manifest.folder / a.name), f"{a.bytes / 1e6:.2f} MB", a.sha256[:16]] for a in manifest.artefacts]
        from toolkit.screen import show as table

        table(["artefact", "size", "sha256"], rows)
    show.next_step(f"unfreeze verify {run}")


@cli.command()
@o.RUN
@click.option("--data", type=click.Path(path_type=Path), help="Where the images are now, if they were moved.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of each runtime.")
@o.JSON
@click.pass_obj
def verify(screen: Any, run: Path, data: Path | None, threads: int, as_json: bool) -> None:
    """Run every artefact in its own runtime over the whole test part; exit 1 where one does not hold."""
    from export.parity import to_json
    from export.parity import verify as check
    from toolkit import show
    from toolkit.run import load_run

    parities = check(load_run(run), data=data, threads=threads, progress=screen.progress)
    _print_json([to_json(parity) for parity in parities]) if as_json else show.show_parity(parities)
    _require(parities)
    show.next_step(f"unfreeze predict {run / 'export' / 'model.onnx'} IMAGE...")


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True)
@o.JSON
def predict(source: Path, images: tuple[Path, ...], as_json: bool) -> None:
    """Class and probability of each image, by an .onnx or .tflite file, a SavedModel folder, or a run."""
    from export.predict import predict as answer

    predictions = []
    for prediction in answer(source, images):
        predictions.append(prediction)
        if not as_json:
            said = prediction.error or f"{prediction.answer}  {prediction.probability:.4f}"
            click.echo(f"{prediction.path}  {said}", err=bool(prediction.error))
    if as_json:
        _print_json([asdict(prediction) for prediction in predictions])
    broken = sum(prediction.error is not None for prediction in predictions)
    if broken:
        raise NoAnswerError(f"{broken} of {len(predictions)} files could not be read")


@cli.command()
@o.JSON
def backbones(as_json: bool) -> None:
    """The backbones, their default image size, and the cut layer of each unfreeze depth."""
    from toolkit.screen import show
    from toolkit.spec import BACKBONES

    if as_json:
        return _print_json([asdict(row) for row in BACKBONES.values()])
    rows = [
        [
            row.name,
            str(row.image_size),
            str(len(row.cuts) + 1),
            ", ".join(row.cuts[:3]) + (", …" if len(row.cuts) > 3 else ""),
        ]
        for row in BACKBONES.values()
    ]
    show(["backbone", "px", "deepest", "frozen up to, at depth 1, 2, 3, …"], rows)
    click.echo("\nat the deepest depth nothing is frozen; --json lists every cut layer")


def _settle(data: Path, values: dict[str, Any]) -> Any:
    """Check what can be checked before anything heavy is imported."""
    if not data.exists():
        raise UnfreezeError(f"{data} does not exist; give a folder with a sub-folder per class, or a CSV path,label")
    return o.settings(values)


def _search(screen: Any, data: Path, run: Path, strict: bool, values: dict[str, Any]) -> tuple[Any, Any]:
    """The part that `run` and `tune` share."""
    from toolkit.run import prepare

    settings = o.settings(values)
    opened = prepare(data, run, settings, strict=strict, progress=screen.progress)
    start_tensorflow()
    from tuning.search import search

    total = min(settings.trials, settings.points)
    result = search(
        opened,
        progress=screen.progress,
        on_epoch=lambda row: screen.epoch(row, settings.epochs),
        on_trials=lambda trials: screen.trials(trials, total),
    )
    return opened, result


def _formats(text: str) -> tuple[str, ...]:
    from difflib import get_close_matches

    known = ("saved_model", "tflite", "onnx")
    chosen = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in chosen:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UnfreezeError(f"no format {name!r}; {hint}")
    if not chosen:
        raise UnfreezeError(f"--formats is empty; there are {', '.join(known)}")
    return chosen


def _require(parities: list) -> None:
    failed = [parity.artefact.name for parity in parities if not parity]
    if failed or not parities:
        raise NoAnswerError(
            f"{', '.join(failed) or 'no artefact'} does not hold" if parities else "no artefact to verify"
        )


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    """numpy's numbers and arrays as JSON."""
    return value.tolist()


def main() -> None:
    """The console script."""
    sys.exit(_main(sys.argv[1:]))


def _main(arguments: list[str]) -> int:
    try:
        return cli.main(arguments, prog_name="unfreeze", standalone_mode=False) or 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted; the same command goes on where it stopped", 130)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return 2
    except click.ClickException as error:
        return _fail(" ".join(error.format_message().split()), 2, arguments)
    except UnfreezeError as error:
        return _fail(str(error), 2, arguments)
    except NoAnswerError as error:
        return _fail(str(error), 1, arguments)
    except OSError as error:
        return _fail(" ".join(str(error).split()), 2, arguments)


def _fail(text: str, code: int, arguments: list[str] | tuple = ()) -> int:
    if "--debug" in arguments:
        traceback.print_exc()
    click.echo(f"error: {text}", err=True)
    return code
