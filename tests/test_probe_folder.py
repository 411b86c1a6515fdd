"""`unfreeze probe`: files that a device can run, and scripts that tell how long it takes for each, in one form."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert.interpreter import Interpreter
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import unfreeze
from export.latencies import MANIFEST, read_latencies, read_manifest
from export.limits import Limits
from export.targets.probe_folder import FOR, SCRIPTS, file_name
from tests.ordinary import environment
from tests.test_report_browser import NAMES
from toolkit.errors import UnfreezeError
from toolkit.settings import Settings
from toolkit.storage.files import file_digest
from unfreeze import option_records
from unfreeze.cli import cli
from unfreeze.device_limits import combinations
from unfreeze.probe_command import probe_command, search_options

TYPED = ["--backbone", "Tiny", "--weights", "none", "--head-units", "0,4"]


@pytest.fixture(scope="module")
def settings(tiny: str) -> Settings:
    return Settings(backbone=tiny, weights="none", head_units=(0, 4), vary={"image_size": (32, 40)})


@pytest.fixture(scope="module")
def tflite(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probe") / "tflite"
    unfreeze.probe(folder, settings=settings)
    return folder


@pytest.fixture(scope="module")
def onnx(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probe") / "onnx"
    typed = [*TYPED, "--image-size", "32", "--runtime", "onnx", "--precision", "float32", "--classes", "7", "--json"]
    result = CliRunner().invoke(cli, ["probe", str(folder), *typed])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [one["file"] for one in told["files"]] == ["Tiny_32px_float32.onnx"]
    return folder


def test_every_pair_has_a_file_in_a_list_that_says_what_it_is(tflite: Path) -> None:
    manifest, files = read_manifest(tflite)
    assert (manifest.runtime, manifest.precision, manifest.classes, manifest.head_units) == ("tflite", "int8", 2, 0)
    assert [(one.file, one.backbone, one.image_size, one.features) for one in files] == [
        ("Tiny_32px_int8.tflite", "Tiny", 32, 16),
        ("Tiny_40px_int8.tflite", "Tiny", 40, 16),
    ]
    for one in files:
        assert one.sha256 == file_digest(tflite / one.file)
        assert one.size_mb * 1e6 == pytest.approx((tflite / one.file).stat().st_size)
        interpreter = Interpreter(str(tflite / one.file))
        (entry,) = interpreter.get_input_details()
        assert entry["shape"].tolist() == entry["shape_signature"].tolist() == [1, one.image_size, one.image_size, 3]
    names = {path.name for path in tflite.iterdir()}
    assert names == {*(one.file for one in files), *FOR["tflite"], "README.md", MANIFEST}


def test_probing_again_replaces_the_files_and_nothing_else_is_overwritten(
    tiny: str, tflite: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tflite, tmp_path / "probe"))
    (folder / "latencies.json").write_text("{}")
    listed = json.loads((folder / MANIFEST).read_text())
    listed["probes"].append({**listed["probes"][0], "file": "../outside.tflite"})
    (folder / MANIFEST).write_text(json.dumps(listed))
    (tmp_path / "outside.tflite").touch()
    one = Settings(backbone=tiny, weights="none", image_size=40)
    unfreeze.probe(folder, settings=one, limits=Limits(runtime="onnx", precision="float32"))
    names = {path.name for path in folder.iterdir()}
    assert names == {"Tiny_40px_float32.onnx", "latencies.json", "README.md", *FOR["onnx"], MANIFEST}
    assert (tmp_path / "outside.tflite").exists()
    other = tmp_path / "photos"
    other.mkdir()
    (other / "mine.jpg").touch()
    with pytest.raises(UnfreezeError, match=r"is not empty and holds no probes.json"):
        unfreeze.probe(other, settings=one)
    with pytest.raises(UnfreezeError, match="is a file; give a folder"):
        unfreeze.probe(other / "mine.jpg", settings=one)
    with pytest.raises(UnfreezeError, match="classes is 1; give a whole number from 2 to 2000"):
        unfreeze.probe(other, settings=one, classes=1)


def test_a_file_that_cannot_be_written_is_listed_with_the_reason(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from export import probe as module

    def refuse(*_: object) -> None:
        raise ValueError("no such operation")

    monkeypatch.setattr(module, "_write", refuse)
    files = unfreeze.probe(tmp_path / "probe", settings=settings)
    assert [one.trouble for one in files] == ["it cannot be written (no such operation)"] * 2
    (tmp_path / "probe" / "latencies.json").write_text('{"latencies": {}}')
    told = read_latencies(Limits(max_latency_ms=1, latencies=tmp_path / "probe" / "latencies.json"))
    assert [one.probe.trouble for one in told.probed.values()] == ["it cannot be written (no such operation)"] * 2
    result = CliRunner().invoke(cli, ["probe", str(tmp_path / "other"), *TYPED, "--image-size", "32"])
    assert "left out: it cannot be written" in result.output
    assert str(result.exception) == "no file could be written"


@given(st.lists(st.tuples(st.text(max_size=20), st.sampled_from((32, 96))), max_size=12))
def test_names_are_plain_and_differ_on_every_file_system(pairs: list[tuple[str, int]]) -> None:
    taken: list[str] = []
    for label, size in pairs:
        taken.append(file_name(label, size, "int8", "tflite", taken))
    assert len({name.lower() for name in taken}) == len(pairs)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*_\d+px_int8\.tflite", name) for name in taken)


def parsed(words: list[str]) -> dict[str, Any]:
    """The values of a command line of `unfreeze probe`."""
    return cli.commands["probe"].make_context("probe", words).params


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(backbone="MobileNetV2", alpha=0.35, image_size=96, colour="grey"),
        Settings(weights="starter", head_units=(64, 128)),
        Settings(vary={"backbone": ("MobileNetV2:0.35", "EfficientNetB0")}),
        Settings(vary={"backbone": ("MobileNetV2:0.35", "EfficientNetB0"), "image_size": (96, 160)}),
        Settings(image_size=128, vary={"backbone": ("MobileNetV2:0.35=none", "VGG16"), "augment": ("none", "light")}),
    ],
)
def test_the_command_that_an_error_names_writes_what_the_search_asks_for(settings: Settings) -> None:
    limits = Limits(runtime="onnx", precision="float16")
    line = probe_command("a folder", settings, limits)
    assert line.startswith("unfreeze probe 'a folder' ")
    values = parsed(["a folder", *search_options(settings, limits)])
    assert values.pop("folder") == Path("a folder")
    assert (values.pop("runtime"), values.pop("precision")) == ("onnx", "float16")
    del values["classes"], values["as_json"]
    again = option_records.settings(values)
    assert list(combinations(again)) == list(combinations(settings))
    assert min(again.space[0]) == min(settings.space[0])
    assert again.colour == settings.colour


# On a machine with Python


@pytest.mark.long
@pytest.mark.parametrize("runtime", ["tflite", "onnx"])
def test_measure_py_tells_what_a_search_reads(request: pytest.FixtureRequest, runtime: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(request.getfixturevalue(runtime), tmp_path / "probe"))
    broken = next(folder.glob("*40px*"), None)
    if broken:
        broken.write_bytes(b"no model")
    command = [sys.executable, str(folder / "measure.py"), "--device", "a test's machine", "--threads", "1"]
    ended = subprocess.run(command, env=environment(tmp_path / "user"), capture_output=True, text=True, check=True)
    assert "wrote" in ended.stderr
    assert ended.stdout == ""
    limits = Limits(
        max_latency_ms=1,
        latencies=folder / "latencies.json",
        runtime=runtime,
        precision="int8" if broken else "float32",
    )
    told = read_latencies(limits).probed
    good = told["Tiny", 32]
    assert 0 < (good.probe.latency_ms or 0) < 100
    assert (good.probe.memory_mb is None) == (not Path("/proc/self/status").exists())
    package = {"tflite": "ai-edge-litert", "onnx": "onnxruntime"}[runtime]
    assert re.fullmatch(rf"latencies.json on a test's machine \({package} [\d.]+, 1 thread\)", good.source)
    if broken:
        assert told["Tiny", 40].probe.trouble.startswith("it does not run on the device (")


def test_measure_py_where_nothing_can_be_measured(tflite: Path, tmp_path: Path) -> None:
    shutil.copy(tflite / "measure.py", tmp_path)
    command = [sys.executable, str(tmp_path / "measure.py")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert f"error: no .tflite or .onnx file in {tmp_path}" in ended.stderr
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "error: no file ran" in ended.stderr


# On an Android phone

INTERPRETER = """\
INFO: STARTING!
INFO: Num threads: [1]
INFO: Graph: [/data/local/tmp/unfreeze_probe/model.tflite]
INFO: Loaded model /data/local/tmp/unfreeze_probe/model.tflite
INFO: Initialized session in 6.395ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=153 first=2761 curr=2885 min=2605 max=18080 avg=3243.58 std=2165{first}

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=337 first=2881 curr=2703 min=2605 max=20356 avg=2.94227e+06 std=1190{timed}

