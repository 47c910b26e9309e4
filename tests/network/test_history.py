"""The history of a training as files, read back."""

from __future__ import annotations

import csv
import struct
import sys

import pytest

from nero_core.errors import ArtefactError, InputError
from nero_core.network.history import write_events, write_history

HISTORY = (
    {"epoch": 1.0, "loss": 0.75, "test_accuracy": 0.5},
    {"epoch": 2.0, "loss": 0.25, "test_accuracy": 1.0, "validation_loss": 0.125},
)


def test_csv_has_a_row_for_each_epoch(tmp_path):
    write_history(HISTORY, tmp_path / "history.csv")
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(text) for name, text in row.items() if text} for row in rows] == list(HISTORY)


def records(path):
    """The payloads of a file of TFRecords: length, its checksum, payload, its checksum."""
    data, place = path.read_bytes(), 0
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        yield data[place + 12 : place + 12 + length]
        place += 16 + length


def test_events_hold_every_figure_at_its_epoch(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    write_events(HISTORY, tmp_path)
    [path] = tmp_path.iterdir()
    events = [Event.FromString(record) for record in records(path)]
    found = {(value.tag, event.step): value.simple_value for event in events for value in event.summary.value}
    assert found == {
        (figure, int(row["epoch"])): value for row in HISTORY for figure, value in row.items() if figure != "epoch"
    }


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r"nero-dashboard\[tensorboard\]"):
        write_events(HISTORY, tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtefactError, match="cannot be written"):
        write_history(HISTORY, tmp_path / "missing" / "history.csv")
    with pytest.raises(ArtefactError, match="cannot be written"):
        write_events(HISTORY, tmp_path / "file" / "events")
