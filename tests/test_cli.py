"""The commands as they are typed: exit codes, one line for an error, JSON alone on standard output."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pictures import write_pictures
from tests.tiny import OPTIONS
from tests.trees import grow
from toolkit.errors import NoAnswerError
from toolkit.run import Run
from unfreeze import cli

ROOT = Path(__file__).parents[1]


NAMES = "stri$_^$pes", "狗 dots"  # a dollar is matplotlib's mathematics, and its font has no such letter


def typed(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = cli._main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(finished.path, tmp_path / "run"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere", "RUN"], "nowhere does not exist"),
        (["scan", "nowhere"], "nowhere does not exist"),
        (["evaluate", "nowhere"], "is not a run folder"),
        (["export", "nowhere"], "is not a run folder"),
        (["verify", "nowhere"], "is not a run folder"),
        (["predict", "nowhere", "a.jpg"], "run folder"),
        (["tune"], "Missing argument 'DATA'"),
        (["tune", ".", "RUN", "--trails", "3"], "No such option"),
        (["tune", ".", "RUN", "--oracle", "tarot"], "'tarot' is not one of"),
        (["tune", ".", "RUN", "--backbone", "MobilNetV2"], "did you mean MobileNetV2?"),
        (["tune", ".", "RUN", "--unfreeze", "0:99", "--weights", "none"], "from 0 to 17"),
        (["tune", ".", "RUN", "--weights", "nowhere.h5"], "no weights file at nowhere.h5"),
        (["tune", ".", "RUN", "--oracle", "halvin"], "Did you mean halving?"),
        (["tune", ".", "RUN", "--seeed", "3"], "'--seed'"),
        (["tune", ".", "RUN", "--dropout", "0:inf"], "neither a list"),
        (["tune", ".", "RUN", "--cache-limit", "nan"], "--cache-limit is nan"),
        (["tune", ".", "RUN", "--batch-size", "0"], "--batch-size is 0"),
        (["verify", "RUN", "--tolerance", "nan"], "tolerance is nan"),
        (["scan", ".", "--val", "nan"], "val is nan"),
        (["exprot", "RUN"], "did you mean export?"),
        (["frobnicate"], "No such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_with_the_call_is_one_line_and_exit_2(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = typed(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_made_is_told(
    tiny: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    code, out, err = typed(
        capsys, "tune", str(pictures), str(tmp_path / "run"), *OPTIONS, "--cache-dir", str(tmp_path / "file")
    )
    assert (code, out) == (2, "")
    assert "give another --cache-dir" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "nowhere", "--json"],
        ["verify", "--json", "--sort", "beauty"],
        ["run", "--json"],
        ["report", "nowhere", "--json", "--debug"],
    ],
    ids=" ".join,
)
def test_an_error_is_an_object_where_json_was_asked_for(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended, out, err = typed(capsys, *arguments)
    told = json.loads(out)
    assert (ended, told["exit"]) == (2, 2)
    assert err.endswith(f"error: {told['error']}\n")


@pytest.mark.parametrize(("error", "code"), [(NoAnswerError("no"), 1), (RuntimeError("a fault"), 3)])
def test_a_command_that_raises_has_its_code_in_the_object(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise error

    monkeypatch.setattr("unfreeze.backbone_api.backbones", broken)
    ended, out, _ = typed(capsys, "backbones", "--json")
    assert (ended, json.loads(out)["exit"]) == (code, code)


def test_nothing_follows_a_result_that_was_printed(
    finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command fails behind its result, which is all that stands on standard output."""
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    code, out, err = typed(
        capsys, "predict", finished.path / "export" / "model.onnx", tmp_path / "broken.jpg", "--json"
    )
    assert code == 1
    assert json.loads(out)[0]["path"].endswith("broken.jpg")
    assert "could not be read" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_killed_leaves_an_object(number: signal.Signals, code: int, tmp_path: Path) -> None:
    program = """
import sys, time
from unfreeze import backbone_api, cli

def busy():
    print("begun", file=sys.stderr, flush=True)
    time.sleep(60)

backbone_api.backbones = busy
sys.argv = ["unfreeze", "backbones", "--json"]
cli.main()
"""
    command = [sys.executable, "-c", program]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        command, **streams, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    ) as process:
        assert process.stderr.readline() == "begun\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert json.loads(out)["exit"] == code
    assert "type" in json.loads(out)["error"]
    assert "error: " in err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Traceback" in typed(capsys, "--debug", "evaluate", "nowhere")[2]


