"""A server of the app in a process of its own, and what a browser says to it: requests, uploads, a session."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds until a test gives up; nothing is asserted about time
STREAM, UPLOAD = "/_stcore/stream", "/_stcore/upload_file"
SETTINGS = ("NERO_ALLOW_BUILD", "NERO_TOKEN", "NERO_REFERENCES")


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serve(log, references=None, command=None, port=None, cwd=ROOT, **environment):
    """Address of a new server with the references of a folder, and what is set in its environment."""
    port = port or free_port()
    command = command or [sys.executable, "-m", "streamlit", "run", "app.py"]
    own = {name: value for name, value in os.environ.items() if name not in SETTINGS} | environment
    if references is not None:
        own["NERO_REFERENCES"] = str(references)
    with log.open("w") as sink:
        server = subprocess.Popen(
            [*command, "--server.port", str(port), "--server.headless", "true"],
            cwd=cwd,
            env=own,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def watched_by(log, bait="no bait", program=("streamlit", "run", "app.py")):
    """The command that runs a program and notes what it calls and which files it touches: see `watch`."""
    return [sys.executable, "-m", "tests.server.watch", str(log), bait, *program]


def wait_for(address, server, log):
    """Until the server answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if server.poll() is not None:
            pytest.fail(f"the server stopped: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail("the server never answered")


def ask(address, path="/", method="GET", body=None, **headers):
    """One request as it is, nothing followed: (status, headers, body)."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def handshake(address, **headers):
    """The status that a WebSocket is answered with: 101 where it is opened."""
    asked = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "streamlit",
    }
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE)
    try:
        connection.request("GET", STREAM, headers=asked | headers)
        return connection.getresponse().status
    finally:
        connection.close()


def state(identity, value):
    """What a browser says a widget's value is; True for a button that is pressed."""
    message = WidgetState(id=identity)
    if value is True:
        message.trigger_value = True
    elif isinstance(value, list):
        message.string_array_value.data.extend(value)
    else:
        message.string_value = value
    return message


class Session:
    """One browser session: it runs pages, and knows what they show."""

    def __init__(self, address, cookie="", origin=None):
        self.address, self.elements, self.identity = address, [], ""
        status, headers, _ = ask(address, "/_stcore/health")
        assert status == 200
        given = [text.partition(";")[0] for text in headers.get_all("Set-Cookie") or []]
        self.token = next((text.partition("=")[2] for text in given if text.startswith("_streamlit_xsrf")), "")
        self.cookie = "; ".join(filter(None, [*given, cookie]))
        self._open = ExitStack()
        self._socket = self._open.enter_context(
            connect(
                address.replace("http", "ws", 1) + STREAM,
                origin=origin or address,
                subprotocols=["streamlit"],
                additional_headers={"Cookie": self.cookie},
                max_size=None,
                proxy=None,
            )
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._open.close()

    def run(self, page="", query="", widgets=None):
        """Run a page as its address asks for it; returns its elements as (kind, message) pairs."""
        message = BackMsg()
        message.rerun_script.page_name, message.rerun_script.query_string = page, query
        for state in widgets or ():
            message.rerun_script.widget_states.widgets.append(state)
        self._socket.send(message.SerializeToString())
        found = []
        while True:
            answer = ForwardMsg.FromString(self._socket.recv(timeout=PATIENCE))
            kind = answer.WhichOneof("type")
            if kind == "new_session":
                self.identity = answer.new_session.initialize.session_id
            elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
                element = answer.delta.new_element
                found.append((element.WhichOneof("type"), getattr(element, element.WhichOneof("type"))))
            elif kind == "script_finished":
                if answer.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    found = []  # one that was cut short by this; the page says nothing before the next is through
                    continue
                self.elements = found
                return found

    def kinds(self):
        """The kinds of elements that the last run showed."""
        return {kind for kind, _ in self.elements}

    def said(self, kind="alert"):
        """What the elements of one kind say."""
        return [message.body for each, message in self.elements if each == kind]

    def upload(self, size, file=None, token=None, name="a.png"):
        """Upload that many zeros; returns the status and the file's identity."""
        file, edge = file or str(uuid.uuid4()), uuid.uuid4().hex
        head = f'--{edge}\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\n'.encode()
        body = head + bytes(size) + f"\r\n--{edge}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={edge}", "Cookie": self.cookie}
        headers["X-Xsrftoken"] = self.token if token is None else token
        try:
            status, _, _ = ask(self.address, f"{UPLOAD}/{self.identity}/{file}", "PUT", body, **headers)
        except (BrokenPipeError, ConnectionError):  # turned down before it was all sent
            status = 413
        return status, file