INFO: Inference timings in us: Init: 6395, First inference: 2761, Warmup (avg): 3243.58, Inference (avg): {average}
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual \
memory footprint of the model at runtime. Take the information at your discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=39.4531 overall=40
"""
COMPILED = """\
I0000 00:00:1776765662.013793 3614217 compiled_model.cc:100] INFO: [benchmark_litert_model.h:72]
========== BENCHMARK RESULTS ==========
INFO: Model initialization: 9.12 ms
INFO: Warmup (first):       4.56 ms
INFO: Warmup (avg):         4.01 ms (125 runs)
INFO: Inference (avg):      3.21 ms (311 runs)
INFO: Inference (min):      2.98 ms
INFO: Memory Usage:
INFO: Init footprint:       8.00 MB
INFO: Overall footprint:    10.00 MB
"""
FAILED = 'ERROR: "Could not open" \\model\nERROR: Benchmarking failed.\n\n'
ADB = """\
#!/bin/sh
echo "$@" >> "$FAKE/log"
case "$*" in
get-state) printf 'device\\r\\n' ;;
"shell getprop ro.product.model") printf 'Pixel "7"\\r\\n' ;;
push*) cp "$2" "$FAKE/$(basename "$3")" ;;
"shell /data"*) cat "$FAKE/said" ;;
esac
"""


def android(folder: Path, said: str, tmp_path: Path, **more: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The script run with an adb that gives what the tool says, and the calls of this adb."""
    fake = tmp_path / "fake"
    fake.mkdir()
    (fake / "adb").write_text(ADB)
    (fake / "adb").chmod(0o755)
    (fake / "said").write_bytes(said.replace("\n", "\r\n").encode())
    (fake / "tool").touch()
    variables = {"PATH": f"{fake}:{os.environ['PATH']}", "FAKE": str(fake), **more}
    command = ["sh", str(folder / "measure_android.sh"), str(fake / "tool")]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    log = fake / "log"
    return ended, log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize(
    ("said", "latency", "memory"),
    [
        (
            INTERPRETER.format(
                first=" p5=2 median=3 p95=4", timed=" p5=2647 median=2781 p95=3.2e+03", average="2942.27"
            ),
            2.781,
            41.94,
        ),
        (INTERPRETER.format(first="", timed=" median=2.78123e+06 p95=9", average="2.9e+06"), 2781.23, 41.94),
        (INTERPRETER.format(first="", timed="", average="2942.27"), 2.9423, 41.94),
        (INTERPRETER.format(first="", timed="", average="2.94227e+06"), 2942.27, 41.94),
        (INTERPRETER.format(first="", timed="", average="2942").partition("INFO: Note")[0], 2.942, None),
        (COMPILED, 3.21, 10.49),
    ],
)
def test_the_phones_script_reads_what_benchmark_model_says(
    tflite: Path, tmp_path: Path, said: str, latency: float, memory: float | None
) -> None:
    folder = Path(shutil.copytree(tflite, tmp_path / "a folder"))
    ended, log = android(folder, said, tmp_path)
    assert ended.returncode == 0, ended.stderr
    told = json.loads((folder / "latencies.json").read_text())
    assert told["device"] == "Pixel 7"
    assert told["runtime"] == "benchmark_model"
    assert told["threads"] == 1
    entry = {"latency_ms": latency} | ({} if memory is None else {"memory_mb": memory})
    assert told["latencies"] == {name: entry for name in ("Tiny_32px_int8.tflite", "Tiny_40px_int8.tflite")}
    there = "/data/local/tmp/unfreeze_probe"
    run = f"shell {there}/benchmark_model --graph={there}/model.tflite --num_threads=1"
    assert log.count(run) == 2
    assert log[-1] == f"shell rm -r {there}"
    probed = read_latencies(Limits(max_latency_ms=1, latencies=folder / "latencies.json")).probed["Tiny", 40]
    assert (probed.probe.latency_ms, probed.probe.memory_mb) == (latency, memory)
    assert probed.source == "latencies.json on Pixel 7 (benchmark_model, 1 thread)"


