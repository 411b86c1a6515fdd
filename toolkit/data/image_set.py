"""DATA -> `ImageSet`: each usable image with label, part, size and digest; each file left out, with the reason.

`toolkit.data.sources` says which files DATA names, `toolkit.pixels.decode` whether a file can be used.
`toolkit.data.split` decides on parts that DATA does not give.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from toolkit.data.colours_seen import colours_seen
from toolkit.data.copies import first_of_each
from toolkit.data.formats_seen import misnamed, resolved_levels, unread_formats
from toolkit.data.read_image import ReadImage, copies_among, measured, without_disputed
from toolkit.data.settings import DATA_SETTINGS, DataSettings
from toolkit.data.sources.alike import nearest
from toolkit.data.sources.class_folders import classes_in_a_heap
from toolkit.data.sources.layout.undecided import no_class_folders
from toolkit.data.sources.listing import Entry, Listing, Rejected
from toolkit.data.sources.open import read_listing, refuse_csv_options
from toolkit.data.sources.reasons import refuse_left_out, why
from toolkit.errors import UnfreezeError, one_line
from toolkit.pixels.colour import IGNORED
from toolkit.pixels.decode import read_picture
from toolkit.pixels.formats import UnreadError
from toolkit.pixels.levels import FULL
from toolkit.process.cores import cores
from toolkit.storage.safe_read import read

SHOWN = 10  # class names in a message at most
AT_A_TIME = 1024  # files that are handed to the threads together
CROWDED = (
    "so many images look alike that the search for nearly the same ones was ended: some may be missing; "
    "--near-duplicates off leaves it out"
)

TRAINED = ("train", "")  # parts that a model is trained on; "": no part given


@dataclass(frozen=True, eq=False)
class ImageSet:
    """N images. False if there are none."""

    root: Path  # what `paths` are relative to
    class_names: tuple[str, ...]  # sorted
    paths: tuple[str, ...]  # POSIX, sorted
    labels: np.ndarray  # int32 [N], index into class_names
    digests: tuple[str, ...]  # SHA-256 of the file's bytes, hex
    parts: tuple[str, ...]  # "train" | "val" | "test" | "": not given
    sizes: np.ndarray  # int32 [N, 2], width and height in pixels, as shown
    rejected: tuple[Rejected, ...] = ()
    ignored: int = 0  # number of files that are no images
    ignored_suffixes: dict[str, int] = field(default_factory=dict)  # of these files -> how many
    levels: str = FULL  # how 16-bit samples become 8 bits, as `toolkit.pixels.levels` says
    profiles: str = IGNORED  # whether colours become those of sRGB, as `toolkit.pixels.colour` says
    notices: tuple[str, ...] = ()  # sentences for the user: what was decided when DATA was read
    groups: tuple[str, ...] = ()  # what each image has in common with others, "": nothing; (): not asked for
    same: tuple[tuple[str, ...], ...] = ()  # sets of digests of files that differ, with the same pixels
    near: tuple[tuple[str, str], ...] = ()  # pairs of digests that link nearly the same pictures

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, *parts: str) -> ImageSet:
        """The images of one part or of several, in their order here; class names and rejected files stay as they
        are."""
        return self._rows([i for i, own in enumerate(self.parts) if own in parts])

    def counts(self, part: str | None = None) -> np.ndarray:
        """Images of each class, int64 [C], in one part or in all."""
        chosen = [part is None or own == part for own in self.parts]
        return np.bincount(self.labels[np.array(chosen, bool)], minlength=len(self.class_names))

    def duplicates(self) -> tuple[tuple[str, ...], ...]:
        """The paths of each set of files with the same pixels."""
        return tuple(tuple(self.paths[i] for i in rows) for rows in self._same() if len(rows) > 1)

    def leaks(self) -> tuple[tuple[str, ...], ...]:
        """The sets of files with the same pixels that DATA puts into two parts or more."""
        return tuple(
            tuple(self.paths[i] for i in rows) for rows in self._same() if len({self.parts[i] for i in rows} - {""}) > 1
        )

    def fingerprint(self) -> str:
        """SHA-256, hex, of all paths, classes, digests and parts: equal for equal data."""
        names = (self.class_names[label] for label in self.labels)
        rows = sorted(zip(self.paths, names, self.digests, self.parts, strict=True))
        return hashlib.sha256(json.dumps([self.class_names, rows]).encode()).hexdigest()

    def _same(self) -> Iterable[list[int]]:
        """The row numbers of each set of files with the same pixels, in the order of their first paths."""
        rows: dict[str, list[int]] = defaultdict(list)
        for i, picture in enumerate(self.pictures()):
            rows[picture].append(i)
        return rows.values()

    def pictures(self) -> tuple[str, ...]:
        """For each image a key that images with the same pixels share."""
        first = first_of_each(self.same)
        return tuple(first.get(digest, digest) for digest in self.digests)

    def _rows(self, chosen: list[int]) -> ImageSet:
        return replace(
            self,
            paths=tuple(self.paths[i] for i in chosen),
            labels=self.labels[chosen],
            digests=tuple(self.digests[i] for i in chosen),
            parts=tuple(self.parts[i] for i in chosen),
            sizes=self.sizes[chosen],
            groups=tuple(self.groups[i] for i in chosen) if self.groups else (),
        )


def scan(
    data: Path,
    settings: DataSettings = DATA_SETTINGS,
    *,
    strict: bool = False,
    classes: tuple[str, ...] | None = None,
    trains: bool = True,
    levels: str | None = None,
    profiles: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImageSet:
    """Read every image of DATA once, in threads, and check that it can be decoded.

    `classes`: the classes of a model that exists already; DATA may have only some of them. `trains`: False for a model
    that exists already, of which DATA may have test images alone. `levels`, `profiles`: how that model takes 16-bit
    images, and colours; without them, the settings and the training images say. `progress(done, total)` is called in
    this thread after each file. Raises UnfreezeError if DATA has fewer than two classes, if it has a class that is not
    in `classes`, or if `strict` is true and a file has to be left out.
    """
    if classes is None:  # with the settings of a run of a CSV, its model may be tried on a folder
        refuse_csv_options(data, settings)
    listing = read_listing(data, settings, classes or ())
    images, broken = read_all(listing, progress or (lambda done, total: None))
    copies = copies_among(listing.root, images, near=settings.near_duplicates != "off")
    images, disputed = without_disputed(images, copies)
    rejected = sorted([*listing.rejected, *broken, *disputed], key=lambda left: left.path)
    if strict:
        refuse_left_out(data, rejected)
    if classes is not None:
        names = _known(data, listing, images, rejected, classes)
    else:
        parts = {part for _, part in listing.classes}
        sources = ("test", "val") if not trains and "test" in parts and not parts & set(TRAINED) else TRAINED
        names = _class_names(data, listing, images, rejected, sources)
    listing.notices += misnamed((image.entry.path, image.form) for image in images) + unread_formats(rejected)
    profiles = profiles or settings.profiles
    listing.notices += colours_seen(images, profiles)
    listing.notices += [CROWDED] if copies.crowded else []
    if levels is None:
        trained = [image for image in images if image.entry.part in TRAINED] or images
        levels, said = resolved_levels(settings.levels, (image.span for image in trained))
        listing.notices += said
    found = image_set_of(listing, names, images, rejected)
    return replace(found, levels=levels, profiles=profiles, same=copies.same, near=copies.near)


def read_all(listing: Listing, progress: Callable[[int, int], None]) -> tuple[list[ReadImage], list[Rejected]]:
    """Read and measure every file of a listing, in threads: (usable images, files that are left out)."""
    images: list[ReadImage] = []
    broken: list[Rejected] = []
    total = len(listing.entries)
    with ThreadPoolExecutor(cores()) as threads:
        for start in range(0, total, AT_A_TIME):  # a pool takes a kilobyte for each call that waits in it
            some = listing.entries[start : start + AT_A_TIME]
            for done, result in enumerate(threads.map(lambda entry: _read(listing.root, entry), some), start + 1):
                if isinstance(result, ReadImage):
                    images.append(result)
                else:
                    broken.append(result)
                progress(done, total)
    return images, broken


def _read(root: Path, entry: Entry) -> ReadImage | Rejected:
    path = root / entry.path
    try:
        entry.path.encode()
        return measured(entry, read_picture(path))
    except OSError as error:
        return Rejected(entry.path, f"cannot be read: {error.strerror}")
    except UnreadError as error:
        return Rejected(entry.path, str(error), error.form)
    except UnfreezeError as error:
        return Rejected(entry.path, str(error))
    except UnicodeEncodeError:
        return Rejected(entry.path.encode("utf-8", "backslashreplace").decode(), "its name is not UTF-8: rename it")
    except ValueError:  # a null byte, from a CSV
        return Rejected(entry.path, "not a path that a file can have")


def _class_names(
    data: Path, listing: Listing, images: list[ReadImage], rejected: list[Rejected], sources: tuple[str, ...]
) -> tuple[str, ...]:
    """The classes, sorted. Raises UnfreezeError if there are fewer than two, or if one has no image in the parts
    `sources`, which are those to train on, or what there is of a model that exists already."""
    where = one_line(str(data))
    said = {name: one_line(name) for name, _ in listing.classes}
    given = {name for name, part in listing.classes if part in sources}
    names = sorted(given)
    parts = sorted({part for _, part in listing.classes} - {""})
    if data.is_dir() and parts and not names:
        found = ", ".join(f"{part}/" for part in parts)
        raise UnfreezeError(f"{where} has {found} but no train/ with a sub-folder per class: add it")
    for name, part in sorted(listing.classes):
        if name not in given:
            near = nearest(name, given)
            hint = f", where there is {said[near]}" if near else ""
            raise UnfreezeError(
                f"{where}: class {said[name]} is in {part} but not in train{hint}: add it there, rename it or remove it"
            )
    if data.is_dir() and classes_in_a_heap(listing):
        raise no_class_folders(data, [data / entry.path for entry in listing.entries])
    if len(names) < 2:
        found = f"only one class, {said[names[0]]}" if names else "no class to train on"
        left = why(rejected, listing.ignored)
        raise UnfreezeError(f"{where} has {found}{left}: a classifier needs two or more")
    usable = {image.entry.label for image in images if image.entry.part in sources}
    for name in names:
        if name not in usable:
            own = {entry.path for entry in listing.entries if entry.label == name}
            left = why(one for one in rejected if one.path in own)
            raise UnfreezeError(
                f"{where}: class {said[name]} has no usable image to train on{left}: add some or remove it"
            )
    return tuple(names)


def _known(
    data: Path, listing: Listing, images: list[ReadImage], rejected: list[Rejected], classes: tuple[str, ...]
) -> tuple[str, ...]:
    """The classes of the model. Raises UnfreezeError if DATA has a class that is not among them, or no usable image."""
    known = set(classes)
    for name, _ in sorted(listing.classes):
        if name not in known:
            near = nearest(name, classes)
            few = ", ".join(classes[:SHOWN]) + (f" and {len(classes) - SHOWN} others" if len(classes) > SHOWN else "")
            hint = f"is it {near}? Its classes are {few}" if near else f"its classes are {few}"
            what = f"{data}: the model has no class {name}; {hint}"
            raise UnfreezeError(one_line(f"{what}: rename or remove the folder, or give --labels"))
    if not images:
        left = why(rejected, listing.ignored)
        raise UnfreezeError(f"{one_line(str(data))} has no usable image{left}: add some")
    return classes


def image_set_of(
    listing: Listing, names: tuple[str, ...], images: list[ReadImage], rejected: list[Rejected]
) -> ImageSet:
    """The set of the images that were read."""
    number = {name: i for i, name in enumerate(names)}
    return ImageSet(
        root=listing.root,
        class_names=names,
        paths=tuple(image.entry.path for image in images),
        labels=np.array([number[image.entry.label] for image in images], np.int32),
        digests=tuple(image.digest for image in images),
        parts=tuple(image.entry.part for image in images),
        sizes=np.array([image.size for image in images], np.int32),
        rejected=tuple(rejected),
        ignored=sum(listing.ignored.values()),
        ignored_suffixes=dict(listing.ignored),
        notices=tuple(listing.notices),
        groups=_groups(images),
    )


def _groups(images: list[ReadImage]) -> tuple[str, ...]:
    groups = tuple(image.entry.group for image in images)
    return groups if any(groups) else ()


def read_unchanged(images: ImageSet, row: int) -> bytes:
    """The bytes of one file, as they were when it was scanned. Raises UnfreezeError if the file is gone or has
    changed."""
    file = images.root / images.paths[row]
    try:
        content = read(file)
    except UnfreezeError as error:
        raise UnfreezeError(f"{one_line(str(file))} changed after it was scanned: {error}") from None
    except OSError as error:
        raise UnfreezeError(
            f"{one_line(str(file))} cannot be read any more ({error.strerror}); put it back, or say with --data "
            "where it is now"
        ) from None
    if hashlib.sha256(content).hexdigest() != images.digests[row]:
        raise UnfreezeError(f"{one_line(str(file))} changed after it was scanned; put it back, or use a new run folder")
    return content
