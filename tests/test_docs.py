"""The documents say nothing that the code does not do."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from nero_core.cli.main import _parser

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/RESULTS.md"]
DOCUMENTS += ["docs/index.md", "docs/python.md", "docs/teaching.md"]


def fenced(language, documents=DOCUMENTS):
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in documents)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands():
    lines = [line for block in fenced("sh") for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if re.search(r"(-m nero_core|^nero) ", line)]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_line_is_understood(words):
    start = words.index("nero_core") if "nero_core" in words else words.index("nero")
    assert _parser().parse_args(words[start + 1 :]).run


def test_there_are_commands_to_check():
    assert len(commands()) >= 4


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_linked_file_exists(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", text):
        assert ((ROOT / name).parent / target).exists(), target


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in DOCUMENTS:
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE):
            assert target in targets, f"{name}: make {target}"


@pytest.mark.parametrize("block", fenced("python", ["README.md"]))
def test_python_examples_run(block, tiny_reference, class_folders):
    frame = str(next(class_folders.glob("*/*.png")))
    exec(
        compile(block.replace("references/mine", str(tiny_reference)).replace("frame.jpg", frame), "README", "exec"), {}
    )


def test_the_page_of_calls_runs_from_top_to_bottom(class_folders, strange_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(class_folders, "images")
    shutil.copytree(strange_folder, "other-images")
    shutil.copyfile(next(class_folders.glob("*/*.png")), "frame.jpg")
    blocks, names = fenced("python", ["docs/python.md"]), {}
    assert len(blocks) == 6
    for block in blocks:
        exec(compile(block.replace("epochs=12", "epochs=1"), "docs/python.md", "exec"), names)
    assert names["scores"].shape == (1,)
    assert names["maps"].shape[0] == 5
    assert {row.name for row in names["result"].ranked()} == {"nero", "vim", "energy"}
    assert (tmp_path / "case").is_dir()


def test_every_option_named_in_the_readme_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    known = set()
    for action in _parser()._subparsers._group_actions[0].choices.values():
        known |= {option for own in action._actions for option in own.option_strings}
    for option in set(re.findall(r"`(--[a-z-]+)", text)):
        assert option in known, option


def test_every_variable_that_is_read_is_in_the_readme():
    code = [ROOT / "app.py", *(ROOT / "nero_core").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    read = set(re.findall(r"\bNERO_[A-Z_]+", "\n".join(path.read_text(encoding="utf-8") for path in code)))
    assert {"NERO_REFERENCES", "NERO_CACHE"} <= read
    listed = re.findall(r"^\| `(NERO_[A-Z_]+)` \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) == read


def test_no_path_of_a_machine_and_no_registry_is_named():
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"/(home|root|Users|work|tmp)/|pypi\.org|download\.pytorch\.org", text), name


def test_the_readme_lists_the_registry():
    from nero_core.detectors import describe_detectors

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert describe_detectors() in readme, (
        "put what `python -m nero_core detectors --markdown` prints in the place of the README's table of detectors"
    )


def test_the_readme_names_those_that_see_the_images_again():
    from nero_core.detectors import DETECTORS

    slow = {name for name, detector in DETECTORS.items() if "source" in detector.info.needs}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [named] = re.findall(r"over the images together; (.+?) see the images once more", readme)
    assert set(re.findall(r"`(\w+)`", named)) == slow
