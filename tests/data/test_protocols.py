"""Named protocols: their data, the split, what may be compared, and downloads from a small server on this machine."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nero_core.benchmark.published import published_beside
from nero_core.benchmark.result import BenchmarkResult, SetSummary
from nero_core.cli.main import main
from nero_core.data.protocols.arrange import (
    arrange,
    arranged_protocol,
    counts_by_part,
    divide_images,
    folders_protocol,
    read_official,
)
from nero_core.data.protocols.download import download
from nero_core.data.protocols.protocol import named_protocol, plain, protocol_names
from nero_core.errors import ArtefactError, InputError
from nero_core.storage.files import digest

# Data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "ids", "oods"), [("kvasir-v2", 3, 5), ("gastrovision", 11, 16)])
def test_protocols_are_as_published(name, ids, oods):
    protocol = named_protocol(name)
    assert (len(protocol.id), len(protocol.ood)) == (ids, oods)
    assert len({plain(each) for each in protocol.id + protocol.ood}) == ids + oods
    assert protocol.page.startswith("https://")
    assert protocol.terms
    for rows in protocol.published["architectures"].values():
        assert rows[-1]["detector"] == "nero"
        assert all(0 < row[figure] < 1 for row in rows for figure in ("auroc", "fpr_ood_at_95_id_tpr"))


def test_published_detectors_are_ours():
    from nero_core.detectors import DETECTORS

    for name in protocol_names()[:-1]:
        for rows in named_protocol(name).published["architectures"].values():
            assert {row["detector"] for row in rows} <= set(DETECTORS)


def test_the_published_figures_of_the_papers_own_method():
    figures = {
        (name, architecture): (rows[-1]["auroc"], rows[-1]["fpr_ood_at_95_id_tpr"])
        for name in protocol_names()[:-1]
        for architecture, rows in named_protocol(name).published["architectures"].items()
    }
    assert figures == {
        ("kvasir-v2", "resnet18"): (0.9076, 0.2884),
        ("gastrovision", "resnet18"): (0.7595, 0.7433),
        ("kvasir-v2", "deit_small_patch16_224"): (0.9273, 0.1896),
        ("gastrovision", "deit_small_patch16_224"): (0.8203, 0.7674),
    }


def test_a_typo_offers_names_and_a_file_may_replace_fields(tmp_path):
    with pytest.raises(InputError, match="did you mean kvasir-v2"):
        named_protocol("kvasir")
    source = tmp_path / "mine.json"
    source.write_text(json.dumps({"test_per_class": 7}), encoding="utf-8")
    assert named_protocol("kvasir-v2", source).test_per_class == 7
    source.write_text(json.dumps({"adress": "x"}), encoding="utf-8")
    with pytest.raises(ArtefactError, match=r"mine\.json, field `adress` is not known; wanted name, title"):
        named_protocol("kvasir-v2", source)
    source.write_text(json.dumps({"test_per_class": "7"}), encoding="utf-8")
    with pytest.raises(ArtefactError, match=r"mine\.json, field `test_per_class` is '7'; wanted a whole number"):
        named_protocol("kvasir-v2", source)
    source.write_text("[]", encoding="utf-8")
    with pytest.raises(ArtefactError, match=r"holds \[\]; wanted an object"):
        named_protocol("kvasir-v2", source)
    source.write_text("{", encoding="utf-8")
    with pytest.raises(ArtefactError, match="cannot be read as JSON"):
        named_protocol("kvasir-v2", source)


def result_of(protocol, architecture="resnet18", id_images=600, ood_images=1000, **changes):
    sets = [SetSummary("id", "id", id_images, 0, "")]
    sets += [SetSummary(name, "ood", ood_images, 0, "") for name in protocol.ood]
    return BenchmarkResult(
        "made up", architecture, protocol.id, tuple(sets), (), None, 0.05, True, None, {}, 0, 10, (), {}, {}, **changes
    )


def test_figures_are_comparable_on_the_same_images_and_network_only():
    protocol = named_protocol("kvasir-v2")
    same = published_beside("kvasir-v2", result_of(protocol))
    assert same["comparable"]
    assert len(same["rows"]) == 11
    for other, reason in (
        (result_of(protocol, "resnet50"), "not for resnet50"),
        (result_of(protocol, id_images=599), "599 ID images are scored where the paper has 600"),
        (result_of(protocol, ood_images=10), "50 OOD images"),
        (replace(result_of(protocol), classes=("a", "b")), "classes are not those of Kvasir v2"),
        (replace(result_of(protocol), sets=()), "OOD sets are not the 5 classes"),
    ):
        found = published_beside("kvasir-v2", other)
        assert not found["comparable"]
        assert reason in found["reason"]
    for name in (None, "folders"):
        found = published_beside(name, result_of(protocol))
        assert (found["comparable"], found["rows"]) == (False, [])
    with pytest.raises(InputError, match="No data set is named 'kvasir-v3'"):
        published_beside("kvasir-v3", result_of(protocol))


# Arranging -------------------------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path):
    """Kvasir's class folders with 6 files each, as its zip unpacks: one folder down, in another spelling."""
    for name in (protocol := named_protocol("kvasir-v2")).id + protocol.ood:
        folder = tmp_path / "data" / "kvasir-dataset-v2" / name.replace("-", " ").title()
        folder.mkdir(parents=True)
        for i in range(6):
            (folder / f"{i}.JPG").write_bytes(f"{name} {i}".encode())
    return tmp_path / "data"


