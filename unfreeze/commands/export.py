"""`unfreeze export`: a run's model as files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from export.description import reject_below
from toolkit.errors import NoAnswerError
from toolkit.progress import Listener
from unfreeze import artefact_api, option_records
from unfreeze import options as o
from unfreeze.commands.finish import print_result
from unfreeze.export_options import EXPORT


@click.command(short_help="SavedModel, TFLite and ONNX in float32, float16 and int8.")
@o.RUN
@o.options(EXPORT)
@o.MOVED
@o.JSON
@click.pass_obj
def export(screen: Any, run: Path, data: Path | None, as_json: bool, **values: Any) -> None:
    """Write RUN's model as SavedModel, TFLite and ONNX, in float32, float16 and int8, with labels, metadata, a
    manifest, and a golden pack to prove an app with.

    If an int8 file loses more than the margin on validation images, other ways to make it are tried until one
    holds. Other artefacts of the same model that were exported earlier stay.
    """
    manifest = artefact_api.export(
        run, option_records.export_settings(values), data=data, listener=Listener(screen.progress)
    )
    from unfreeze.screen import export_tables

    told: dict[str, Any] = {
        "artefacts": [asdict(artefact) for artefact in manifest.artefacts],
        "failed": manifest.failed,
    }
    told["reject_below"] = reject_below(manifest.description) or None
    print_result(screen, as_json, told, lambda: export_tables.show_manifest(manifest))
    if manifest.failed:
        raise NoAnswerError("; ".join(f"{name} could not be written: {why}" for name, why in manifest.failed.items()))
    screen.next(f"unfreeze verify {run}")
