"""What the browser runs of the components is what `make frontend` builds from `frontend/`."""

from __future__ import annotations

import ast
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pages.components.bundles import BUNDLES

ROOT = Path(__file__).parents[1]
FRONTEND = ROOT / "frontend"
SETTINGS = ("build.mjs", "package-lock.json", "tsconfig.json")
HEADER = re.compile(r"// built by make frontend; sources ([0-9a-f]{64}); bundle ([0-9a-f]{64})")
MOST_LINES, MOST_BYTES = 400, 20_000
"""Of a source file, as in Python; and of a bundle, which the browser gets with every element that it is mounted at."""


def text_of(path):
    """A file's text with the line ends of git's own."""
    return path.read_bytes().decode("utf-8").replace("\r\n", "\n")


def digest_of_sources(folder):
    """What the bundles are built from, as `build.mjs` works it out."""
    digest = hashlib.sha256()
    for name in sorted([*(f"src/{path.name}" for path in (folder / "src").iterdir()), *SETTINGS]):
        digest.update(f"{name}\0{text_of(folder / name)}\0".encode())
    return digest.hexdigest()


def faults(bundle, sources):
    """What is wrong with a bundle's text, in words."""
    header, _, body = bundle.partition("\n")
    found = HEADER.fullmatch(header)
    if not found:
        return ["its first line does not say what it was built from"]
    of_sources = [] if found[1] == sources else ["frontend/ has changed since it was built: run `make frontend`"]
    edited = hashlib.sha256(body.encode()).hexdigest() != found[2]
    return of_sources + (["it was edited by hand: change frontend/src, and run `make frontend`"] if edited else [])


def mounted():
    """The components that pages ask for, by the names of their bundles."""
    calls = [
        node
        for path in (ROOT / "pages" / "components").glob("*.py")
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "component" and path.stem != "bundles"
    ]
    return {ast.literal_eval(call.args[0]) for call in calls}


@pytest.fixture(params=sorted(path.stem for path in BUNDLES.iterdir()))
def bundle(request):
    return BUNDLES / f"{request.param}.js"


def test_every_component_has_its_source_and_its_bundle_and_no_other_is_there():
    assert {path.name for path in BUNDLES.iterdir()} == {f"{name}.js" for name in mounted()}
    assert all((FRONTEND / "src" / f"{name}.ts").is_file() for name in mounted())


def test_a_bundle_is_of_these_sources_and_as_it_was_built(bundle):
    assert faults(text_of(bundle), digest_of_sources(FRONTEND)) == []


def test_a_bundle_is_small(bundle):
    assert bundle.stat().st_size <= MOST_BYTES


def test_no_source_is_too_long():
    lines = {path.name: len(text_of(path).splitlines()) for path in (FRONTEND / "src").iterdir()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_data_never_becomes_markup():
    unsafe = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|eval\("
    )
    assert [path.name for path in (FRONTEND / "src").iterdir() if unsafe.search(text_of(path))] == []


def test_the_lock_names_versions_and_no_place():
    lock = text_of(FRONTEND / "package-lock.json")
    assert '"integrity": "sha512-' in lock
    assert '"resolved"' not in lock
    assert "://" not in lock


@pytest.fixture
def copy(tmp_path):
    """The sources, to be changed."""
    (tmp_path / "src").mkdir()
    for name in [*(f"src/{path.name}" for path in (FRONTEND / "src").iterdir()), *SETTINGS]:
        shutil.copyfile(FRONTEND / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", ["src/filmstrip.ts", "src/shared.css", *SETTINGS])
def test_a_change_of_any_source_is_found(copy, name):
    (copy / name).write_bytes((copy / name).read_bytes() + b" ")
    [fault] = faults(text_of(BUNDLES / "filmstrip.js"), digest_of_sources(copy))
    assert "run `make frontend`" in fault


def test_a_source_that_comes_or_goes_is_found(copy):
    before = digest_of_sources(copy)
    (copy / "src" / "more.ts").write_text("")
    assert digest_of_sources(copy) != before


def test_line_ends_of_another_system_are_no_change(copy):
    before = digest_of_sources(copy)
    (copy / "src" / "filmstrip.ts").write_bytes(text_of(copy / "src" / "filmstrip.ts").replace("\n", "\r\n").encode())
    assert digest_of_sources(copy) == before


def test_a_bundle_that_was_edited_is_found():
    edited = text_of(BUNDLES / "filmstrip.js").replace("chosen", "Chosen", 1)
    [fault] = faults(edited, digest_of_sources(FRONTEND))
    assert "edited by hand" in fault
    assert faults("export default 1\n", "") == ["its first line does not say what it was built from"]


# With node -----------------------------------------------------------------------------------------------------------


def node(*command):
    """What a command of `frontend/` says; skips where node or its packages are not installed."""
    if not shutil.which("node") or not (FRONTEND / "node_modules").is_dir():
        pytest.skip("no node, or no frontend/node_modules: `make frontend` installs them")
    done = subprocess.run(["node", *command], cwd=FRONTEND, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sources_have_no_type_errors():
    node("node_modules/typescript/bin/tsc")


def test_they_build_to_these_very_bundles(tmp_path):
    node("build.mjs", str(tmp_path))
    built = {path.name: text_of(path) for path in tmp_path.iterdir()}
    assert built == {path.name: text_of(path) for path in BUNDLES.iterdir()}