@pytest.fixture
def small():
    return replace(named_protocol("kvasir-v2"), test_per_class=2)


def test_the_split_is_seeded_and_counts_are_as_wanted(data, small, tmp_path):
    images = divide_images(small, data, seed=3)
    assert counts_by_part(images) == {"train": 12, "test": 6, "ood": 30}
    assert set(Counter(image.class_name for image in images if image.part == "test").values()) == {2}
    assert images == divide_images(small, data, seed=3)
    assert images != divide_images(small, data, seed=4)
    path = arrange(small, images, tmp_path / "out", seed=3)
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["ood", "split.json", "test", "train"]
    assert len(list((tmp_path / "out" / "train" / "normal-cecum").iterdir())) == 4
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["seed"] == 3
    for row in content["images"]:
        assert digest(tmp_path / "out" / row["file"]) == row["sha256"]
    assert arranged_protocol(tmp_path / "out") == "kvasir-v2"
    assert arranged_protocol(data) is None
    with pytest.raises(InputError, match="not empty"):
        arrange(small, images, tmp_path / "out")
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ArtefactError, match="damaged"):
        arranged_protocol(tmp_path / "out")


def test_the_split_depends_on_bytes_not_on_names_and_keeps_copies_together(data, small):
    folder = data / "kvasir-dataset-v2" / "Normal Cecum"

    def parts():
        return [{image.digest: image.part for image in divide_images(small, data, seed)} for seed in range(4)]

    before = parts()
    for path in sorted(folder.iterdir()):
        turned = folder / f"z{9 - int(path.stem)}.jpg"  # the last becomes the first
        path.rename(turned)
        (folder / f"zcopy {turned.name}").write_bytes(turned.read_bytes())
    assert len([image for image in divide_images(small, data) if image.class_name == "normal-cecum"]) == 12
    assert parts() == before


def test_missing_classes_are_named(data, small):
    for path in (data / "kvasir-dataset-v2" / "Polyps").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no images"):
        divide_images(small, data)
    (data / "kvasir-dataset-v2" / "Polyps").rmdir()
    with pytest.raises(
        InputError, match=r"lacks 1 of 8 class folders of Kvasir v2: polyps\. Get the data set from https"
    ):
        divide_images(small, data)
    with pytest.raises(InputError, match="does not exist"):
        divide_images(small, data / "nowhere")
    with pytest.raises(InputError, match="lacks 8 of 8"):
        divide_images(small, data / "kvasir-dataset-v2" / "Esophagitis")


def test_too_few_images_to_test_are_refused(data):
    with pytest.raises(InputError, match="has 6 different images; more than 200 are needed"):
        divide_images(named_protocol("kvasir-v2"), data)