def test_the_phones_script_where_no_file_runs(tflite: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tflite, tmp_path / "probe"))
    ended, _ = android(folder, FAILED, tmp_path, DEVICE='My "phone"\\', THREADS="4")
    assert ended.returncode == 1
    assert "error: no file ran" in ended.stderr
    told = json.loads((folder / "latencies.json").read_text())
    assert (told["device"], told["threads"]) == ("My phone", 4)
    assert told["latencies"]["Tiny_32px_int8.tflite"] == {"trouble": "benchmark_model: ERROR: Benchmarking failed."}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"THREADS": "0"}, "THREADS is 0"),
        ({"THREADS": "many"}, "THREADS is many"),
        ({"FAKE": "/nowhere"}, "adb sees no device"),
        ({"PATH": ""}, "adb is not installed"),
    ],
)
def test_the_phones_script_says_what_is_missing(
    tflite: Path, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    folder = Path(shutil.copytree(tflite, tmp_path / "probe"))
    if "PATH" in change:
        (tmp_path / "bin").mkdir()
        for name in ("sh", "dirname", "cat"):
            (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
        change = {"PATH": str(tmp_path / "bin")}
    if "FAKE" in change:
        change = {"PATH": f"{tmp_path / 'other'}:{os.environ['PATH']}"}
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "adb").write_text("#!/bin/sh\necho 'error: no devices' >&2\nexit 1\n")
        (tmp_path / "other" / "adb").chmod(0o755)
    ended, _ = android(folder, COMPILED, tmp_path, **change)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith(f"error: {said}")
    assert not (folder / "latencies.json").exists()
    assert not any(name.endswith(".part") for name in os.listdir(folder))


def test_the_phones_script_is_clean(tflite: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    subprocess.run(["shellcheck", str(tflite / "measure_android.sh")], check=True)


# In a browser

RUNTIME = """\
export const env = { wasm: {} };
export class Tensor { constructor(type, data, shape) { Object.assign(this, { type, data, shape }); } }
const session = {
  inputNames: ["image"],
  async run({ image }) {
    if (image.type !== "uint8" || image.data.length !== 32 * 32 * 3) throw new Error(`${image.shape}`);
    await new Promise((done) => setTimeout(done, 20));
    return {};
  },
  async release() {},
};
export const InferenceSession = { create: async (bytes) => {
  if (bytes.length < 100) throw new Error("no model");
  return session;
} };
"""
PRESS = """<script>
const waiting = setInterval(async () => {
  if (!at("download").hidden) {
    clearInterval(waiting);
    document.title = await (await fetch(at("download").href)).text();
  } else if (!at("measure").disabled) {
    at("address").value = "runtime";
    at("measure").click();
  }
}, 50);
</script>"""


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.long
def test_the_page_tells_what_a_search_reads(onnx: Path, tmp_path: Path) -> None:
    """In a real browser, with a runtime that takes 20 milliseconds."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        pytest.skip(f"no headless browser: none of {', '.join(NAMES)} is installed")
    folder = Path(shutil.copytree(onnx, tmp_path / "probe"))
    (folder / "runtime").mkdir()
    (folder / "runtime" / "ort.wasm.min.mjs").write_text(RUNTIME)
    listed = json.loads((folder / MANIFEST).read_text())
    listed["probes"].append({**listed["probes"][0], "file": "bad.onnx", "image_size": 40})
    (folder / MANIFEST).write_text(json.dumps(listed))
    (folder / "bad.onnx").write_bytes(b"no model")
    page = folder / "measure.html"
    page.write_text(page.read_text().replace("</html>", PRESS + "</html>"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        options += ["--virtual-time-budget=60000", "--dump-dom", f"http://127.0.0.1:{server.server_port}/measure.html"]
        ended = subprocess.run([browser, *options], capture_output=True, text=True, check=True, timeout=120)
    finally:
        server.shutdown()
        server.server_close()
    (title,) = re.findall("<title>(.*?)</title>", ended.stdout, re.DOTALL)
    (folder / "latencies.json").write_text(html.unescape(title))
    limits = Limits(max_latency_ms=1, latencies=folder / "latencies.json", runtime="onnx", precision="float32")
    told = read_latencies(limits).probed
    assert told["Tiny", 32].probe.latency_ms == pytest.approx(20, abs=2)
    assert told["Tiny", 40].probe.trouble == "it does not run on the device (no model)"
    assert "onnxruntime-web, 1 thread" in told["Tiny", 32].source


def test_the_page_takes_its_runtimes_from_pinned_addresses() -> None:
    text = (SCRIPTS / "measure.html").read_text()
    addresses = re.findall(r"https?://[^\"\s]+", text)
    assert len(addresses) == 2
    assert all(re.fullmatch(r"https://cdn\.jsdelivr\.net/npm/.+@\d+\.\d+\.\d+/(dist/)?", one) for one in addresses)


def test_the_readme_names_a_search_that_reads_the_latencies(tflite: Path) -> None:
    text = (tflite / "README.md").read_text()
    (line,) = re.findall(r"^unfreeze run .*$", text, re.MULTILINE)
    words = shlex.split(line.replace(" MS", " 5"))[2:]
    values = cli.commands["run"].make_context("run", words).params
    assert values["image_sizes"] == (32, 40)
    assert values["latencies"] == tflite / "latencies.json"
    assert values["backbone"] == "Tiny"
