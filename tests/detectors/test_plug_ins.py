"""Detectors of other packages: named by an entry point, registered like ours, and never in the way of the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from nero_core.detectors import DETECTORS, Detector, DetectorInfo, Paper, register
from nero_core.errors import InputError

BRIGHTNESS = '''
from nero_core.detectors import Detector, DetectorInfo, Paper, register


@register
class Brightness(Detector):
    """S = minus the mean feature, times a factor."""

    info = DetectorInfo(
        "brightness", "Brightness", Paper("On Light", ("Ada Lovelace",), "arXiv", 2025), fits=False
    )

    def __init__(self, factor: float = 2.0) -> None:
        self.factor = factor

    def _fit(self, train, head, calibration):
        """Nothing is learnt."""

    def _score(self, batch):
        return -self.factor * batch.features.mean(axis=1)
'''
NAMED_AS_OURS = BRIGHTNESS.replace('"brightness"', '"nero"')


@pytest.fixture
def installed(tmp_path):
    """Installs packages of one module each, and runs Python with them."""

    def install(**modules):
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
            about = tmp_path / f"{name}-1.0.dist-info"
            about.mkdir()
            (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            (about / "entry_points.txt").write_text(f"[nero.detectors]\n{name} = {name}\n")

        def run(*arguments):
            path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
            command = [sys.executable, *arguments]
            done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done

        return run

    return install


def test_a_detector_of_another_package_is_one_like_ours(installed):
    run = installed(brightness=BRIGHTNESS)
    listed = {each["name"]: each for each in json.loads(run("-m", "nero_core", "detectors", "--json").stdout)}
    assert set(listed) == {*DETECTORS, "brightness"}
    assert listed["brightness"]["paper"]["authors"] == ["Ada Lovelace"]
    code = (
        "from nero_core.detectors import make_detector\n"
        "from tests.activations import make_activations\n"
        "train, head = make_activations()\n"
        "print(make_detector('brightness', factor=3.0).fit(train, head).score(train)[:2].tolist())\n"
    )
    from tests.activations import make_activations

    wanted = -3.0 * make_activations()[0].features.mean(axis=1)[:2]
    np.testing.assert_allclose(json.loads(run("-c", code).stdout), wanted, rtol=1e-6)


def test_a_broken_one_is_named_and_the_others_are_there(installed):
    run = installed(brightness=BRIGHTNESS, broken="import a_module_that_nobody_has", ours=NAMED_AS_OURS)
    done = run("-m", "nero_core", "detectors", "--json")
    assert {each["name"] for each in json.loads(done.stdout)} == {*DETECTORS, "brightness"}
    assert "'broken', which broken adds to nero.detectors, was left out" in done.stderr
    assert "a_module_that_nobody_has" in done.stderr
    assert "'ours', which ours adds to nero.detectors, was left out" in done.stderr
    assert "ours.Brightness is named 'nero', as is nero_core.detectors.nero.Nero" in done.stderr


def test_a_taken_name_is_refused():
    class Nero(Detector):
        info = DetectorInfo("nero", "Not NERO", Paper("Another", (), "", 2025))

    ours = DETECTORS["nero"]
    with pytest.raises(InputError, match=r"give it another `info\.name`"):
        register(Nero)
    assert DETECTORS["nero"] is ours
