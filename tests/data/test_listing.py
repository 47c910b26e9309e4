"""Images with their classes and groups: from class folders, from a CSV manifest, and from odd ones of either."""

from __future__ import annotations

import shutil

import pytest

from nero_core.data import listing
from nero_core.data.listing import read_files, read_images, read_in_distribution
from nero_core.errors import InputError
from tests.conftest import coloured_noise


@pytest.fixture
def root(tmp_path):
    """Pictures a to d, one in a folder whose name wants quoting, and a link that leads out."""
    folder = tmp_path / "data"
    (folder / "second visit").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "c.png", "second visit/d, again.png")):
        coloured_noise((90, 120, 60), number).save(folder / name)
    coloured_noise((90, 120, 60), 9).save(tmp_path / "outside.png")
    return folder


def manifest(root, text, encoding="utf-8"):
    file = root / "images.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return file


# A CSV manifest -------------------------------------------------------------------------------------------------------


def test_a_manifest_by_hand(root):
    file = manifest(
        root,
        "\ufeffgroup,path,remark,label,split\r\n"
        'p1,a.png,,moss,train\r\n\r\np1,b.png,"of 2, the first",amber,\r\n,"second visit/d, again.png",,moss,test\r\n',
    )
    images = read_images(file)
    assert images.classes == ("amber", "moss")
    assert [path.relative_to(root).as_posix() for path in images.paths] == [
        "a.png",
        "b.png",
        "second visit/d, again.png",
    ]
    assert images.labels.tolist() == [1, 0, 1]
    assert images.groups == ("p1", "p1", "second visit/d, again.png"), "a line without a group is of its own"
    assert images.parts == ("train", "", "test")
    assert images.digests == read_images(file, ["moss", "amber"]).digests
    assert read_images(file, ["moss", "amber"]).labels.tolist() == [0, 1, 0]
    assert read_images(file, ["amber", "moss", "slate"]).counts() == {"amber": 1, "moss": 2, "slate": 0}
    assert images.select([0, 2]).parts == ("train", "test")


def test_a_column_is_a_group_where_it_is_named(root):
    file = manifest(root, "path,label,patient\na.png,x,7\nb.png,y,7\nc.png,y,8\n")
    assert read_images(file).groups is None
    assert read_images(file, group="patient").groups == ("7", "7", "8")
    with pytest.raises(InputError, match=r"has the columns path, label, patient; wanted 'clip' among them"):
        read_images(file, group="clip")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no image"),
        ("path,label\n", "names no image"),
        ("a.png,x\nb.png,y\n", r"has the columns a\.png, x; wanted 'path' among them"),
        ("path,class\na.png,x\nb.png,y\n", "wanted 'label' among them"),
        ("path;label\na.png;x\nb.png;y\n", "wanted 'path' among them"),
        ("path,label,path\na.png,x,b.png\nb.png,y,a.png\n", "has the column 'path' twice"),
        ("path,label\na.png,x\nb.png,x\n", "has one class, 'x'; wanted at least two"),
        ("path,label\na.png,x\nb.png\n", "line 3: wanted 2 columns"),
        ("path,label\na.png,x,more\nb.png,y\n", "line 2: wanted 2 columns"),
        ("path,label\na.png,x\nb.png,\n", "line 3: the column 'label' is empty"),
        (
            "path,label,split\na.png,x,Train\nb.png,y,\n",
            "column 'split': seen 'Train', wanted train, calibration, test",
        ),
        ("path,label,split\na.png,x,validation\nb.png,y,\n", "seen 'validation'"),
        ("path,label\na.png,x\na.png,y\n", "1 images lie in two classes"),
        ("path,label\n\n\na.png,x\n\nmissing.png,y\n", r"line 6: 'missing\.png' is no file below the folder"),
        ("path,label\n../outside.png,x\nb.png,y\n", r"line 2: '\.\./outside\.png' is no file below"),
        ("path,label\nsecond visit/../../outside.png,x\nb.png,y\n", "line 2"),
        ("path,label\n/etc/passwd,x\nb.png,y\n", "line 2: '/etc/passwd' is no file below"),
        ("path,label\nlink.png,x\nb.png,y\n", r"line 2: 'link\.png' is no file below"),
        ("path,label\nsecond visit,x\nb.png,y\n", "line 2: 'second visit' is no file"),
        ("path,label\n,x\nb.png,y\n", "line 2: '' is no file"),
        ("path,label\n" + "n" * 300 + ".png,x\nb.png,y\n", "line 2: 'nnn"),
        ("path,label\na\0.png,x\nb.png,y\n", "line 2|cannot be read as CSV"),
        ('path,label\n"a.png,x\nb.png,y\n', "cannot be read as CSV"),
        ("path,label\n" + "n" * 200_000 + ",x\nb.png,y\n", "cannot be read as CSV"),
        (b"path,label\n\xff\xfe.png,x\n", "save it as UTF-8 text with commas"),
        ("path,label\na.png,x\nb.png,y\n".encode("utf-16"), "save it as UTF-8 text with commas"),
    ],
)
def test_an_odd_manifest_is_refused_in_words(root, text, message):
    (root / "link.png").symlink_to(root.parent / "outside.png")
    with pytest.raises(InputError, match=message):
        read_images(manifest(root, text))


