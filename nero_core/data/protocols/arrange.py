"""A data set's folders arranged for a protocol: what trains, what tests, what is out-of-distribution."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np

from nero_core.data.class_folders import list_images, require_folder, sub_folders
from nero_core.data.protocols.protocol import FOLDERS, Protocol, plain
from nero_core.errors import ArtefactError, InputError
from nero_core.records import Progress
from nero_core.storage.files import digest, disk_errors, write_bytes
from nero_core.storage.json_files import read_json

SPLIT_NAME = "split.json"
DEPTH = 2
"""Class folders may lie so many folders below the one that is given, as zips unpack."""

Part = Literal["train", "test", "ood"]
TRAIN: Part = "train"
TEST: Part = "test"
OOD: Part = "ood"
OFFICIAL_FILES: Mapping[str, Part] = {"train": TRAIN, "validate": TRAIN, "test": TEST}
"""What the images of a split file train or test, by the file's name."""


@dataclass(frozen=True)
class Arranged:
    """One image of an arranged protocol: its part, its class, where it comes from and the SHA-256 of its bytes."""

    part: Part
    class_name: str
    path: Path
    digest: str


def folders_protocol(root: Path, id_classes: Sequence[str], test_share: float = 0.2) -> Protocol:
    """Any class folders as a protocol: some classes in-distribution, all others out of it.

    Raises
    ------
    InputError
        A class has no folder, or none is left to be out-of-distribution.
    """
    found = sub_folders(root)
    if missing := [name for name in id_classes if name not in found]:
        raise InputError(f"{root} has no class {', '.join(missing)}; it has {', '.join(found) or 'none'}.")
    others = tuple(name for name in found if name not in id_classes)
    if not id_classes or not others:
        raise InputError(
            f"Name some of the classes of {root} with --id-classes, not {'all' if id_classes else 'none'}."
        )
    return Protocol(FOLDERS, root.name, "", "", {}, tuple(id_classes), others, test_share=test_share)


def divide_images(
    protocol: Protocol, root: Path, seed: int = 0, official: Sequence[Path] = (), progress: Progress | None = None
) -> list[Arranged]:
    """Give every image of a data set its part; files with the same bytes stay in one.

    Parameters
    ----------
    root : Path
        Holds the class folders, at most two folders down.
    seed : int
        Of the split, where there is no official one.
    official : paths, optional
        Split files of the data set: ``file-name;class-name;split-index`` (0 trains, others test), or
        ``Filename,Class`` in files called train, validate (which trains) and test. ID images they do not name are
        left out.

    Raises
    ------
    InputError
        A class is missing, has no image or too few, or the official split names none of its images.
    ArtefactError
        A split file cannot be read.
    """
    folders = _class_folders(protocol, root)
    listed = read_official(official) if official else None
    images = {name: list_images(folder) for name, folder in folders.items()}
    total, done = sum(map(len, images.values())), 0
    arranged: list[Arranged] = []
    for number, (name, paths) in enumerate(images.items()):
        keys = []
        for path in paths:
            keys.append(digest(path))
            done += 1
            if progress is not None:
                progress(done, total)
        parts: list[Part | None]
        if name in protocol.ood:
            parts = [OOD] * len(paths)
        elif listed is None:
            testing = _drawn(protocol, name, keys, [seed, number])
            parts = [TEST if key in testing else TRAIN for key in keys]
        else:
            parts = [listed.get((plain(name), plain(path.stem))) for path in paths]
        if not any(parts):
            raise InputError(f"The official split names none of the {len(paths)} images of {name!r}; check the file.")
        arranged += [
            Arranged(part, name, path, key) for part, path, key in zip(parts, paths, keys, strict=True) if part
        ]
    return arranged


def _class_folders(protocol: Protocol, root: Path) -> dict[str, Path]:
    """The folder of each class, in the protocol's order."""
    require_folder(root)
    wanted = {plain(name): name for name in (*protocol.id, *protocol.ood)}
    level, found = [root], dict[str, Path]()
    for _ in range(DEPTH + 1):
        level = sorted(path for folder in level for path in folder.iterdir() if path.is_dir())
        found = {wanted[plain(path.name)]: path for path in level if plain(path.name) in wanted}
        if found:
            break
    if missing := [name for name in wanted.values() if name not in found]:
        page = f" Get the data set from {protocol.page}." if protocol.page else ""
        raise InputError(
            f"{root} lacks {len(missing)} of {len(wanted)} class folders of {protocol.title}: "
            f"{', '.join(missing)}.{page}"
        )
    return {name: found[name] for name in wanted.values()}


