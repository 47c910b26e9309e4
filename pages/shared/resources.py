"""References on this machine, loaded once in the background and shared by all sessions; they hold no patient data."""

from __future__ import annotations

import atexit
import gc
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import streamlit as st
from platformdirs import user_data_path

from nero_core.demo.examples import Example, read_examples
from nero_core.errors import ArtefactError
from nero_core.reference.manifest import MANIFEST_NAME, ReferenceEntry, list_references
from nero_core.reference.origin import read_origin
from nero_core.reference.reference import Reference
from nero_core.reference.signatures import TrustedKey, trusted_in
from nero_core.wording import said

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "assets"
BUNDLED_REFERENCES = ASSETS / "references"
BUNDLED_EXAMPLES = ASSETS / "examples"
FOLDERS_VARIABLE = "NERO_REFERENCES"
KEYS_VARIABLE = "NERO_TRUSTED_KEYS"
USER_REFERENCES = user_data_path("nero-dashboard", appauthor=False) / "references"
KEPT = 3  # references in memory at a time, about 100 MB each

# Before torch is imported: threads that wait for each other sleep instead of spinning. With more sessions than cores a
# pass of 40 ms took 1.4 s otherwise (two threads on two busy cores).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reference-loader")

_failed: dict[tuple[str, int], str] = {}
"""Why references did not load where they were needed, by folder and when they were written: none is tried again until
its files change. One whose pictures are damaged does not load, and its neurons can be looked at all the same."""


def entries() -> list[ReferenceEntry]:
    """References that are bundled, in the folders that $NERO_REFERENCES names, and in the user's own; manifests only.

    Usable ones first: the one that the owner wants sessions to start with, those made here, those imported; and among
    these the ones made from real images. A bundled one of real images comes last of those made here: it knows one
    device, and is chosen by whoever has frames of it. Those of one title are told apart by their folders, and one that
    did not load has its reason, until its files change.
    """
    found = list_references(list(dict.fromkeys([BUNDLED_REFERENCES, *_named(), USER_REFERENCES])))
    titles = Counter(entry.title for entry in found)
    told = [replace(e, title=told_apart(e.title, e.path)) if titles[e.title] > 1 else e for e in found]
    told = [e if e.error else replace(e, error=_failed.get((str(e.path), _changed(e.path)))) for e in told]

    def place(entry: ReferenceEntry) -> tuple[bool, bool, bool, bool, bool]:
        origin, bundled = read_origin(entry.path), entry.path.parent == BUNDLED_REFERENCES
        of_one_device = bundled and not entry.synthetic
        return entry.error is not None, not origin.default, origin.imported, of_one_device, entry.synthetic

    return sorted(told, key=place)


def default_of(entries: Sequence[ReferenceEntry]) -> ReferenceEntry | None:
    """What a session starts with; None where every reference that can be used was imported, and nobody chose one."""
    first = next(iter(entries), None)
    return first if first is not None and first.error is None and read_origin(first.path).may_begin else None


def trusted_keys() -> list[TrustedKey]:
    """The public keys in the folder that $NERO_TRUSTED_KEYS names: whose signatures are told by name.

    Raises
    ------
    InputError
        The folder is not there, or holds what is no public key.
    """
    folder = os.environ.get(KEYS_VARIABLE, "")
    return trusted_in(Path(folder)) if folder else []


def told_apart(title: str, path: Path) -> str:
    """How a reference is called where another has the same title."""
    return f"{title} ({path.name})"


def _named() -> list[Path]:
    return [Path(folder) for folder in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if folder]


def home() -> Path:
    """Where new references are written: the first folder of $NERO_REFERENCES that can be, else the user's own."""
    writable = (folder.resolve() for folder in _named() if folder.is_dir() and os.access(folder, os.W_OK))
    return next(writable, USER_REFERENCES)


def examples() -> list[tuple[Example, Path]]:
    """Bundled example images: those like what the demo's network learned from, unlike it, and missed."""
    found = read_examples(BUNDLED_EXAMPLES)
    order = sorted(found, key=lambda each: (not each.known, not each.known and each.state == "in-distribution"))
    return [(example, BUNDLED_EXAMPLES / example.file) for example in order]


def begin_loading(path: Path) -> Future[Reference]:
    """Start loading a reference unless it is there or on its way; never waits."""
    return _loading(str(path), _changed(path))


def _changed(path: Path) -> int:
    """Another number when a reference was written anew, or one of its two files was mended."""
    stamps = []
    for file in sorted([*path.glob("*.safetensors"), path / MANIFEST_NAME]):
        with suppress(OSError):  # it is gone, as loading it will tell
            stamps.append((file.name, file.stat().st_mtime_ns))
    return hash(tuple(stamps))


def reference(path: Path) -> Reference:
    """The loaded reference; waits for it.

    One that does not load is noted, and the page runs again, with another: see `entries`, which tells the reason.
    """
    changed = _changed(path)
    loading = _loading(str(path), changed)
    try:
        if not loading.done():
            with st.spinner(said("Loading the reference…")):
                return loading.result()
        return loading.result()
    except Exception as error:  # noqa: BLE001  whatever a reference brings about, it stops no page
        reason = (
            str(error) if isinstance(error, ArtefactError) else said("It does not load ({error}).", error=f"{error!r}")
        )
        _failed[str(path), changed] = reason
        st.rerun()


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _loading(path: str, changed: int) -> Future[Reference]:
    """`changed` makes a reference that was written anew a new entry."""
    return _loader.submit(_load, path)


@cache
def _set_imports_aside() -> None:
    """Streamlit collects garbage after every run, under the lock that all sessions share.

    Half a million objects of imported modules are never garbage; looking through them took 0.26 s each time.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # else modules complain at the end that they were not freed


def _load(path: str) -> Reference:
    import pandas  # noqa: F401  # tables need it; here it does not hold up a screen
    import plotly.graph_objects  # noqa: F401
    from PIL import Image

    _set_imports_aside()
    loaded = Reference.load(path)
    size = loaded.classifier.preprocessing
    loaded.classifier.extract([Image.new("RGB", (size.width, size.height))])  # the first pass is the slow one
    return loaded
