"""Firefox without a driver: what WebDriver BiDi says over a socket, as far as the tests need it.

W3C, "WebDriver BiDi" (Working Draft). Firefox speaks it itself where it is started with a port for remote debugging.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.server.serving import PATIENCE

FIREFOX = os.environ.get("FIREFOX", "firefox-esr")
LISTENS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
SETTINGS = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.region.network.url": "",
    "browser.search.update": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.disable_beforeunload": True,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "",
    "toolkit.telemetry.enabled": False,
}
"""It asks nothing of any other machine, and nothing before it leaves a page: an open question holds up what follows."""

KEYS = {"Enter": "\ue006", "Tab": "\ue004", "Shift": "\ue008", "Escape": "\ue00c", "Home": "\ue011", "End": "\ue010",
        "ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015"}  # fmt: skip
"""Keys without a character, by the code that WebDriver has for them (W3C, "WebDriver", 17.4.2)."""


class Refused(Exception):
    """The browser answered with an error."""


class Firefox:
    """One tab of a headless Firefox."""

    def __init__(self, socket):
        self._socket, self._numbers = socket, itertools.count(1)
        self.ask("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": False}})
        # Without a screen the first tab never has the focus, and Enter presses no button there; another one does.
        self.tab = self.ask("browsingContext.create", type="tab")["context"]
        self.ask("browsingContext.activate", context=self.tab)

    def ask(self, method, **params):
        """One command; events that come meanwhile are not for us."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") != number:
                continue
            if answer["type"] != "success":
                raise Refused(f"{method}: {answer['error']}: {answer['message']}")
            return answer["result"]

    def open(self, address):
        self.ask("browsingContext.navigate", context=self.tab, url=address, wait="complete")

    def size(self, width, height):
        self.ask("browsingContext.setViewport", context=self.tab, viewport={"width": width, "height": height})

    def run(self, expression):
        """What a JavaScript expression is worth, by way of JSON."""
        result = self.ask(
            "script.evaluate",
            expression=f"JSON.stringify({expression})",
            target={"context": self.tab},
            awaitPromise=True,
            userActivation=True,
        )
        if result["type"] != "success":
            raise Refused(f"{expression}: {result['exceptionDetails']['text']}")
        return json.loads(result["result"].get("value", "null"))

    def wait(self, expression):
        """Until an expression is true; returns what it is worth."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if value := self.run(expression):
                return value
            time.sleep(0.05)
        pytest.fail(f"it never came: {expression}")

    def press(self, *keys, held=()):
        """Press and let go keys one after another, while others are held."""
        codes, around = [KEYS.get(key, key) for key in keys], [KEYS[key] for key in held]
        actions = [{"type": "keyDown", "value": code} for code in around]
        for code in codes:
            actions += [{"type": "keyDown", "value": code}, {"type": "keyUp", "value": code}]
        actions += [{"type": "keyUp", "value": code} for code in around]
        self._perform({"type": "key", "id": "keyboard", "actions": actions})

    def move(self, x, y):
        self._pointer(x, y)

    def click(self, x, y):
        self._pointer(x, y, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0})

    def drag(self, start, end):
        move = {"type": "pointerMove", "x": round(end[0]), "y": round(end[1]), "duration": 50}
        self._pointer(*start, {"type": "pointerDown", "button": 0}, move, {"type": "pointerUp", "button": 0})

    def picture(self):
        """What is in the window, as a PNG."""
        return base64.b64decode(self.ask("browsingContext.captureScreenshot", context=self.tab)["data"])

    def _pointer(self, x, y, *then):
        actions = [{"type": "pointerMove", "x": round(x), "y": round(y)}, *then]
        self._perform({"type": "pointer", "id": "mouse", "actions": actions})

    def _perform(self, source):
        self.ask("input.performActions", context=self.tab, actions=[source])


@contextmanager
def firefox(folder):
    """A Firefox with a new profile in a folder; skips where there is none."""
    program = shutil.which(FIREFOX)
    if program is None:
        pytest.skip(f"no {FIREFOX}: install it, or set FIREFOX to where it is")
    profile = Path(folder) / "profile"
    profile.mkdir(parents=True)
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in SETTINGS.items()]
    (profile / "user.js").write_text("".join(lines))
    command = [program, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    own = os.environ | {"HOME": str(folder), "MOZ_DISABLE_CONTENT_SANDBOX": "1"}
    browser = subprocess.Popen([*command, "about:blank"], env=own, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        with connect(f"{_address(browser)}/session", max_size=None, proxy=None) as socket:
            yield Firefox(socket)
    finally:
        browser.terminate()
        browser.wait(20)
        browser.stderr.close()


def _address(browser):
    """Where it listens, as it says itself; what it says besides is read, too, so that it never waits for a reader."""
    found, told = threading.Event(), []

    def read():
        for line in browser.stderr:
            told.append(line.decode(errors="replace"))
            if LISTENS.search(told[-1]):
                found.set()
        found.set()

    threading.Thread(target=read, daemon=True).start()
    found.wait(PATIENCE)
    for line in told:
        if match := LISTENS.search(line):
            return match[1]
    pytest.fail(f"Firefox does not say where it listens: {''.join(told)[-2000:]}")