def test_official_splits_in_both_forms(data, small, tmp_path):
    one = tmp_path / "5_fold.csv"
    rows = [f"{i};{name};{int(i > 3)}" for name in small.id for i in range(5)]
    one.write_text("file-name;class-name;split-index\n" + "\n".join(rows), encoding="utf-8")
    images = divide_images(small, data, official=[one])
    assert counts_by_part(images) == {"train": 12, "test": 3, "ood": 30}, "the sixth image is not named"
    paths = []
    for stem, numbers in (("Train", (0, 1)), ("validate", (2,)), ("test", (3, 4, 5))):
        paths.append(tmp_path / f"{stem}.csv")
        rows = [f"{i}.jpg,{name}" for name in small.id for i in numbers]
        paths[-1].write_text("Filename,Class\n" + "\n".join(rows), encoding="utf-8-sig")
    assert counts_by_part(divide_images(small, data, official=paths)) == {"train": 9, "test": 9, "ood": 30}
    one.write_text("file-name;class-name;split-index\n0;another;0", encoding="utf-8")
    with pytest.raises(InputError, match="names none of the 6 images of 'normal-cecum'"):
        divide_images(small, data, official=[one])
    one.write_text("Filename,Class\n", encoding="utf-8")
    with pytest.raises(ArtefactError, match="has the columns Filename, Class; wanted"):
        read_official([one])
    with pytest.raises(ArtefactError, match="cannot be read"):
        read_official([tmp_path / "none.csv"])


def test_any_class_folders(data):
    root = data / "kvasir-dataset-v2"
    protocol = folders_protocol(root, ["Polyps", "Esophagitis"])
    assert protocol.name == "folders"
    assert counts_by_part(divide_images(protocol, root)) == {"train": 10, "test": 2, "ood": 36}
    with pytest.raises(InputError, match="has no class polyp; it has Dyed Lifted Polyps"):
        folders_protocol(root, ["polyp"])
    with pytest.raises(InputError, match="not none"):
        folders_protocol(root, [])
    with pytest.raises(InputError, match="not all"):
        folders_protocol(root, [path.name for path in root.iterdir()])


# Downloads -------------------------------------------------------------------------------------------------------


class Shelf(BaseHTTPRequestHandler):
    """One file, whole or from a byte on; it may break off, change, or refuse ranges."""

    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        if self.path != "/data.zip":
            self.send_error(404)
            return
        start = 0
        if (asked := self.headers.get("Range")) and server.ranges and self.headers.get("If-Range") == server.tag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if server.tag:
            self.send_header("ETag", server.tag)
        self.end_headers()
        self.wfile.write(body if server.breaks_after is None else body[: server.breaks_after])

    def log_message(self, *arguments): ...


