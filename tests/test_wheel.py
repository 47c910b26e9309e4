"""The wheel: what travels in it, and the dashboard that is started from it, far from the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nero_core import __version__
from nero_core.cli.main import main
from nero_core.storage import dashboard
from tests.server.serving import Session, ask, serve

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
OFFLINE = ["--no-deps", "--no-index"]
BUNDLED = (
    "logo.svg",
    "mark.svg",
    "style.css",
    "benchmarks/demo",
    "examples",
    "lesson",
    "references/capsule",
    "references/demo",
)
"""What of assets/ travels; one's own references, which lie beside the bundled one, hold pictures of patients."""


def tracked(*folders):
    """Files of the checkout as git knows them."""
    done = subprocess.run(["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split("\0") if name}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built without a network where a reference of one's own lies in assets/."""
    checkout, folder = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for name in tracked(
        "nero_core", "app.py", "pages", ".streamlit", "assets", "pyproject.toml", "README.md", "LICENSE"
    ):
        if (ROOT / name).exists():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, checkout / name)
    (checkout / "assets" / "references" / "mine").mkdir()
    (checkout / "assets" / "references" / "mine" / "manifest.json").write_text("{}")
    subprocess.run([*PIP, "wheel", "--no-build-isolation", *OFFLINE, "-w", folder, checkout], check=True)
    [path] = folder.glob("*.whl")
    return path


def test_it_holds_the_core_the_dashboard_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if ".dist-info/" not in name}
    core = tracked("nero_core")
    beside = tracked("app.py", "pages", ".streamlit", *(f"assets/{name}" for name in BUNDLED))
    assert tracked("assets") <= beside, "what is committed is bundled"
    there = {name for name in core | beside if (ROOT / name).exists()}
    assert {"nero_core/py.typed", "nero_core/data/protocols/kvasir-v2.json", ".streamlit/config.toml"} <= there
    assert held == {name if name.startswith("nero_core/") else f"{dashboard.INSTALLED}/{name}" for name in there}


def test_its_description_asks_for_the_app_only_where_it_is_wanted(wheel):
    with zipfile.ZipFile(wheel) as opened:
        [name] = [name for name in opened.namelist() if name.endswith(".dist-info/METADATA")]
        text = opened.read(name).decode()
    [streamlit] = [line for line in text.splitlines() if line.startswith("Requires-Dist: streamlit")]
    assert streamlit.endswith("extra == 'app'")
    assert "Provides-Extra: app" in text
    assert f"Version: {__version__}" in text


def test_the_dashboard_lies_beside_the_core_or_in_its_own_folder(monkeypatch, tmp_path):
    assert dashboard.dashboard_folder() == ROOT
    monkeypatch.setattr(dashboard, "PACKAGES", tmp_path)
    assert dashboard.dashboard_folder() == tmp_path
    (tmp_path / dashboard.INSTALLED).mkdir()
    assert dashboard.dashboard_folder() == tmp_path / dashboard.INSTALLED


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("nero_core.cli.app.find_spec", lambda name: None if name == "streamlit" else name)
    assert main(["app"]) == 2
    told = capsys.readouterr().err
    assert "needs streamlit" in told
    assert "nero-dashboard[app]" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("asked", "handed"),
    [
        ([], []),
        (["--port", "8600"], ["--server.port", "8600"]),
        (["--address", "::1", "--", "--server.headless", "true"],
         ["--server.address", "::1", "--server.headless", "true"]),
    ],
)  # fmt: skip
def test_options_are_handed_to_the_start_of_the_server(monkeypatch, asked, handed):
    ran = []
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["nero"])
    monkeypatch.setattr("nero_core.cli.app.runpy.run_module", lambda *a, **k: ran.append((*a, sys.argv[1:])))
    assert main(["app", *asked]) == 0
    assert ran == [("pages.shared.start", handed)]
    assert sys.path[0] == str(ROOT)


def test_installed_it_starts_anywhere_as_guarded_as_in_a_checkout(wheel, tmp_path):
    site, elsewhere, log = tmp_path / "site", tmp_path / "empty", tmp_path / "log"
    subprocess.run([*PIP, "install", *OFFLINE, "--target", site, wheel], check=True)
    assert not {"pages", "assets", "app.py"} & {path.name for path in site.iterdir()}
    (elsewhere / ".streamlit").mkdir(parents=True)
    (elsewhere / ".streamlit" / "config.toml").write_text(
        "server.allowedHosts = []\nserver.enableXsrfProtection = false"
    )
    nero = [sys.executable, site / "bin" / "nero"]
    there = {"PYTHONPATH": str(site), "PATH": "", "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    said = subprocess.run([*nero, "--version"], cwd=elsewhere, env=there, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == f"NERO Dashboard {__version__}"
    with serve(log, command=[*nero, "app", "--"], cwd=elsewhere, **there) as address:
        assert ask(address)[0] == 200
        assert ask(address, Host="elsewhere.example")[0] == 403, "the bundled settings win over those of the folder"
        assert "?token=" in log.read_text()
        with Session(address) as session:
            assert session.token, "uploads ask for the token of this session"
            shown = "".join(str(message) for _, message in session.run())
            assert "exception" not in session.kinds()
            assert "Rendered endoscopy (synthetic demo)" in shown
            assert "Like what the network learned from" in shown
