from __future__ import annotations

import io
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import export.write as export_write
from export import write_variants
from export.artefacts import digest, read_manifest, read_reference
from export.formats.tflite_metadata import description_in
from export.inspect.tflite_file import read_tflite
from export.intermediates import model_answers
from export.proof.layers import all_names
from export.proof.verify import verify
from export.quantise.first_that_holds import Int8Judge, first_that_holds
from export.runtimes.precision import precision
from export.runtimes.runners import load
from export.settings import ExportSettings, VerifySettings
from export.variants import VARIANTS
from export.write import export
from toolkit.errors import UnfreezeError
from toolkit.run import Run
from toolkit.training.batches import load_part
from toolkit.training.model_file import load_model


def test_the_manifest_says_what_is_there(export_folder: Path) -> None:
    manifest = read_manifest(export_folder)
    assert [(a.name, a.format, a.precision) for a in manifest.artefacts] == [
        (variant.name, variant.format, variant.precision) for variant in VARIANTS
    ]
    for artefact in manifest.artefacts:
        assert digest(export_folder / artefact.name) == artefact.sha256
        if artefact.format != "saved_model":
            assert artefact.bytes == (export_folder / artefact.name).stat().st_size
    assert (export_folder / "labels.txt").read_text().split() == ["dots", "stripes"]
    assert not manifest.failed


def test_int8_is_calibrated_on_training_images_only_and_says_on_which(export_folder: Path, finished: Run) -> None:
    training = set(finished.images.select("train").paths)
    for artefact in read_manifest(export_folder).artefacts:
        if artefact.precision != "int8":
            assert (artefact.calibration, artefact.attempts) == ((), ())
            continue
        assert set(artefact.calibration) == training  # fewer than 200
        assert [attempt["kept"] for attempt in artefact.attempts].count(True) == 1
        assert artefact.attempts[0]["step"] == "min-max calibration"


def test_the_reference_is_the_models_answers(export_folder: Path, finished: Run, unseen_answers: np.ndarray) -> None:
    reference = read_reference(read_manifest(export_folder)).only("test")
    np.testing.assert_allclose(reference.probabilities, unseen_answers, atol=1e-6)
    assert reference.paths == finished.images.select("test").paths


def test_onnx_by_onnxruntime_alone(export_folder: Path, unseen_images: np.ndarray, unseen_answers: np.ndarray) -> None:
    session = onnxruntime.InferenceSession(export_folder / "model.onnx")
    (entry,), (result,) = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.type, entry.shape) == ("image", "tensor(uint8)", ["batch", 32, 32, 3])
    assert (result.name, result.type, result.shape) == ("probabilities", "tensor(float)", ["batch", 2])
    for count in (1, 3, len(unseen_images)):
        (answer,) = session.run(None, {"image": unseen_images[:count]})
        np.testing.assert_allclose(answer, unseen_answers[:count], atol=1e-5)
    description = json.loads(session.get_modelmeta().custom_metadata_map["unfreeze"])
    assert description["class_names"] == ["dots", "stripes"]


def test_tflite_by_litert_alone(export_folder: Path, unseen_images: np.ndarray, unseen_answers: np.ndarray) -> None:
    runner = Interpreter(str(export_folder / "model.tflite")).get_signature_runner()
    for count in (1, 3):
        answer = runner(image=unseen_images[:count])["probabilities"]
        np.testing.assert_allclose(answer, unseen_answers[:count], atol=1e-5)


def test_saved_model_by_tensorflow_alone(
    export_folder: Path, unseen_images: np.ndarray, unseen_answers: np.ndarray
) -> None:
    loaded = tf.saved_model.load(str(export_folder / "saved_model"))
    assert list(loaded.signatures) == ["serving_default"]
    answer = loaded.signatures["serving_default"](image=tf.constant(unseen_images))["probabilities"]
    np.testing.assert_allclose(answer.numpy(), unseen_answers, atol=1e-5)


