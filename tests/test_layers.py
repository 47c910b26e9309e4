"""The layers of CONTRIBUTING's picture, held: every import of every file, those inside functions and for types, too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = "nero_core"
LAYERS = (
    ("errors", "records", "entry_points", "wording"),
    ("storage",),
    ("data",),
    ("network",),
    ("relevance", "calibration", "metrics"),
    ("detectors", "attribution"),
    ("explanation", "neurons"),
    ("reference",),
    ("case",),
    ("benchmark", "demo"),
    ("lesson",),
    ("figures",),
    ("reports",),
    ("jobs",),
    ("cli",),
)
"""Rooms of the core, lowest first; a room imports only rooms of lower layers."""
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
ONLY = {
    "streamlit": ("pages", "app"),
    "zennit": ("nero_core.attribution",),
    "crp": ("nero_core.attribution",),
}
"""Who may import what; everybody may import the rest."""
MOST_MODULES, MOST_LINES, MOST_FUNCTION_LINES, MOST_PAGE_LINES = 10, 400, 80, 120


def module_of(path: Path) -> str:
    """A file's dotted name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    module_of(path): path
    for path in [ROOT / "app.py", *sorted((ROOT / CORE).rglob("*.py")), *sorted((ROOT / "pages").rglob("*.py"))]
}


def imports_of(tree: ast.AST, modules: set[str]) -> Iterator[tuple[str, int]]:
    """Every module that is imported anywhere in a file, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            for name in node.names:
                below = f"{node.module}.{name.name}"
                yield (below if below in modules else str(node.module)), node.lineno


def room_of(module: str) -> str:
    """The room of the core that a module is in: ``nero_core.data.images`` is in `data`."""
    return module.split(".")[1] if "." in module else ""


def arrows_up(module: str, tree: ast.AST, modules: set[str]) -> list[str]:
    """Imports of a file of the core that lead to its own layer's other rooms, or above."""
    room = room_of(module)
    if room in ("", "__main__"):  # the names of the package, and its command line
        return []
    found = []
    for target, line in imports_of(tree, modules):
        if target == "pages" or target.startswith("pages."):
            found.append(f"{module}, line {line}: {target}")
        if not target.startswith(f"{CORE}.") or room_of(target) == room:
            continue
        other = room_of(target)
        ground = (room, other) == ("records", "errors")
        if other not in LEVEL or (LEVEL[other] >= LEVEL[room] and not ground):
            found.append(f"{module}, line {line}: {target}")
    return found


def not_theirs(module: str, tree: ast.AST, modules: set[str]) -> list[str]:
    """Imports of libraries that belong to another room."""
    return [
        f"{module}, line {line}: {target}"
        for target, line in imports_of(tree, modules)
        if (rooms := ONLY.get(target.split(".")[0])) is not None
        and not any(module == room or module.startswith(f"{room}.") for room in rooms)
    ]


@pytest.fixture(scope="module")
def trees():
    return {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in FILES.items()}


def test_every_room_has_its_layer():
    rooms = {room_of(module) for module in FILES if module.startswith(f"{CORE}.")}
    assert rooms - {"__main__"} == set(LEVEL)


def test_a_room_imports_only_what_stands_before_it(trees):
    modules = set(FILES)
    core = {module: tree for module, tree in trees.items() if module.startswith(CORE)}
    assert [arrow for module, tree in core.items() for arrow in arrows_up(module, tree, modules)] == []


def test_libraries_stay_in_their_rooms(trees):
    assert [arrow for module, tree in trees.items() for arrow in not_theirs(module, tree, set(FILES))] == []


def test_figures_need_no_torch(trees):
    figures = {module: tree for module, tree in trees.items() if module.startswith(f"{CORE}.figures")}
    assert figures
    loaded = [name for tree in figures.values() for name, _ in imports_of(tree, set(FILES))]
    assert [name for name in loaded if name.split(".")[0] in ("torch", "torchvision", "timm")] == []


def test_what_a_class_reaches_knows_no_streamlit_and_no_other_page(trees):
    reached = {module: tree for module, tree in trees.items() if module.startswith("pages.classroom")}
    assert len(reached) >= 3
    targets = {target for tree in reached.values() for target, _ in imports_of(tree, set(FILES))}
    assert {target for target in targets if target.split(".")[0] in ("streamlit", "app")} == set()
    assert {target for target in targets if target.startswith("pages")} <= set(reached)


@pytest.mark.parametrize(
    ("module", "text", "said"),
    [
        ("nero_core.data.images", "def f():\n    from nero_core.detectors import base", "line 2: nero_core.detectors"),
        ("nero_core.data.images", "import nero_core.case", "line 1: nero_core.case"),
        ("nero_core.detectors.nero", "from nero_core.attribution import rules", "line 1: nero_core.attribution.rules"),
        ("nero_core.case", "if TYPE_CHECKING:\n    from nero_core import figures", "line 2: nero_core.figures"),
        ("nero_core.case", "from pages.shared import words", "line 1: pages.shared.words"),
    ],
)
def test_an_arrow_up_is_found(module, text, said):
    [found] = arrows_up(module, ast.parse(text), set(FILES))
    assert said in found


def test_an_arrow_down_is_allowed():
    assert arrows_up("nero_core.case", ast.parse("from nero_core.data import images"), set(FILES)) == []
    assert arrows_up("nero_core.data.splits", ast.parse("from nero_core.data import images"), set(FILES)) == []


def test_a_library_in_another_room_is_found():
    assert not_theirs("nero_core.case", ast.parse("import streamlit as st"), set())
    assert not_theirs("nero_core.neurons.crops", ast.parse("from crp.attribution import X"), set())
    assert not not_theirs("nero_core.attribution.x", ast.parse("from crp.attribution import X"), set())


# Sizes -----------------------------------------------------------------------------------------------------------


def test_the_top_of_the_core_can_be_taken_in_at_a_glance():
    assert len(list((ROOT / CORE).glob("*.py"))) <= MOST_MODULES


def test_no_file_is_too_long():
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in FILES.items()}
    assert {module: count for module, count in lines.items() if count > MOST_LINES} == {}
    pages = {module: count for module, count in lines.items() if module.count(".") == 1 and module.startswith("pages")}
    assert {module: count for module, count in pages.items() if count > MOST_PAGE_LINES} == {}


def test_no_function_is_too_long(trees):
    assert [
        f"{module}.{node.name}: {length} lines"
        for module, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > MOST_FUNCTION_LINES
    ] == []
