"""`unfreeze verify`: the artefacts of a run, or a model from elsewhere and what was made of it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from export.settings import MARGIN, VerifySettings
from toolkit.data.settings import CSV_FIELDS
from toolkit.errors import UnfreezeError
from toolkit.progress import Listener
from unfreeze import artefact_api, export_options, option_records
from unfreeze import options as o
from unfreeze.commands.finish import print_result, require_proof, require_sense
from unfreeze.data_options import COLUMNS
from unfreeze.gate.reports import Reports

if TYPE_CHECKING:
    from export.proof.parity import Parity

OWN = ("reference", "reference_pixels", "pixels", "labels", "image_size", "output", "out", "retrained")
FOREIGN = {name: f"--{name.replace('_', '-')}" for name in (*OWN, *CSV_FIELDS)} | {"artefacts": "--artefact"}


@click.command(short_help="Prove each artefact in its own runtime.")
@click.argument("run", type=o.LocalPath(), required=False)
@export_options.FORMATS
@export_options.PRECISIONS
@export_options.MARGIN
@click.option(
    "--tolerance",
    type=float,
    default=VerifySettings.tolerance,
    show_default=True,
    help="Largest difference of a float32 file's probabilities.",
)
@o.THREADS
@click.option("--times/--no-times", default=True, show_default=True, help="Measure latency, load time and memory.")
@click.option(
    "--sort",
    type=o.Choice(["size", "latency", "accuracy"]),
    help="Column that the table is sorted by, the best first.  [as exported]",
)
@click.option("--strict", is_flag=True, help="Exit 1 also where there are too few images to tell.")
@click.option("--layers", is_flag=True, help="Compare all artefacts layer by layer, not only those that do not hold.")
@click.option(
    "--resize", is_flag=True, help="Also measure the accuracy if an app decodes or resizes images in another way."
)
@click.option(
    "--data",
    type=o.DATA_PATH,
    help="Where the images are now, if they were moved since the run. With --reference: images to compare on.",
)
@click.option(
    "--evidence",
    type=o.LocalPath(),
    help="Folder of more images, without labels: they bound the loss by how many answers differ.",
)
@click.option(
    "--max-flips",
    type=click.FloatRange(0, 100),
    default=VerifySettings.max_flips,
    show_default=True,
    help="Per cent of the answers that may differ from the model's, whatever accuracy is lost.",
)
@click.option(
    "--reference", type=o.LocalPath(), help="Instead of RUN: a model file of any runtime that others are compared with."
)
@click.option(
    "--retrained",
    is_flag=True,
    help="With --reference: the artefacts are other models on purpose. They are judged by the accuracy that they lose "
    "and by --max-flips, not by equal probabilities.",
)
@click.option(
    "--artefact",
    "artefacts",
    type=o.LocalPath(),
    multiple=True,
    help="With --reference: a model file of any runtime. The option may be given several times.",
)
@o.options(COLUMNS, o.CONVERSION)
@click.option("--reference-pixels", metavar="RANGE", help="As --pixels, for the reference alone.  [--pixels]")
@click.option(
    "--out", type=o.LocalPath(), help="With --reference: folder that parity.json and the pictures are written to."
)
@click.option("--junit", type=o.LocalPath(), help="File for the verdicts as JUnit XML, a test case for each artefact.")
@click.option(
    "--summary",
    type=o.LocalPath(),
    help="File for a summary in Markdown: the verdict, what changed, the flips by name.",
)
@click.option(
    "--github",
    is_flag=True,
    help="Print annotations for GitHub Actions, and append the summary to the file that GITHUB_STEP_SUMMARY names.",
)
@o.JSON
@click.pass_obj
def verify(screen: Any, run: Path | None, as_json: bool, **values: Any) -> None:
    """Run every artefact of RUN in its own runtime over the whole test part: accuracy lost, with a bound on it, flips,
    differences, calibration, latency, memory. For one that does not hold, the first layer that differs is named. Exit 1
    if one does not hold.

    Or any two model files: unfreeze verify --reference model.keras --artefact model.onnx --data DIR --pixels 0..1
    """
    of_csv = {name: values[name] for name in CSV_FIELDS}
    settings, listener = option_records.verify_settings(values), Listener(screen.progress)
    wanted = {name: values.pop(name) for name in ("junit", "summary", "github")}
    reports = Reports(**wanted, strict=values["strict"], as_json=as_json)
    if run is None:
        _verify_foreign(screen, reports, values, settings)
        return
    for name, option in FOREIGN.items():
        if (values | of_csv)[name]:
            raise UnfreezeError(f"{option} goes without RUN: give one of both")
    which = {name: values[name] for name in ("formats", "precisions", "data")}
    with reports.even_without_verdicts():
        parities = artefact_api.verify(run, settings, **which, listener=listener)
    from export.predict import default_artefact
    from export.proof.parity import to_json
    from unfreeze.screen import export_tables

    sensitivity, trouble = _sensitivity(screen, run, parities, values) if values["resize"] else ([], None)
    told: Any = [to_json(parity) for parity in parities]
    told = {"artefacts": told, "clients": [asdict(row) for row in sensitivity]} if sensitivity else told
    reports.write(parities, run / "plots", str(trouble or ""))

    def summary() -> None:
        export_tables.show_parity(parities, values["sort"])
        export_tables.show_sensitivity(sensitivity)

    reports.show(lambda: print_result(screen, as_json, told, summary), parities, str(trouble or ""))
    if trouble:
        raise trouble
    require_proof(parities, values["strict"])
    screen.next(f"unfreeze predict {run / 'export' / default_artefact([p.artefact.name for p in parities])} IMAGE...")


def _sensitivity(
    screen: Any, run: Path, parities: list[Any], values: dict[str, Any]
) -> tuple[list[Any], UnfreezeError | None]:
    """(the sensitivity of one artefact that ran, to stand for all; the error if it could not be measured)."""
    from export.predict import default_artefact

    ran = [parity.artefact.name for parity in parities if parity.accuracy is not None]
    how = {"margin": values["margin"] or MARGIN, "data": values["data"]}
    try:
        if not ran:
            return [], None
        listener = Listener(screen.progress)
        return artefact_api.sensitivity(run, default_artefact(ran), **how, listener=listener), None
    except UnfreezeError as error:
        return [], error


def _verify_foreign(screen: Any, reports: Reports, values: dict[str, Any], settings: VerifySettings) -> None:
    """`unfreeze verify --reference`, without RUN."""
    needed = {"reference": "--reference", "artefacts": "--artefact", "data": "--data"}
    missing = [what for name, what in needed.items() if not values[name]]
    if missing:
        raise UnfreezeError(
            "give RUN; or --reference FILE, --artefact FILE and --data DIR for models from elsewhere, "
            f"of which {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        )
    for name in ("formats", "precisions"):
        if values[name]:
            raise UnfreezeError(f"--{name} chooses among a RUN's artefacts; here each is given by --artefact")
    if values["resize"]:
        raise UnfreezeError("--resize needs a RUN: with --reference it is not known how the model was trained")
    reference_pixels = values.pop("reference_pixels")
    conversion = option_records.conversion(values)
    with reports.even_without_verdicts():
        parities = artefact_api.verify_foreign(
            values["reference"],
            values["artefacts"],
            values["data"],
            conversion=conversion,
            reference_conversion=replace(conversion, pixels=reference_pixels) if reference_pixels else None,
            settings=settings,
            out=values["out"],
            listener=Listener(screen.progress),
        )
    from export.proof.parity import to_json
    from unfreeze.screen import export_tables

    told = [to_json(parity) for parity in parities]
    reports.write(parities, values["out"])

    def summary() -> None:
        export_tables.show_parity(parities, values["sort"])

    reports.show(lambda: print_result(screen, reports.as_json, told, summary), parities)
    require_sense(parities)
    if not settings.retrained and any(_keeps_the_accuracy(parity) for parity in parities):
        click.echo("if it is another model on purpose: --retrained judges it by the accuracy that it loses", err=True)
    require_proof(parities, values["strict"])


def _keeps_the_accuracy(parity: Parity) -> bool:
    """Whether a file fails though it is shown to lose no more than the margin: its answers alone are others."""
    return parity.broken and parity.lost_at_most is not None and parity.lost_at_most <= (parity.margin or 0.0)