def test_a_manifest_with_other_classes_is_refused(root):
    with pytest.raises(InputError, match="has the class 'y'; the classifier's are x, z"):
        read_images(manifest(root, "path,label\na.png,x\nb.png,y\n"), ["x", "z"])


def test_a_manifest_that_is_not_there_or_too_large_is_refused(root, monkeypatch):
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_images(root / "none.csv")
    monkeypatch.setattr(listing, "MAX_CSV_BYTES", 20)
    with pytest.raises(InputError, match="divide it into several"):
        read_images(manifest(root, "path,label\na.png,x\nb.png,y\n"))


def test_a_folder_named_like_a_manifest_is_a_folder(root, tmp_path):
    for name in ("x", "y"):
        (tmp_path / "all.csv" / name).mkdir(parents=True)
        shutil.copy(root / f"{'a' if name == 'x' else 'b'}.png", tmp_path / "all.csv" / name)
    assert read_images(tmp_path / "all.csv").classes == ("x", "y")


# Folders --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def patients(tmp_path):
    """Two classes with a folder per patient and one per clip; patient p2 has images of both classes."""
    seed = iter(range(99))
    for place in ("amber/p1/c1", "amber/p1/c2", "amber/p2/c1", "moss/p2/c1", "moss/p3/c1"):
        (tmp_path / "id" / place).mkdir(parents=True)
        for number in range(2):
            coloured_noise((90, 120, 60), next(seed)).save(tmp_path / "id" / place / f"{number}.png")
    return tmp_path / "id"


def test_a_level_of_folders_is_a_group(patients):
    assert read_images(patients).groups is None
    assert read_images(patients, group="1").groups == ("p1",) * 4 + ("p2",) * 4 + ("p3",) * 2
    assert read_images(patients, group="2").groups[::2] == ("p1/c1", "p1/c2", "p2/c1", "p2/c1", "p3/c1")


@pytest.mark.parametrize("group", ["0", "-1", "patient", "", "1.5", "²", "9" * 5000])
def test_what_names_no_level_is_refused(patients, group):
    with pytest.raises(InputError, match="names no folder level; wanted 1 for the first folder below the class"):
        read_images(patients, group=group)


def test_an_image_outside_of_the_groups_is_named(patients):
    shutil.copy(patients / "amber/p1/c1/0.png", patients / "amber" / "loose.png")
    with pytest.raises(InputError, match=r"amber/loose\.png lies in 0 folders below amber, and --group 1 asks for 1"):
        read_images(patients, group="1")


def test_ordinary_images_with_and_without_classes(patients, root):
    labelled = read_in_distribution(patients, ["amber", "moss"], "1")
    assert labelled.labels.tolist() == [0] * 6 + [1] * 4
    assert labelled.groups[0] == "p1"
    plain = read_in_distribution(patients / "amber", ["amber", "moss"], "1")
    assert plain.labels is None
    assert plain.groups == ("p1",) * 4 + ("p2",) * 2, "levels count from the folder where there are no classes"
    file = manifest(root, "path,label\na.png,moss\nb.png,moss\n")
    assert read_in_distribution(file, ["amber", "moss"]).labels.tolist() == [1, 1]
    assert read_files(patients / "moss").groups is None
    for wrong in (patients / "none", patients / "none.csv"):
        with pytest.raises(InputError):
            read_in_distribution(wrong, ["amber", "moss"])
