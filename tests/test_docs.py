"""The documents say nothing that the code does not do."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from nero_core.cli.main import _parser

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/RESULTS.md"]


def fenced(language):
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS)
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
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in DOCUMENTS:
        for target in re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE):
            assert target in targets, f"{name}: make {target}"


@pytest.mark.parametrize("block", fenced("python"))
def test_python_examples_run(block, tiny_reference, class_folders):
    frame = str(next(class_folders.glob("*/*.png")))
    exec(
        compile(block.replace("references/mine", str(tiny_reference)).replace("frame.jpg", frame), "README", "exec"), {}
    )


def test_every_option_named_in_the_readme_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    known = set()
    for action in _parser()._subparsers._group_actions[0].choices.values():
        known |= {option for own in action._actions for option in own.option_strings}
    for option in set(re.findall(r"`(--[a-z-]+)", text)):
        assert option in known, option


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