def zipped(entries):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture
def shelf(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    server.daemon_threads = False  # `server_close` waits for them, so that no socket outlives the test
    server.content = zipped({"top/a/0.jpg": b"0" * 4000, "top/b/1.jpg": bytes(range(256)) * 20})
    server.tag, server.ranges, server.breaks_after, server.asked = '"one"', True, None, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def protocol_at(shelf, sha256=None, path="/data.zip"):
    address = f"http://127.0.0.1:{shelf.server_address[1]}{path}"
    return replace(named_protocol("kvasir-v2"), download={"address": address, "sha256": sha256})


def test_the_first_download_records_its_checksum(shelf, tmp_path):
    folder, sha256, known = download(protocol_at(shelf), tmp_path / "new" / "data")
    assert (folder / "top" / "a" / "0.jpg").read_bytes() == b"0" * 4000
    assert sha256 == digest(shelf.content)
    assert not known
    assert json.loads((tmp_path / "new" / "data" / "download.json").read_text(encoding="utf-8"))["sha256"] == sha256
    assert sorted(path.name for path in (tmp_path / "new" / "data").iterdir()) == [
        "download.json",
        "kvasir-v2",
        "kvasir-v2.zip",
    ]
    assert download(protocol_at(shelf), tmp_path / "new" / "data")[2]
    assert len(shelf.asked) == 1, "it is there already"
    (tmp_path / "new" / "data" / "kvasir-v2.zip").unlink()
    shelf.content = zipped({"other.jpg": b"1"})
    with pytest.raises(InputError, match="does not give the file that is expected"):
        download(protocol_at(shelf), tmp_path / "new" / "data")


def test_the_command_says_what_came_and_what_to_do_next(shelf, tmp_path, capsys):
    source = tmp_path / "mine.json"
    address = f"http://127.0.0.1:{shelf.server_address[1]}/data.zip"
    source.write_text(json.dumps({"download": {"address": address, "sha256": None}}), encoding="utf-8")
    line = ["download", "kvasir-v2", "--to", str(tmp_path / "to"), "--source", str(source)]
    assert main(line) == 0
    said = capsys.readouterr()
    assert "Terms: " in said.err
    assert digest(shelf.content) in said.out
    assert "No checksum was known; this one is recorded" in said.out
    assert f"Next: python -m nero_core arrange kvasir-v2 {tmp_path / 'to' / 'kvasir-v2'}" in said.out
    assert main([*line, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["sha256"] == digest(shelf.content)
    assert answer["checksum_known"]


def test_a_known_checksum_is_held_against_what_comes(shelf, tmp_path):
    assert download(protocol_at(shelf, digest(shelf.content)), tmp_path)[2]
    with pytest.raises(InputError, match="its SHA-256 is not 0000"):
        download(protocol_at(shelf, "0" * 64), tmp_path / "other")


def test_a_download_that_broke_off_goes_on(shelf, tmp_path):
    shelf.breaks_after = 3000
    with pytest.raises(InputError, match=r"broke off .*3,000 bytes are kept.*run the same command again"):
        download(protocol_at(shelf), tmp_path)
    shelf.breaks_after = None
    seen = []
    folder, sha256, _ = download(protocol_at(shelf), tmp_path, lambda what: lambda *p: seen.append((what, *p)))
    assert shelf.asked == [None, "bytes=3000-"]
    assert sha256 == digest(shelf.content)
    assert (folder / "top" / "b" / "1.jpg").is_file()
    assert ("Downloading Kvasir v2", len(shelf.content), len(shelf.content)) in seen
    assert ("Unpacking Kvasir v2", 2, 2) in seen
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("change", ["content", "no ranges", "no tag"])
def test_what_cannot_be_resumed_starts_again(shelf, tmp_path, change):
    shelf.breaks_after = 3000
    if change == "no tag":
        shelf.tag = None
    with pytest.raises(InputError, match="broke off"):
        download(protocol_at(shelf), tmp_path)
    shelf.breaks_after = None
    if change == "content":
        shelf.content, shelf.tag = zipped({"x.jpg": b"2" * 9000}), '"two"'
    if change == "no ranges":
        shelf.ranges = False
    assert download(protocol_at(shelf), tmp_path)[1] == digest(shelf.content)


def test_no_network_says_what_to_do(shelf, tmp_path):
    with pytest.raises(InputError, match=r"127\.0\.0\.1 cannot be reached.*404.*Open https.*by hand"):
        download(protocol_at(shelf, path="/gone.zip"), tmp_path)
    closed = replace(named_protocol("kvasir-v2"), download={"address": "http://127.0.0.1:9/data.zip"})
    with pytest.raises(InputError, match="cannot be reached"):
        download(closed, tmp_path)
    with pytest.raises(InputError, match="has no address"):
        download(named_protocol("gastrovision"), tmp_path)
    with pytest.raises(InputError, match="not one of the web"):
        download(replace(closed, download={"address": "file:///etc/passwd"}), tmp_path)


@pytest.mark.parametrize("name", ["../out.jpg", "/out.jpg", "a/../../out.jpg", "C:/out.jpg"])
def test_a_zip_that_leads_out_of_its_folder_is_refused(shelf, tmp_path, name):
    shelf.content = zipped({"good.jpg": b"1", name: b"2"})
    with pytest.raises(InputError, match="could lead out of the folder"):
        download(protocol_at(shelf), tmp_path / "to")
    assert [path.name for path in tmp_path.rglob("*.jpg")] == []


def test_what_is_no_zip_is_refused(shelf, tmp_path):
    shelf.content = b"<html>Please log in</html>"
    with pytest.raises(InputError, match="not a zip"):
        download(protocol_at(shelf), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtefactError, match="cannot be made"):
        download(protocol_at(shelf), tmp_path / "file")


def test_a_damaged_record_is_named(shelf, tmp_path):
    (tmp_path / "download.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ArtefactError, match="delete it"):
        download(protocol_at(shelf), tmp_path)