def test_scan(pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    (data / "dots" / "broken.jpg").write_bytes(b"no image")
    shutil.copy(data / "dots" / "000.jpg", data / "dots" / "copy.jpg")
    code, out, _ = typed(capsys, "scan", data)
    assert code == 0
    assert "broken.jpg: not an image" in out
    assert "dots/000.jpg, dots/copy.jpg" in out
    code, out, err = typed(capsys, "scan", data, "--json")
    found = json.loads(out)
    assert found["images"] == 41
    assert found["rejected"][0]["path"] == "dots/broken.jpg"
    code, _, err = typed(capsys, "scan", data, "--strict")
    assert code == 2
    assert "broken.jpg" in err


def test_scan_writes_a_csv_and_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    grow(tmp_path / "data", ["train/{cat,dog}.*.jpg", "train/odd.jpg"])
    code, _, err = typed(capsys, "scan", "data")
    assert code == 2
    call = re.findall("`unfreeze ([^`]+)`", err)[0].split()
    assert call == ["scan", "data", "--write-csv", "labels.csv"]
    code, out, err = typed(capsys, *call)
    assert code == 0
    assert out.splitlines()[:4] == ["labels.csv: 6 images", "label: 2", "  cat: 3", "  dog: 3"]
    assert "train/odd.jpg: its name" in out
    assert "next: unfreeze scan labels.csv\n" in err
    code, out, _ = typed(capsys, "scan", "labels.csv", "--json")
    assert json.loads(out)["classes"] == {name: {"train": 1, "val": 1, "test": 1} for name in ("cat", "dog")}
    code, out, _ = typed(capsys, *call, "--json")
    assert (code, json.loads(out)["exit"]) == (2, 2)
    code, out, _ = typed(capsys, "scan", "data", "--write-csv", "more/x.csv", "--json")
    assert json.loads(out)["columns"] == {"label": {"cat": 3, "dog": 3}}


def test_what_scan_proposes_reads_the_data_as_it_did(capsys: pytest.CaptureFixture[str], pictures: Path) -> None:
    given = ["--val", "0.25", "--seed", "7", "--levels", "full"]
    err = typed(capsys, "scan", pictures, *given)[2]
    call = shlex.split(err.partition("next: unfreeze ")[2].splitlines()[0])
    assert call[:3] == ["run", str(pictures), "RUN"]
    options = dict(zip(call[3::2], call[4::2], strict=True))
    assert options == dict(zip(given[::2], given[1::2], strict=True))


def test_scan_says_which_folder_was_taken(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    grow(tmp_path / "data", ["nested/{cat,dog}/*.jpg"])
    assert "\nnote: the classes are looked for in nested\n" in typed(capsys, "scan", tmp_path / "data")[1]
    notices = json.loads(typed(capsys, "scan", tmp_path / "data", "--json")[1])["notices"]
    assert notices == ["the classes are looked for in nested"]


def test_evaluate_on_the_test_part_and_on_another_folder(
    run: Path, pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, _ = typed(capsys, "evaluate", run, "--json")
    assert code == 0
    assert json.loads(out)["accuracy"] == json.loads((run / "metrics.json").read_text())["accuracy"]
    assert json.loads(out)["images"] == 8
    before = (run / "metrics.json").read_bytes()
    code, out, _ = typed(capsys, "evaluate", run, pictures, "--json")
    assert (code, json.loads(out)["images"], json.loads(out)["trained_on"]) == (0, 40, 32)
    assert (run / "metrics.json").read_bytes() == before
    other = tmp_path / "other"
    shutil.copytree(pictures, other)
    (other / "dots").rename(other / "rings")
    code, _, err = typed(capsys, "evaluate", run, other)
    assert code == 2
    assert "rings" in err


def test_evaluate_on_a_folder_with_some_of_the_classes_in_another_order(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Labels go by name: a model of a, b asked about c, d would otherwise count by position."""
    data = write_pictures(tmp_path / "data", classes=("stripes", "dots"), per_class=4, seed=9)
    code, out, _ = typed(capsys, "evaluate", run, data, "--json")
    assert code == 0
    assert {name: row["images"] for name, row in json.loads(out)["classes"].items()} == {"dots": 4, "stripes": 4}


def test_verify_prints_json_alone_and_exits_1_where_an_artefact_does_not_hold(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("--formats", "onnx", "--precisions", "float32,int8")
    code, out, _ = typed(capsys, "verify", run, *few, "--threads", "1", "--json")
    assert code == 0
    assert [entry["verdict"] for entry in json.loads(out)] == ["holds", "undecided"]  # eight images prove no int8 file
    assert [timing["threads"] for timing in json.loads(out)[0]["timings"]] == [1]
    code, _, err = typed(capsys, "verify", run, *few, "--no-times", "--strict")
    assert code == 1
    assert err.endswith("error: too few images to tell whether model_int8.onnx holds\n")
    (run / "export" / "model.onnx").write_bytes(b"short")
    code, out, err = typed(capsys, "verify", run, *few, "--no-times")
    assert code == 1
    (row,) = [line for line in out.splitlines() if line.startswith("!")]
    assert row.split() == ["!", "model.onnx", "0.00", "MB", "could", "not", "run"]
    assert "verdict: ✓ holds, ? too few images to tell, ✗ does not hold, ! could not run" in out
    assert "changed since it was exported" in out
    assert f"`unfreeze export {shlex.quote(str(run))} --formats onnx --precisions float32` writes it again" in out
    assert err.endswith("error: model.onnx could not run\n")


def test_verify_in_the_order_asked_for(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = typed(capsys, "verify", run, "--formats", "onnx", "--no-times", "--sort", "size")
    names = [line.split()[1] for line in out.splitlines() if line[:1] in ("✓", "?")]
    sizes = [(run / "export" / name).stat().st_size for name in names]
    assert len(sizes) == 3
    assert sizes == sorted(sizes)


def test_verify_says_what_an_app_does_to_accuracy(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    what = ("--formats", "onnx", "--precisions", "float32", "--no-times", "--resize")
    _, out, _ = typed(capsys, "verify", run, *what)
    assert "BGR instead of RGB" in out
    assert (run / "plots" / "resize.png").stat().st_size > 5000
    _, out, _ = typed(capsys, "verify", run, *what, "--json")
    assert json.loads(out)["clients"][0]["flips"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "RUN", "--precisions", "int9"], "no precision 'int9'; did you mean int8?"),
        (["export", "RUN", "--formats", "onnx", "--precisions", "dynamic"], "there is no onnx file in dynamic"),
        (["export", "RUN", "--float-layers", "second_con"], "did you mean second_conv?"),
        (["run", "DATA", "NEW", "--formats", "saved_model", "--precisions", "int8"], "no saved_model file in int8"),
        (["verify", "RUN", "--reference", "model.keras"], "--reference goes without RUN"),
        (["verify", "--reference", "model.keras"], "of which --artefact and --data are missing"),
    ],
)
def test_what_cannot_be_exported_or_verified_is_said_before_anything_starts(
    arguments: list[str], said: str, run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    places = {"RUN": str(run), "DATA": str(pictures), "NEW": str(tmp_path / "new")}
    code, _, err = typed(capsys, *[places.get(argument, argument) for argument in arguments])
    assert code == 2
    assert said in err.splitlines()[-1]
    after = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    after.pop(run / ".lock", None)
    assert after == before
    assert not (tmp_path / "new").exists()


def test_predict_exits_1_where_a_file_is_broken(run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = pictures / "dots" / "000.jpg", run / "run.json"
    code, out, err = typed(capsys, "predict", run / "export" / "model.tflite", good, bad)
    assert code == 1
    assert out.startswith(str(good))
    assert str(bad) in err
    code, out, _ = typed(capsys, "predict", run, good, "--json")
    assert code == 0
    assert sum(json.loads(out)[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("formats", "said"), [("onx", "did you mean onnx?"), ("", "is empty"), ("png", "there are")])
def test_formats_that_there_are_not(formats: str, said: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = typed(capsys, "export", run, "--formats", formats)
    assert code == 2
    assert said in err


def test_backbones(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = typed(capsys, "backbones")
    assert code == 0
    assert "MobileNetV2" in out
    assert all(one in " ".join(out.split()) for one in ("2.3 9.0 2.3 0 to 17 Apache-2.0 tensorflow/models", "VGG19"))
    rows = json.loads(typed(capsys, "backbones", "--json")[1])
    assert all(row["cuts"] for row in rows)
    assert "block_15_add" in rows[1]["cuts"]


def test_train_then_evaluate(tiny: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [option if option not in ("0,4", "0,0.2", "0,2") else "1" for option in OPTIONS[:-4]]  # it has no oracle
    options[options.index("--dropout") + 1] = "0.1"
    code, out, _ = typed(capsys, "train", pictures, tmp_path / "run", *options, "--json")
    assert code == 0
    assert len(json.loads(out)["epochs"]) == 2
    assert typed(capsys, "evaluate", tmp_path / "run")[0] == 0


def test_a_model_that_is_not_there_yet(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from toolkit.run import prepare
    from toolkit.settings import Settings

    prepare(pictures, tmp_path / "run", Settings(weights="none"))
    for command in ("evaluate", "export"):
        code, _, err = typed(capsys, command, tmp_path / "run")
        assert code == 2
        assert "has no model yet" in err
    code, _, err = typed(capsys, "verify", tmp_path / "run")
    assert code == 2
    assert "manifest.json" in err


@pytest.mark.long
def test_run_from_one_end_to_the_other(pictures: Path, tmp_path: Path) -> None:
    """As a process of its own, twice: the second call goes through what is there."""
    run = tmp_path / "run"
    command = [sys.executable, "-m", "tests.tiny", "run", str(pictures), str(run), *OPTIONS, "--trials", "2"]
    few = [*command, "--formats", "onnx", "--precisions", "float32"]
    first, second = (
        subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False) for call in (command, few)
    )
    assert first.returncode == 0, first.stderr
    assert second.returncode == 0, second.stderr
    assert "test accuracy" in first.stdout
    marks = [line[0] for line in first.stdout.splitlines() if line[:1] in "✓?✗!" and line]
    assert marks == list("✓✓???✓??")  # eight images prove float32 files, and nothing else
    assert "next: unfreeze predict" in first.stderr
    noise = ("oneDNN", "XNNPACK", "absl::", "Warning", "retracing")
    assert not [word for word in noise if word in first.stderr]
    kept = ("run.json", "trials.csv", "model.keras", "model.json", "history.csv", "metrics.json", "parity.json")
    kept = (*kept, "val_answers.npz", "test_probabilities.npz", "report.html", "report.md", "tensorboard")
    assert {path.name for path in run.iterdir()} == {*kept, ".run.json", ".lock", "search", "plots", "cache", "export"}
    assert not list(run.rglob(".*.tmp*"))


def test_a_run_says_what_it_left_out_and_bears_any_name(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_pictures(tmp_path / "data" / "train", classes=NAMES, per_class=12)
    for name in NAMES:
        (data.parent / "test" / name).mkdir(parents=True)
        shutil.copy(data / name / "000.jpg", data.parent / "test" / name / "copy.jpg")
    (data / NAMES[0] / "broken.jpg").write_bytes(b"no image")
    (data / NAMES[0] / b"\xff\xfe.jpg".decode(errors="surrogateescape")).write_bytes(
        (data / NAMES[0] / "000.jpg").read_bytes()
    )
    few = ("--trials", 1, "--formats", "onnx", "--precisions", "float32")
    code, _, err = typed(capsys, "run", data.parent, tmp_path / "run", *OPTIONS, *few)
    assert code == 0, err
    assert "left out: 2" in err
    assert "broken.jpg: not an image" in err
    assert r"\udcff\udcfe.jpg: its name is not UTF-8" in err
    assert "the same image in two parts, so the test is too easy: 2" in err
    assert f"test/{NAMES[0]}/copy.jpg (test), train/{NAMES[0]}/000.jpg (train)" in err


def test_a_run_inside_its_data_is_refused(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = typed(capsys, "tune", pictures, pictures / "run", "--weights", "none")
    assert code == 2
    assert "lies inside" in err
    assert not (pictures / "run").exists()


@pytest.mark.parametrize("name", ["other.weights.h5", "other.keras"])
def test_weights_that_cannot_be_had_use_up_no_trial(
    name: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / name
    weights.write_bytes(b"no weights")
    for _ in range(2):
        code, _, err = typed(capsys, "tune", pictures, tmp_path / "run", "--weights", weights, "--image-size", 32)
        assert code == 2
        assert f"{name} does not hold the weights of MobileNetV2" in err
        assert not (tmp_path / "run" / "search").exists()


def test_evaluate_on_one_class_only(
    run: Path, pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(pictures / "dots", tmp_path / "data" / "test" / "dots")
    code, out, _ = typed(capsys, "evaluate", run, tmp_path / "data", "--json")
    assert code == 0
    assert json.loads(out)["images"] == 20


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", '{"settings": []}'),
        ("model.json", "3"),
        ("history.csv", "epoch,stage\n1"),
        ("model.keras", "cut"),
        ("export/manifest.json", '{"description": {}}'),
    ],
)
def test_damaged_files_of_a_run_are_one_line(
    name: str, content: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).write_text(content)
    (run / ".run.json").unlink()
    command = "verify" if name.startswith("export") else "evaluate"
    code, _, err = typed(capsys, command, run)
    assert code == 2
    assert Path(name).name in err
    assert err.endswith("\n")
    assert "Traceback" not in err


def test_an_unexpected_error_is_no_answer(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.proof.verify.read_manifest", lambda folder: 1 / 0)
    code, _, err = typed(capsys, "verify", run)
    assert code == 3
    assert err == "error: unexpected: ZeroDivisionError: division by zero (--debug shows where; please report it)\n"


def test_scan_and_verify_load_no_tensorflow(run: Path, pictures: Path) -> None:
    code = f"""
import sys
from unfreeze import cli
assert cli._main(["scan", {str(pictures)!r}]) == 0
assert cli._main(["verify", {str(run)!r}, "--formats", "onnx,tflite"]) == 0
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    script = run / "script.py"  # spawned processes import the main module, so it has to be a file
    script.write_text(f'if __name__ == "__main__":{"".join(f"{chr(10)}    {line}" for line in code.splitlines())}\n')
    ended = subprocess.run(
        [sys.executable, script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stderr


def test_export_as_it_is_installed(run: Path, tmp_path: Path) -> None:
    """From another folder than the checkout, where the package's own files are found all the same."""
    program = Path(sys.executable).with_name("unfreeze")
    command = [program, "export", run, "--formats", "tflite", "--precisions", "float32"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "next: unfreeze verify" in ended.stderr
    assert (run / "export" / "golden" / "check.py").is_file()


def test_options_of_the_program_may_stand_anywhere(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "scanning" in typed(capsys, "scan", pictures)[2]
    assert "scanning" not in typed(capsys, "scan", pictures, "-q")[2]


def test_json_has_no_number_that_is_none(
    tiny: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    single = ["--head-units", "0", "--dropout", "0", "--unfreeze", "2", "--tune-rate", "1e30", "--patience", "9"]
    options = [*OPTIONS[: OPTIONS.index("--head-units")], *single, "--head-epochs", "1", "--tune-epochs", "2"]
    code, out, err = typed(capsys, "train", pictures, tmp_path / "run", *options, "--json")
    assert code == 0, err
    assert json.loads(out, parse_constant=pytest.fail)["epochs"][-1]["val_loss"] is None


@pytest.mark.parametrize("content", ["[]", "3", "null", "{}", '{"settings": 3}'])
def test_a_run_json_that_is_none_is_no_run_to_go_on_with(
    content: str, run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("run.json", ".run.json"):
        (run / name).write_text(content)
    code, out, err = typed(capsys, "tune", pictures, run, "--weights", "none", "--image-size", 32)
    assert (code, out) == (2, "")
    assert "run.json is not of format 1" in err.splitlines()[-1]


def test_another_run_is_told_in_the_options_of_the_command(
    run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = typed(capsys, "train", pictures, run, "--weights", "none", "--head-units", 3)
    assert code == 2
    last = err.splitlines()[-1]
    assert "--head-units is 0,4 there, 3 here" in last
    assert "it is that of a search" in last
    assert "--oracle" not in last
    _, _, err = typed(capsys, "tune", pictures, run, "--weights", "none", "--no-cache")
    assert "--oracle is random there, halving here" in err
    assert "--cache there, --no-cache here" in err


def test_a_folder_without_images_is_no_answer(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = typed(capsys, "predict", run, tmp_path / "empty")
    assert code == 2
    assert "there is no image in" in err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["tune", "DATA", "RUN"], "type the same command to go on"),
        (["demo"], "type the same command to go on"),
        (["verify", "RUN"], "verify starts over when it is typed again"),
        (["-q", "export", "RUN"], "export starts over when it is typed again"),
    ],
)
def test_what_an_interrupt_costs(
    command: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    # the second is what `run` calls first
    for name in ("api.tune", "api.prepared", "artefact_api.verify", "artefact_api.export"):
        monkeypatch.setattr(f"unfreeze.{name}", interrupted)
    code, out, err = typed(capsys, *command)
    assert (code, out) == (130, "")
    assert said in err
    assert err.strip().count("\n") == 0  # click ends the line on which ^C stands
