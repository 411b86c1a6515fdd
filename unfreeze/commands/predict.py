"""`unfreeze predict`: class and probability of images."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from toolkit.errors import NoAnswerError, one_line
from unfreeze import artefact_api, option_records
from unfreeze import options as o
from unfreeze.commands.finish import print_result


@click.command(short_help="Class and probability of each image.")
@click.argument("source", type=o.LocalPath())
@click.argument("images", type=o.LocalPath(), nargs=-1, required=True)
@o.options(o.CONVERSION)
@o.JSON
@click.pass_obj
def predict(screen: Any, source: Path, images: tuple[Path, ...], as_json: bool, **values: Any) -> None:
    """Class and probability of each image, by an ONNX, TFLite or Keras file, a SavedModel folder, or a run.

    An image may be a folder of them. A model that was not exported here says itself, or you say, what it takes and
    which classes it has: unfreeze predict model.onnx IMAGE --pixels imagenet --labels labels.txt

    "unsure:" stands before the class if its probability is below the threshold that the file was exported with
    (unfreeze export --reject-below).
    """
    predictions = []
    for prediction in artefact_api.predict(source, images, option_records.conversion(values)):
        predictions.append(prediction)
        if not as_json:
            doubt = "unsure: " if prediction.unsure else ""
            said = prediction.error or f"{doubt}{prediction.answer}  {prediction.probability:.4f}"
            click.echo(one_line(f"{prediction.path}  {said}"), err=bool(prediction.error))
    print_result(screen, as_json, [asdict(prediction) for prediction in predictions], lambda: None)
    broken = sum(prediction.error is not None for prediction in predictions)
    if broken:
        raise NoAnswerError(f"{broken} of {len(predictions)} files could not be read")