def test_each_artefact_describes_itself(export_folder: Path) -> None:
    common = read_manifest(export_folder).description
    for artefact in read_manifest(export_folder).artefacts:
        path = export_folder / artefact.name
        if artefact.format == "onnx":
            properties = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
            assert set(properties) == {"unfreeze", "license"}
            said = json.loads(properties["unfreeze"])
        elif artefact.format == "tflite":
            said = json.loads(description_in(path.read_bytes()) or "")
        else:
            said = json.loads((path / "unfreeze.json").read_text())
        assert said is not None
        assert {name: said[name] for name in common} == common
        assert (said["artefact"], said["precision"]) == (artefact.name, artefact.precision)
        if artefact.precision == "int8":
            assert said["calibration_images"] == len(artefact.calibration)
    assert common["input"]["shape"] == ["batch", 32, 32, 3]
    assert common["input"]["resize"].startswith("bilinear, no antialias")
    assert {"class_names", "output", "license", "unfreeze", "data_fingerprint", "run"} <= set(common)


@pytest.mark.parametrize("name", [variant.name for variant in VARIANTS if variant.format == "tflite"])
def test_every_tflite_file_takes_and_gives_the_same(name: str, export_folder: Path, unseen_images: np.ndarray) -> None:
    interpreter = Interpreter(str(export_folder / name))
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (entry["dtype"], entry["shape"].tolist()) == (np.uint8, [1, 32, 32, 3])
    assert entry["shape_signature"].tolist() == [1, 32, 32, 3]  # an open shape is refused by LiteRT's CompiledModel
    assert (entry["name"], result["name"]) == ("image", "probabilities")
    assert result["dtype"] == np.float32
    answer = interpreter.get_signature_runner()(image=unseen_images)["probabilities"]
    np.testing.assert_allclose(answer.sum(1), 1, atol=1e-5)
    runner = Interpreter(str(export_folder / name)).get_signature_runner()
    alone = [runner(image=image[np.newaxis])["probabilities"] for image in unseen_images]
    np.testing.assert_array_equal(np.concatenate(alone), answer)
    (artefact,) = (one for one in read_manifest(export_folder).artefacts if one.name == name)
    assert artefact.runtime_at_least == read_tflite(export_folder / name).versions["runtime at least"]
    assert tuple(map(int, artefact.runtime_at_least.split("."))) <= (2, 14, 0)  # the last that is called tflite-runtime


def kernels(path: Path) -> dict[str, dict]:
    """The weights of convolutions by what the file calls them."""
    details = Interpreter(str(path)).get_tensor_details()
    return {tensor["name"]: tensor for tensor in details if len(tensor["shape"]) == 4 and tensor["shape"][1] == 3}


def test_int8_tflite_is_integers_throughout_with_a_scale_for_each_channel(export_folder: Path) -> None:
    details = Interpreter(str(export_folder / "model_int8.tflite")).get_tensor_details()
    kinds = {tensor["dtype"] for tensor in details if len(tensor["shape"]) == 4}
    assert kinds == {np.int8, np.uint8}
    (entry,) = Interpreter(str(export_folder / "model_int8.tflite")).get_input_details()
    assert entry["quantization"] == (1.0, 0)  # the pixels as they are
    found = [tensor for tensor in kernels(export_folder / "model_int8.tflite").values() if tensor["dtype"] == np.int8]
    assert len(found) == 3
    for tensor in found:
        assert len(tensor["quantization_parameters"]["scales"]) == tensor["shape"][0]
    assert {t["dtype"] for t in kernels(export_folder / "model_fp16.tflite").values()} >= {np.float16}
    assert {t["dtype"] for t in kernels(export_folder / "model_dynamic.tflite").values()} <= {
        np.int8,
        np.float32,
        np.float16,
    }


