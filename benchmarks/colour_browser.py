"""Our colours against those of a browser, file by file: what `createImageBitmap` and a canvas make of profiles, PNG
gamma, code points and EXIF orientation.

    PYTHONPATH=. python benchmarks/colour_browser.py [PROFILE.icc]...

Needs Chromium. Prints for each file the largest and the mean difference in levels, with colours converted and as
stored.
"""

from __future__ import annotations

import base64
import http.server
import json
import queue
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from tests.pictures import encode
from tests.profiles import COLUMNS, grey_profile, iccp, png_with, rgb_profile
from tests.test_colour import ENDS, FORMATS, gama
from toolkit.pixels.decode import decode_whole

PAGE = """<!doctype html><script>
(async () => {
  const made = [];
  for (const [mime, data] of FILES) {
    const blob = await (await fetch(`data:${mime};base64,${data}`)).blob();
    const bitmap = await createImageBitmap(blob);
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white";
    context.fillRect(0, 0, bitmap.width, bitmap.height);
    context.drawImage(bitmap, 0, 0);
    made.push([bitmap.height, bitmap.width, [...context.getImageData(0, 0, bitmap.width, bitmap.height).data]]);
  }
  return made;
})().catch(String).then((made) => fetch("/", { method: "POST", body: JSON.stringify(made) }));
</script>"""


def in_browser(files: list[tuple[str, bytes]]) -> list[np.ndarray]:
    """uint8 [H, W, 3] of each file, of which the MIME type is given."""
    told: queue.Queue[bytes] = queue.Queue()
    page = PAGE.replace("FILES", json.dumps([(mime, base64.b64encode(data).decode()) for mime, data in files])).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page)

        def do_POST(self) -> None:
            told.put(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = shutil.which("chromium") or "chromium-browser"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
        command += ["--remote-debugging-port=0", f"http://127.0.0.1:{server.server_port}/"]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            made = json.loads(told.get(timeout=180))
        finally:
            running.terminate()
            running.wait()
            server.shutdown()
    return [np.array(pixels, np.uint8).reshape(height, width, 4)[..., :3] for height, width, pixels in made]


def cases(profiles: list[Path]) -> dict[str, tuple[str, bytes]]:
    values = np.arange(0, 256, 17)
    colours = Image.fromarray(np.stack(np.meshgrid(values, values, values), -1).reshape(64, 64, 3).astype(np.uint8))
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    pngs = {f"PNG, {name}": png_with(colours, iccp(rgb_profile(name))) for name in COLUMNS}
    pngs |= {f"PNG, grey of gamma {gamma}": png_with(grey, iccp(grey_profile(gamma))) for gamma in (1.0, 1.8, 2.2)}
    pngs |= {f"PNG, gAMA {value}": png_with(colours, gama(value)) for value in (45455, 45000, 40000, 55556, 100000)}
    pngs |= {f"PNG, gAMA 45455, cHRM {name}": png_with(colours, gama(45455), ends) for name, ends in ENDS.items()}
    pngs |= {"PNG, cHRM alone": png_with(colours, ENDS["Display P3"])}
    for points in ((12, 13), (9, 14), (1, 1), (9, 16)):
        pngs[f"PNG, cICP {points}"] = png_with(colours, (b"cICP", bytes([*points, 0, 1])))
    for path in profiles:
        icc = path.read_bytes()
        if icc[16:20] in (b"RGB ", b"GRAY"):
            pngs[path.name] = png_with(grey if icc[16:20] == b"GRAY" else colours, iccp(icc))
    found = {name: ("image/png", data) for name, data in pngs.items()}
    turned = Image.Exif()
    turned[0x0112] = 6
    wide, avif = colours.crop((0, 0, 64, 20)), encode(colours, "AVIF", quality=100)
    at = avif.index(b"colrnclx") + 8
    for points in ((12, 13), (9, 1), (1, 1), (6, 6)):
        found[f"AVIF, nclx {points}"] = "image/avif", avif[:at] + struct.pack(">HH", *points) + avif[at + 4 :]
    for form in ("JPEG", "PNG", "WEBP", "AVIF"):
        mime, how = f"image/{form.lower()}", FORMATS[form]
        found[f"{form}, P3"] = mime, encode(colours, form, icc_profile=rgb_profile("Display P3"), **how)
        found[f"{form}, on its side"] = mime, encode(wide, form, exif=turned.tobytes(), **how)
    return found


def main() -> None:
    files = cases([Path(name) for name in sys.argv[1:]])
    for (name, (_, data)), theirs in zip(files.items(), in_browser(list(files.values())), strict=True):
        ours = [decode_whole(data, profiles=how).astype(int) for how in ("srgb", "ignored")]
        if ours[0].shape != theirs.shape:
            print(f"{name:40} is {theirs.shape} there, {ours[0].shape} here")
            continue
        differences = [np.abs(theirs - one) for one in ours]
        told = [f"{one.max():3} {one.mean():6.2f}" for one in differences]
        print(f"{name:40} converted {told[0]}   as stored {told[1]}")


if __name__ == "__main__":
    main()
