"""What is imported is declared, and what is not goes; the lock pins one complete set of it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nero_core.cli.app import EXTRA
from nero_core.network.packaged import PACKAGED

ROOT = Path(__file__).parents[1]
OURS = {"nero_core", "pages", "app", "tests", "benchmarks"}
DISTRIBUTIONS = packages_distributions()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def listed(name):
    """The requirements of a file, with those of the files that it names."""
    found = []
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("-r "):
            found += listed(line.removeprefix("-r "))
        elif line:
            found.append(Requirement(line))
    return found


def names(requirements):
    return {canonicalize_name(each.name) for each in requirements}


CORE = [Requirement(text) for text in PROJECT["dependencies"]]
APP = [Requirement(text) for text in PROJECT["optional-dependencies"]["app"]]
TENSORBOARD = [Requirement(text) for text in PROJECT["optional-dependencies"]["tensorboard"]]
REPORTS = [Requirement(text) for text in PROJECT["optional-dependencies"]["reports"]]
PRETRAINED = [Requirement(text) for text in PROJECT["optional-dependencies"]["pretrained"]]


def imported(*places):
    """Distributions that the files of some folders import, those within functions and for types, too."""
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*.py"))]
    assert files
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).split(".")[0])
    outside = found - OURS - sys.stdlib_module_names
    assert outside <= set(DISTRIBUTIONS), f"not installed: {outside - set(DISTRIBUTIONS)}"
    return {canonicalize_name(DISTRIBUTIONS[module][0]) for module in outside}


def test_what_the_core_imports_is_what_it_declares():
    assert imported(ROOT / "nero_core") == names(CORE + TENSORBOARD + REPORTS)


def test_what_the_pages_import_besides_is_what_the_extra_declares():
    assert imported(ROOT / "pages", ROOT / "app.py") - names(CORE) == names(APP)


def test_what_tests_and_benchmarks_import_is_listed():
    assert imported(ROOT / "tests", ROOT / "benchmarks") <= names(listed("requirements-dev.txt"))


def test_the_list_of_the_app_is_that_of_the_package():
    assert sorted(map(str, listed("requirements.txt"))) == sorted(map(str, CORE + APP + REPORTS + PRETRAINED))


def test_every_packaged_network_is_in_the_extra():
    assert names(PRETRAINED) == {canonicalize_name(each.distribution) for each in PACKAGED.values()}


def test_the_command_asks_for_what_the_extra_adds():
    assert set(EXTRA) == names(APP)


def test_the_core_loads_without_the_app():
    code = (
        "import importlib, pathlib, sys\n"
        f"for name in {(*EXTRA, 'tensorboardX', 'weasyprint')}: sys.modules[name] = None\n"
        "for file in sorted(pathlib.Path('nero_core').rglob('*.py')):\n"
        "    if file.stem != '__main__': importlib.import_module('.'.join(file.with_suffix('').parts))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# The lock ---------------------------------------------------------------------------------------------------------


def locked():
    """The pins for this machine, by name."""
    pins = [each for each in listed("requirements.lock") if each.marker is None or each.marker.evaluate()]
    assert len(names(pins)) == len(pins), "one version each"
    return {canonicalize_name(each.name): each for each in pins}


def test_the_lock_pins_everything_that_is_needed_within_bounds():
    pins, wanted, seen = locked(), listed("requirements-dev.txt"), set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} is not pinned: run `make lock`"
        [version] = [each.version for each in pins[name].specifier]
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}, but {version} is pinned"
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                further = [Requirement(text) for text in requires(name) or ()]
            except PackageNotFoundError:
                pytest.fail(f"{name} is not installed here")
            wanted += [each for each in further if each.marker is None or each.marker.evaluate({"extra": extra})]


def test_the_lock_pins_versions_and_names_no_place():
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"#.*|[a-z0-9_.-]+==[^\s=]+( ; .+)?", line), line
        assert "://" not in line
    assert all([each.operator for each in pin.specifier] == ["=="] for pin in locked().values())


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_has_one_pin_of_what_is_declared_for_each_platform(platform, python):
    system = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[platform]
    there = {
        "sys_platform": platform,
        "platform_system": system,
        "python_version": python,
        "python_full_version": f"{python}.9",
    }
    pins = [each for each in listed("requirements.lock") if each.marker is None or each.marker.evaluate(there)]
    declared = names(CORE + APP + REPORTS + PRETRAINED)
    counts = {name: sum(canonicalize_name(each.name) == name for each in pins) for name in declared}
    assert counts == dict.fromkeys(counts, 1)