def test_int8_onnx_is_static_folded_per_channel_and_keeps_softmax(export_folder: Path) -> None:
    graph = onnx.load(export_folder / "model_int8.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert "BatchNormalization" not in kinds
    assert "DynamicQuantizeLinear" not in kinds
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 3
    for node in convolutions:
        dequantised = makers[node.input[1]]
        assert dequantised.op_type == "DequantizeLinear"
        assert weights[dequantised.input[0]].dtype == np.int8
        assert len(weights[dequantised.input[1]]) == len(weights[dequantised.input[0]])
    (softmax,) = [node for node in graph.node if node.op_type == "Softmax"]
    assert softmax.output[0] == "probabilities"  # not rounded to 256 values


def test_half_precision_onnx_halves_the_weights_and_keeps_its_ends(
    export_folder: Path, unseen_images: np.ndarray
) -> None:
    graph = onnx.load(export_folder / "model_fp16.onnx").graph
    large = [t for t in graph.initializer if np.prod(t.dims) > 100]
    assert {tensor.data_type for tensor in large} == {onnx.TensorProto.FLOAT16}
    session = onnxruntime.InferenceSession(export_folder / "model_fp16.onnx")
    assert session.get_outputs()[0].type == "tensor(float)"
    (answer,) = session.run(None, {"image": unseen_images})
    (exact,) = onnxruntime.InferenceSession(export_folder / "model.onnx").run(None, {"image": unseen_images})
    np.testing.assert_allclose(answer, exact, atol=5e-3)
    assert np.abs(answer - exact).max() > 0


def test_the_licence_is_carried(finished: Run, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("export"))
    run = Run(tmp_path / "run", finished.images, finished.settings)
    export(run, ExportSettings(formats=("tflite",), precisions=("float32",), license="CC-BY-4.0"))
    assert b"CC-BY-4.0" in metadata_of(run.path / "export" / "model.tflite")
    with pytest.raises(UnfreezeError, match="exported with another --license"):
        export(run, ExportSettings(formats=("onnx",), precisions=("float32",), license="MIT"))
    manifest = export(run, ExportSettings(formats=("onnx",), precisions=("float32",)))  # as the one that stays
    assert [artefact.name for artefact in manifest.artefacts] == ["model.tflite", "model.onnx"]
    properties = onnxruntime.InferenceSession(run.path / "export" / "model.onnx").get_modelmeta().custom_metadata_map
    assert properties["license"] == "CC-BY-4.0"
    assert json.loads(properties["unfreeze"])["license"] == "CC-BY-4.0"


def test_an_export_that_was_cut_short_costs_nothing_that_was_whole(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    some = ExportSettings(("onnx",), ("float32",))
    (run.path / "export" / "model_fp16.tflite").write_bytes(b"damaged")

    def interrupted(*arguments: object, **how: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(write_variants, "write_onnx", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export(run, some)
    left = [variant.name for variant in VARIANTS if variant.name not in ("model.onnx", "model_fp16.tflite")]
    assert [artefact.name for artefact in read_manifest(run.path / "export").artefacts] == left
    assert not (run.path / "export" / "model_fp16.tflite").exists()
    assert len(export(run, some).artefacts) == len(left) + 1


def test_a_file_that_does_not_run_has_failed(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)

    def garbled(source: object, path: Path, *rest: object) -> None:
        path.write_bytes(b"no flatbuffer")

    monkeypatch.setattr(write_variants, "write_tflite", garbled)
    manifest = export(run, ExportSettings(formats=("tflite",), precisions=("float32",)))
    assert set(manifest.failed) == {"model.tflite"}
    assert not (run.path / "export" / "model.tflite").exists()
    assert "model.onnx" in {artefact.name for artefact in manifest.artefacts}


def metadata_of(path: Path) -> bytes:
    from ai_edge_litert import schema_py_generated as schema

    content = path.read_bytes()
    model = schema.Model.GetRootAsModel(content, 0)
    entries = [model.Metadata(n) for n in range(model.MetadataLength())]
    (entry,) = [entry for entry in entries if entry.Name() == b"TFLITE_METADATA"]
    return bytes(model.Buffers(entry.Buffer()).DataAsNumpy())


def test_the_tflite_file_carries_labels_and_the_metadata_that_other_readers_expect(export_folder: Path) -> None:
    content = (export_folder / "model.tflite").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode().split() == ["dots", "stripes"]
    assert metadata_of(export_folder / "model.tflite")[4:8] == b"M001"


def test_only_the_variants_asked_for(finished: Run, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    before = {artefact.name: artefact for artefact in read_manifest(run.path / "export").artefacts}
    some = ExportSettings(("tflite",), ("float32",))
    after = {artefact.name: artefact for artefact in export(run, some).artefacts}
    assert after == before  # TFLite's bytes repeat, and the others were left alone
    with (run.path / "model.keras").open("ab") as file:
        file.write(b"another model")
    export(run, some)
    names = sorted(path.name for path in (run.path / "export").iterdir())
    assert names == ["golden", "labels.txt", "manifest.json", "model.tflite", "reference.npz"]


def test_a_variant_that_cannot_be_written_is_told_and_the_others_are_there(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)

    def fails(*arguments: object, **how: object) -> None:
        raise RuntimeError("no such operation\nand much more")

    monkeypatch.setattr(write_variants, "write_onnx_float16", fails)
    manifest = export(run, ExportSettings(formats=("onnx",), precisions=("float32", "float16")))
    assert manifest.failed == {"model_fp16.onnx": "no such operation"}
    assert "model.onnx" in {artefact.name for artefact in manifest.artefacts}
    assert not (run.path / "export" / "model_fp16.onnx").exists()
    assert read_manifest(run.path / "export").failed == manifest.failed


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_layers_stay_in_float(format: str, finished: Run, tmp_path: Path) -> None:
    """And what is larger is that layer's kernel alone."""
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    export(run, ExportSettings(formats=(format,), precisions=("int8",), float_layers=("second_conv",)))
    name = f"model_int8.{format}"
    if format == "onnx":
        graph = onnx.load(run.path / "export" / name).graph
        makers = {node.output[0]: node for node in graph.node}
        kinds = [
            makers[node.input[1]].op_type if node.input[1] in makers else "float"
            for node in graph.node
            if node.op_type == "Conv"
        ]
        assert kinds == ["DequantizeLinear", "float", "DequantizeLinear"]
    else:
        found = {tuple(tensor["shape"]): tensor["dtype"] for tensor in kernels(run.path / "export" / name).values()}
        assert found == {(8, 3, 3, 3): np.int8, (12, 3, 3, 8): np.float32, (16, 3, 3, 12): np.int8}
    assert (run.path / "export" / name).stat().st_size > (finished.path / "export" / name).stat().st_size
    (artefact,) = [one for one in read_manifest(run.path / "export").artefacts if one.name == name]
    assert artefact.float_layers == ("second_conv",)
    assert artefact.attempts[0]["step"] == "min-max calibration, float: second_conv"
    described = load(run.path / "export" / name).loaded.description
    assert described is not None
    assert (described["float_layers"], described["calibration"]) == (["second_conv"], "min-max calibration")


def test_an_unknown_layer_is_a_wrong_call(finished: Run) -> None:
    with pytest.raises(UnfreezeError, match="no layer 'second_con'; did you mean second_conv") as error:
        export(finished, ExportSettings(float_layers=("second_con",)))
    assert f"`unfreeze verify {quote(str(finished.path))} --layers --json` lists those with weights" in str(error.value)
    with pytest.raises(UnfreezeError, match="no layer 'nosuch'; those most like it: ") as error:
        export(finished, ExportSettings(float_layers=("nosuch",)))
    near = str(error.value).partition("like it: ")[2].partition(";")[0].split(", ")
    assert len(set(near)) == 5
    assert {*near} <= {*all_names(load_model(finished))}


def test_what_was_drawn_of_a_file_goes_when_it_is_written_anew(finished: Run, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    drawn = [run.path / "plots" / f"{kind}_model.onnx.png" for kind in ("flips", "layers")]
    kept = [run.path / "plots" / f"{kind}_model.tflite.png" for kind in ("flips", "layers")]
    for path in (*drawn, *kept):
        path.write_bytes(b"")
    manifest = export(run, ExportSettings(formats=("onnx",), precisions=("float32",)))
    assert manifest.written == ("model.onnx",)
    assert not any(path.exists() for path in drawn)
    assert all(path.exists() for path in kept)


def test_the_calls_that_wrote_what_is_there_are_kept(finished: Run, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    all_of_them = ExportSettings()
    assert read_manifest(run.path / "export").calls == (all_of_them,)
    one = ExportSettings(("onnx",), ("float32",))
    for calls in ((all_of_them, one), (all_of_them, one)):  # the second writes all that the first did
        export(run, ExportSettings(formats=["onnx"], precisions=["float32"]))
        assert read_manifest(run.path / "export").calls == calls


def test_what_the_same_call_wrote_is_known_to_be_finished(finished: Run, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    known = export_write.finished(run)
    assert known is not None
    assert known.written == tuple(artefact.name for artefact in read_manifest(finished.path / "export").artefacts)
    others: list[dict[str, Any]] = [
        {"margin": 1.0}, {"formats": ("onnx",)}, {"calibration": 50}, {"float_layers": ("head",)}, {"license": "MIT"},
    ]  # fmt: skip
    assert not any(export_write.finished(run, ExportSettings(**other)) for other in others)
    (run.path / "export" / "model.onnx").write_bytes(b"another")
    assert export_write.finished(run) is None
    (run.path / "model.keras").write_bytes(b"another")
    assert export_write.finished(run) is None


def test_an_export_says_what_it_is_at(finished: Run, tmp_path: Path) -> None:
    """From the first moment to the golden pack: what begins also ends, and each way to int8 is named."""
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    said: list[tuple[str, int, int]] = []
    export(
        run, ExportSettings(formats=("onnx",), precisions=("float32", "int8")), progress=lambda *what: said.append(what)
    )
    begun = [what for what, done, _ in said if done == 0]
    assert begun == [what for what in dict.fromkeys(what for what, _, _ in said)]
    assert {what for what, done, total in said if done == total} == {*begun}
    for what in ("loading the model", "exporting", "model.onnx", "model_int8.onnx, min-max calibration", "golden pack"):
        assert what in begun


def test_int8_that_loses_too_much_is_made_in_every_other_way(finished: Run, tmp_path: Path) -> None:
    """With a margin that nothing can meet, all steps are made, each of them runs, and the best is kept."""
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    settings = ExportSettings(precisions=("int8",))
    object.__setattr__(settings, "margin", -101.0)  # no file can gain so much
    manifest = export(run, settings)
    attempts = {artefact.name: artefact.attempts for artefact in manifest.artefacts if artefact.attempts}
    steps = {name: [attempt["step"].partition(":")[0] for attempt in tried] for name, tried in attempts.items()}
    assert steps == {
        "model_int8.tflite": ["min-max calibration", *["min-max calibration, float"] * 2],
        "model_int8.onnx": [
            "min-max calibration", "entropy calibration", "percentile calibration", "signed activations",
            "min-max calibration, float", "min-max calibration, float",
        ],
    }  # fmt: skip
    for tried in attempts.values():
        assert [attempt["error"] for attempt in tried] == [""] * len(tried)
        assert not any(attempt["accepted"] for attempt in tried)
        (kept,) = [attempt for attempt in tried if attempt["kept"]]
        least = min(tried, key=lambda attempt: attempt["lost"])
        assert kept["lost"] <= least["lost"] + least["lost_error"]


def test_int8_is_judged_on_validation_images_alone(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model was trained on the others: it hardly errs on them, and nor does what was made of it."""
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    judges: list[Int8Judge] = []
    monkeypatch.setattr(
        write_variants, "first_that_holds",
        lambda ways, path, judge, progress: judges.append(judge) or first_that_holds(ways, path, judge, progress),
    )  # fmt: skip
    manifest = export(run, ExportSettings(("onnx",), ("int8",)))
    validation = load_part(finished, "val")
    ((judge,),) = [judges]
    np.testing.assert_array_equal(judge.images[judge.judged.rows], validation.images)
    np.testing.assert_array_equal(judge.judged.labels, validation.labels)
    (attempts,) = [one.attempts for one in manifest.artefacts if one.name == "model_int8.onnx"]
    assert {attempt["images"] for attempt in attempts} == {len(validation.labels)}
    assert {attempt["verdict"] for attempt in attempts} == {"undecided"}  # 8 images show nothing
    assert all("judged by the estimate alone" in attempt["note"] for attempt in attempts)


def test_16_bit_activations_have_a_file_of_their_own_on_request(finished: Run, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    manifest = export(run, ExportSettings(precisions=("int16x8",)))
    assert manifest.written == ("model_int16x8.tflite",)
    artefact = manifest.artefacts[-1]
    assert (artefact.precision, artefact.attempts) == ("int16x8", ())
    assert set(artefact.calibration) == set(finished.images.select("train").paths)
    path = run.path / "export" / artefact.name
    kinds = {tensor["dtype"] for tensor in Interpreter(str(path)).get_tensor_details() if len(tensor["shape"]) == 4}
    assert {np.int16, np.int8} <= kinds
    described = load(path).loaded.description
    assert described is not None
    assert (described["precision"], described["calibration_images"]) == ("int16x8", len(artefact.calibration))
    assert precision(path) == "int16x8"
    (parity,) = verify(run, VerifySettings(threads=()), precisions=("int16x8",))
    assert parity.ran
    assert len(verify(run, VerifySettings(threads=()), formats=("tflite",))) == 5  # by default every file that is there


def test_the_reference_answers_are_those_of_the_evaluation(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model does not go through the test part again."""
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    some, asked = ExportSettings(("tflite",), ("float32",)), []

    def answers(model: object, images: np.ndarray, what: str, progress: object) -> np.ndarray:
        if "validation" not in what:
            asked.append(len(images))
        return model_answers(model, images, what, progress)

    monkeypatch.setattr(export_write, "model_answers", answers)
    before = read_reference(read_manifest(run.path / "export")).probabilities
    np.testing.assert_array_equal(read_reference(export(run, some)).probabilities, before)
    assert asked == []
    with np.load(run.path / "test_probabilities.npz") as stored:
        arrays = dict(stored)
    count = len(arrays["labels"])
    others: list[dict[str, Any]] = [
        {"model_sha256": np.array("0" * 64)},  # of another model
        {"sha256": arrays["sha256"][::-1]},  # to other images
        {"decode_version": np.array(-1)},  # to other pixels
        {"probabilities": arrays["probabilities"][:, :1]},
    ]
    for number, other in enumerate(others, 1):
        np.savez(run.path / "test_probabilities.npz", **arrays | other)
        np.testing.assert_allclose(read_reference(export(run, some)).probabilities, before, atol=1e-6)
        assert asked == [count] * number
    np.savez(run.path / "test_probabilities.npz", **{k: arrays[k] for k in ("paths", "labels", "probabilities")})
    export(run, some)  # as an earlier version wrote it
    (run.path / "test_probabilities.npz").unlink()
    export(run, some)
    assert asked == [count] * (len(others) + 2)


def test_an_export_that_cannot_be_done_leaves_the_last_one(finished: Run, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("cache"))
    gone = replace(finished.images, root=tmp_path / "gone")
    with pytest.raises(UnfreezeError, match="cannot be read any more"):
        export(Run(tmp_path / "run", gone, finished.settings))
    assert len(read_manifest(tmp_path / "run" / "export").artefacts) == len(VARIANTS)


@pytest.mark.parametrize(
    "content", ["", "{", "{}", "[]", '{"artefacts": [{}]}', '{"artefacts": [], "description": {}}']
)
def test_a_damaged_manifest_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UnfreezeError, match=r"manifest\.json"):
        read_manifest(tmp_path)
