"""How many answers change where colour profiles, PNG gamma or transparency are taken in another way than in training.

    python benchmarks/colour.py [--shared ../shared] [--alpha 0.35] [--size 160] [--profile swop=FILE.icc]...

A logistic regression on the pooled features of MobileNetV2 is trained on the photographs of cats and dogs, which are
sRGB: as they are, and as a phone that writes Display P3 would have stored them. The test photographs are stored as PNG
with each profile, so that a client that converts sees the photograph, and one that ignores it sees other colours.
"""

from __future__ import annotations

import argparse
import io
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageDraw
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from toolkit.pixels.decode import decode, decode_whole
from toolkit.pixels.icc import DISPLAY_P3, SRGB, SRGB_CURVE, Primaries, matrix_profile
from toolkit.pixels.resize import resize

ADOBE = Primaries(SRGB.red, (0.21, 0.71), SRGB.blue)
PROPHOTO = Primaries((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105), (0.345704, 0.358540))
PROFILES = {
    "Display P3": matrix_profile(DISPLAY_P3, SRGB_CURVE),
    "Adobe RGB": matrix_profile(ADOBE, (563 / 256,)),
    "ProPhoto": matrix_profile(PROPHOTO, (1.8,)),
}
CHRM = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
BOTH = ("srgb", "ignored")
Store = Callable[[Image.Image], bytes]


def stored(profile: bytes, photograph: Image.Image) -> bytes:
    """The photograph in the colours of a profile, which is embedded: as PNG, or as TIFF in CMYK."""
    mode = "CMYK" if profile[16:20] == b"CMYK" else "RGB"
    own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    made = ImageCms.buildTransform(srgb, own, "RGB", mode).apply(photograph)
    return _bytes(made, "TIFF" if mode == "CMYK" else "PNG", icc_profile=profile)


def with_gamma(gamma: int, ends: bytes, photograph: Image.Image) -> bytes:
    """The pixels as they are, as PNG with gAMA and cHRM."""
    data = _bytes(photograph, "PNG")
    chunks = [(b"gAMA", struct.pack(">I", gamma)), *([(b"cHRM", ends)] if ends else [])]
    told = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    ]
    return data[:33] + b"".join(told) + data[33:]


def cut_out(under: str, photograph: Image.Image) -> bytes:
    """The ellipse in the middle, all around it transparent: there the colours stay, or are black."""
    alpha = Image.new("L", photograph.size)
    width, height = photograph.size
    ImageDraw.Draw(alpha).ellipse((width // 10, height // 10, width * 9 // 10, height * 9 // 10), fill=255)
    whole = photograph if under == "stays" else Image.composite(photograph, Image.new("RGB", alpha.size), alpha)
    return _bytes(Image.merge("RGBA", (*whole.split(), alpha)), "PNG")


def _bytes(image: Image.Image, form: str, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **({"compress_level": 0} if form == "PNG" else {}), **how)
    return file.getvalue()


class Measuring:
    """Photographs as features of one backbone at one size."""

    def __init__(self, shared: Path, alpha: float, size: int) -> None:
        import keras

        weights = shared / "weights" / f"mobilenet_v2_{alpha}_224_no_top.weights.h5"
        shape = (size, size, 3)
        self.backbone = keras.applications.MobileNetV2(
            input_shape=shape, alpha=alpha, include_top=False, pooling="avg", weights=str(weights)
        )
        self.size = size

    def features(self, files: list[Path], pixels: Callable[[Path], np.ndarray]) -> np.ndarray:
        """float32 [N, W, F] of `pixels`, uint8 [W, S, S, 3]: in W ways."""
        made = []
        with ThreadPoolExecutor(2) as pool:
            for start in range(0, len(files), 64):
                images = np.stack(list(pool.map(pixels, files[start : start + 64])))
                flat = images.reshape(-1, *images.shape[2:]) / np.float32(127.5) - 1
                made.append(np.asarray(self.backbone(flat, training=False)).reshape(*images.shape[:2], -1))
        return np.concatenate(made)

    def of(self, files: list[Path], store: Store, ways: list[dict[str, Any]]) -> list[np.ndarray]:
        """The features of stored photographs, decoded in each of these ways."""

        def pixels(file: Path) -> np.ndarray:
            data = store(Image.open(file).convert("RGB"))
            return np.stack([resize(decode_whole(data, **way), self.size) for way in ways])

        return list(np.moveaxis(self.features(files, pixels), 1, 0))

    def as_they_are(self, files: list[Path]) -> np.ndarray:
        return self.features(files, lambda file: decode(file, self.size)[None])[:, 0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--alpha", type=float, default=0.35)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--every", type=int, default=1, help="take every so many-th photograph")
    parser.add_argument("--profile", action="append", default=[], metavar="NAME=FILE")
    given = parser.parse_args()
    data = given.shared / "data" / "cats_dogs"
    train, test = (sorted((data / part).glob("*/*.jpg"))[:: given.every] for part in ("train", "test"))
    labels = [np.array([file.parent.name == "dog" for file in files]) for files in (train, test)]
    own = {name: Path(file).read_bytes() for name, _, file in (one.partition("=") for one in given.profile)}
    measuring = Measuring(given.shared, given.alpha, given.size)
    phone = partial(stored, PROFILES["Display P3"])
    both: list[dict[str, Any]] = [{"profiles": how} for how in BOTH]
    converted, ignored = measuring.of(train, phone, both)
    trained = {
        "sRGB photographs": measuring.as_they_are(train),
        "P3 photographs, converted": converted,
        "P3 photographs, ignored": ignored,
    }
    models = {
        name: make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000)).fit(features, labels[0])
        for name, features in trained.items()
    }
    seen = {"as they are": measuring.as_they_are(test)}
    stores: dict[str, Store] = {name: partial(stored, profile) for name, profile in (PROFILES | own).items()}
    stores["gAMA 45455 and cHRM of sRGB"] = partial(with_gamma, 45455, CHRM)
    stores["gAMA 55556"] = partial(with_gamma, 55556, b"")
    for name, store in stores.items():
        seen |= {f"{name}, {how}": made for how, made in zip(BOTH, measuring.of(test, store, both), strict=True)}
    shown = {"on white": True, "transparency dropped": False}
    for under in ("black", "stays"):
        made = measuring.of(test, partial(cut_out, under), [{"composited": way} for way in shown.values()])
        seen |= {f"cut out, {under} around, {what}": one for what, one in zip(shown, made, strict=True)}
    for name, model in models.items():
        print(f"\ntrained on {name}")
        answers = {what: model.predict(features) for what, features in seen.items()}
        for what, answer in answers.items():
            first = what.rpartition(",")[0]
            base = answers["as they are" if not first else next(key for key in answers if key.startswith(first))]
            right, flips = (answer == labels[1]).mean(), int((answer != base).sum())
            print(
                f"  {what:45} {right:.2%}  flips against the row before {flips}"
                if first
                else f"  {what:45} {right:.2%}"
            )


if __name__ == "__main__":
    main()
