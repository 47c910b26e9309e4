"""References changed and sealed again, as anybody can who has one: every hash agrees."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path

from nero_core.reference.manifest import MANIFEST_NAME
from nero_core.storage.files import digest, read_arrays, write_arrays


def files_of(folder):
    """{name: bytes} of a reference's folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def zipped(files, method=zipfile.ZIP_STORED):
    """A zip of [(name or ZipInfo, bytes)] pairs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as target:
        for name, data in files:
            target.writestr(name, data)
    buffer.seek(0)
    return buffer


def seal(content):
    """A manifest as JSON, sealed as ours are."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    sha = digest(json.dumps(rest, sort_keys=True, ensure_ascii=True).encode())
    return json.dumps({**rest, "sha256": sha}, ensure_ascii=True).encode()


def with_manifest(files, change):
    """The files with a manifest that `change` has changed in place."""
    content = json.loads(files[MANIFEST_NAME])
    change(content)
    return {**files, MANIFEST_NAME: seal(content)}


def with_file(files, role, change):
    """The files with another one for a role: `change` makes of its (arrays, metadata) others."""
    old = json.loads(files[MANIFEST_NAME])["files"][role]["name"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        path.write_bytes(files[old])
        write_arrays(path, *change(*read_arrays(path)))
        data = path.read_bytes()
    entry = {"name": f"{role}-{digest(data)[:16]}.safetensors", "sha256": digest(data), "bytes": len(data)}
    rest = {name: content for name, content in files.items() if name != old}
    return with_manifest({**rest, entry["name"]: data}, lambda content: content["files"].update({role: entry}))


def with_description(files, change):
    """The files with a classifier whose description `change` has changed in place."""

    def rewritten(arrays, metadata):
        described = json.loads(metadata["classifier"])
        change(described)
        return arrays, {**metadata, "classifier": json.dumps(described)}

    return with_file(files, "classifier", rewritten)


def with_array(files, name, change, role="fitted"):
    """The files with one array changed; one that is None is left out."""

    def rewritten(arrays, metadata):
        changed = {**arrays, name: change(arrays.get(name))}
        return {key: array for key, array in changed.items() if array is not None}, metadata

    return with_file(files, role, rewritten)


def write_folder(files, folder):
    """The files as a reference's folder; returns it."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