def _drawn(protocol: Protocol, name: str, keys: Sequence[str], seed: list[int]) -> set[str]:
    """Digests of the images of a class that test: seeded, and the same whatever the files are called."""
    distinct = sorted(set(keys))
    count = protocol.test_per_class
    if count is None:
        count = max(1, round((protocol.test_share or 0) * len(distinct)))
    if count >= len(distinct):
        raise InputError(
            f"{name!r} has {len(distinct)} different images; more than {count} are needed to test and train."
        )
    order = np.random.default_rng(seed).permutation(len(distinct))
    return {distinct[place] for place in order[:count]}


def read_official(paths: Sequence[Path]) -> dict[tuple[str, str], Part]:
    """Official split files: {(class, file name without its ending), both plain: part}.

    Raises
    ------
    ArtefactError
        A file cannot be read, or has other columns.
    """
    listed: dict[tuple[str, str], Part] = {}
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            raise ArtefactError(f"{path} cannot be read as text ({error}); wanted a CSV file.") from error
        rows = csv.DictReader(text.splitlines(), delimiter=";" if ";" in text.partition("\n")[0] else ",")
        columns = {plain(name): name for name in rows.fieldnames or []}
        file, kind, index = (columns.get(name) for name in ("filename", "classname", "splitindex"))
        kind = kind or columns.get("class")
        whole = OFFICIAL_FILES.get(path.stem.casefold())
        if file is None or kind is None or (index is None and whole is None):
            raise ArtefactError(
                f"{path} has the columns {', '.join(rows.fieldnames or ['none'])}; wanted file-name, class-name and "
                "split-index, or Filename and Class in a file called train, validate or test."
            )
        for row in rows:
            trains = (row[index] or "").strip() == "0" if index is not None else whole == TRAIN
            listed[plain(row[kind] or ""), plain(Path(row[file] or "").stem)] = TRAIN if trains else TEST
    return listed


def arrange(protocol: Protocol, images: Sequence[Arranged], out: Path, seed: int = 0) -> Path:
    """Lay the images out as ``train/CLASS``, ``test/CLASS`` and ``ood/CLASS`` and write ``split.json`` beside them.

    Files are hard links where the disk allows it, so that they take no room; else copies.

    Returns
    -------
    path
        Of ``split.json``, which is written last.

    Raises
    ------
    InputError
        The folder exists and is not empty.
    ArtefactError
        It cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is not empty; name a new folder.")
    counts: dict[tuple[str, str], int] = {}
    rows = []
    with disk_errors(f"{out} cannot be written"):
        for image in images:
            number = counts.get((image.part, image.class_name), 0)
            counts[image.part, image.class_name] = number + 1
            target = out / image.part / image.class_name / f"{number:05d}{image.path.suffix.lower()}"
            target.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(image.path, target)
            rows.append({"file": target.relative_to(out).as_posix(), "from": image.path.name, "sha256": image.digest})
    content = {"protocol": protocol.name, "seed": seed, "note": protocol.note, "images": rows}
    path = out / SPLIT_NAME
    write_bytes(path, json.dumps(content, indent=1, ensure_ascii=False).encode())
    return path


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)


class _SplitFields(TypedDict):
    protocol: str


def arranged_protocol(folder: Path) -> str | None:
    """The protocol that a folder was arranged for; None where it was not.

    Raises
    ------
    ArtefactError
        Its ``split.json`` is damaged.
    """
    advice = "It is damaged; arrange the protocol again."
    try:
        return str(read_json(folder / SPLIT_NAME, _SplitFields, advice)["protocol"])
    except FileNotFoundError:
        return None


def counts_by_part(images: Sequence[Arranged]) -> Mapping[str, int]:
    """How many images train, test and are out-of-distribution."""
    return {part: sum(image.part == part for image in images) for part in (TRAIN, TEST, OOD)}
