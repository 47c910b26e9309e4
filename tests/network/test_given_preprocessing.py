"""How images are prepared for weights of one's own: what is given wins, guesses are said, bad input is refused."""

from __future__ import annotations

import json

import pytest
import timm
from hypothesis import given
from hypothesis import strategies as st
from timm.models._hub import save_config_for_hf

from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from nero_core.network.architectures import preprocessing_of
from nero_core.network.classifier import build_classifier
from nero_core.network.given import given_classifier
from nero_core.network.given_preprocessing import (
    ASSUMED,
    FROM_FILE,
    GIVEN,
    OWN,
    SETTINGS,
    UNKNOWN,
    Settings,
    described,
    given_preprocessing,
    guessed,
    read_pretrained_cfg,
)

CFG = {
    "input_size": [3, 96, 128],
    "mean": [0.5, 0.4, 0.3],
    "std": [0.25, 0.2, 0.1],
    "interpolation": "bicubic",
    "crop_pct": 0.95,
    "crop_mode": "center",
}


def of(cfg, otherwise=None):
    return Settings.of_pretrained_cfg(json.dumps(cfg), "config.json", otherwise)


def test_what_nobody_gives_is_guessed_and_said():
    own = given_preprocessing("deit_tiny_patch16_224")
    assert own.preprocessing == preprocessing_of("deit_tiny_patch16_224")
    assert dict(own.origins) == dict.fromkeys(SETTINGS, OWN)
    assumed = given_preprocessing("resnet18")
    assert assumed.preprocessing == Preprocessing()
    assert dict(assumed.origins) == dict.fromkeys(SETTINGS, ASSUMED)
    assert guessed(assumed.origins) == list(SETTINGS)


def test_what_is_given_wins_over_the_file_and_both_over_the_architecture():
    settings = Settings.parsed(size="64x80", mean="0.1, 0.2 0.3")
    found = given_preprocessing("resnet10t", settings, of({"input_size": [3, 9, 9], "std": [0.5], "crop_pct": 1.0}))
    own = preprocessing_of("resnet10t")
    assert found.preprocessing == Preprocessing(64, 80, (0.1, 0.2, 0.3), (0.5, 0.5, 0.5), own.interpolation, 1.0)
    assert found.origins == {"size": GIVEN, "mean": GIVEN, "std": FROM_FILE, "interpolation": OWN, "crop": FROM_FILE}
    assert guessed(found.origins) == ["interpolation"]


@given(
    chosen=st.dictionaries(st.sampled_from(SETTINGS), st.sampled_from([GIVEN, FROM_FILE])),
)
def test_any_mixture_takes_each_setting_from_where_it_says(chosen):
    typed = {"size": "40", "mean": "0.1", "std": "0.9", "interpolation": "bilinear", "crop": "0.5"}
    filed = {"size": {"input_size": [3, 50, 60]}, "mean": {"mean": [0.2, 0.2, 0.2]}, "std": {"std": [0.8, 0.8, 0.8]}}
    filed |= {"interpolation": {"interpolation": "bicubic"}, "crop": {"crop_mode": "squash", "crop_pct": 1}}
    settings = Settings.parsed(**{name: typed[name] for name, origin in chosen.items() if origin == GIVEN})
    cfg = {key: value for name, origin in chosen.items() if origin == FROM_FILE for key, value in filed[name].items()}
    found = given_preprocessing("resnet18", settings, of(cfg) if cfg else None)
    assert found.origins == {name: chosen.get(name, ASSUMED) for name in SETTINGS}
    prepared = found.preprocessing
    by = {name: [GIVEN, FROM_FILE, ASSUMED].index(chosen.get(name, ASSUMED)) for name in SETTINGS}
    assert (prepared.height, prepared.width) == [(40, 40), (50, 60), (224, 224)][by["size"]]
    assert prepared.mean == [(0.1,) * 3, (0.2,) * 3, Preprocessing().mean][by["mean"]]
    assert prepared.std == [(0.9,) * 3, (0.8,) * 3, Preprocessing().std][by["std"]]
    assert prepared.interpolation == ["bilinear", "bicubic", "bilinear"][by["interpolation"]]
    assert prepared.crop_share == [0.5, None, None][by["crop"]]


def test_a_configuration_as_timm_writes_it(tmp_path):
    network = timm.create_model("resnet10t", num_classes=3)
    path = tmp_path / "config.json"
    save_config_for_hf(network, str(path), {"label_names": ["a", "b", "c"]})
    found = given_preprocessing("resnet10t", None, read_pretrained_cfg(path))
    assert found.preprocessing == preprocessing_of("resnet10t")
    assert set(found.origins.values()) == {FROM_FILE}
    assert read_pretrained_cfg(path) == of(json.loads(path.read_text())["pretrained_cfg"]), "or the dictionary alone"
    whole = Settings((96, 128), (0.5, 0.4, 0.3), (0.25, 0.2, 0.1), "bicubic", 0.95)
    assert of(CFG | {"num_classes": 3, "url": ""}) == whole


@pytest.mark.parametrize(
    ("cfg", "crop"),
    [
        ({"crop_pct": 0.9}, 0.9),
        ({"crop_pct": 0.9, "crop_mode": "center"}, 0.9),
        ({"crop_mode": "center"}, None),  # the share stays the architecture's
        ({"crop_pct": 1.0, "crop_mode": "squash"}, "none"),
    ],
)
def test_crops(cfg, crop):
    assert of(cfg).crop == crop


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ({"input_size": [3, 224]}, r"`input_size` of config\.json is \[3, 224\]; wanted a list of 3.*give it yourself"),
        ({"input_size": "3x224x224"}, "`input_size` of config.json is"),
        ({"input_size": [3, 224.5, 224]}, r"`input_size\[1\]` of config.json is 224.5; wanted a whole number"),
        ({"input_size": [3, True, 224]}, r"`input_size\[1\]` of"),
        ({"input_size": [3, 0, 224]}, r"`input_size\[1\]` of config.json is 0"),
        ({"input_size": [1, 28, 28]}, "1 channels; only networks on colour images"),
        ({"mean": [0.5, 0.5]}, "config.json: mean is"),
        ({"mean": 0.5}, "`mean` of config.json is 0.5; wanted a list"),
        ({"mean": [0.5, None, 0.5]}, r"`mean\[1\]` of config.json is None; wanted a finite number"),
        ({"std": ["a", "b", "c"]}, r"`std\[0\]` of config.json is 'a'; wanted a finite number"),
        ({"std": [float("nan")] * 3}, r"`std\[0\]` of config.json is nan; wanted a finite number"),
        ({"std": {"r": 1}}, "`std` of config.json is"),
        ({"interpolation": "lanczos"}, "`interpolation` of config.json is 'lanczos'; wanted 'bilinear' or 'bicubic'"),
        ({"interpolation": 3}, "`interpolation` of config.json is 3"),
        ({"interpolation": ["bicubic"]}, "`interpolation` of config.json is"),
        ({"crop_mode": "border", "crop_pct": 1}, "`crop_mode` of config.json is 'border'; wanted 'center' or 'squash'"),
        ({"crop_mode": "squash", "crop_pct": 0.9}, "stretches and then crops"),
        ({"crop_mode": "squash"}, "stretches and then crops"),
        ({"crop_pct": True}, "`crop_pct` of config.json is True; wanted a finite number"),
        ({}, "says nothing of preprocessing"),
        ({"architecture": "resnet18", "pretrained_cfg": {"url": ""}}, "says nothing of preprocessing"),
        ({"pretrained_cfg": 7}, "says nothing of preprocessing"),
        ([1], "says nothing of preprocessing"),
        (None, "says nothing of preprocessing"),
    ],
)
def test_what_a_file_should_not_say(cfg, message):
    with pytest.raises(InputError, match=message):
        of(cfg)


def test_what_is_given_otherwise_is_not_looked_at():
    """A filter that is not done here stops nobody who has chosen another one."""
    cfg = CFG | {"interpolation": "lanczos", "crop_mode": "border"}
    typed = Settings.parsed(interpolation="bicubic", crop="1")
    assert of(cfg, typed) == Settings((96, 128), (0.5, 0.4, 0.3), (0.25, 0.2, 0.1))


@pytest.mark.parametrize("content", ["", "{", "[" * 10**5, "\udc80"])
def test_what_is_no_json(content):
    with pytest.raises(InputError, match=r"config\.json cannot be read as JSON"):
        Settings.of_pretrained_cfg(content.encode(errors="surrogateescape"), "config.json")


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(InputError, match="check the path"):
            read_pretrained_cfg(path)
    (tmp_path / "large.json").write_bytes(b" " * (2**20 + 1))
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read_pretrained_cfg(tmp_path / "large.json")


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ({"size": "224"}, Settings(size=(224, 224))),
        ({"size": "224×320"}, Settings(size=(224, 320))),
        ({"mean": ["0.5"]}, Settings(mean=(0.5, 0.5, 0.5))),
        ({"std": ["1", "2", "3"]}, Settings(std=(1, 2, 3))),
        ({"std": " 1,2 ,3 "}, Settings(std=(1, 2, 3))),
        ({"crop": "none"}, Settings(crop="none")),
        ({"crop": "0.875"}, Settings(crop=0.875)),
        ({"size": "", "mean": "", "std": [], "interpolation": "", "crop": ""}, Settings()),
    ],
)
def test_what_a_person_types(typed, wanted):
    assert Settings.parsed(**typed) == wanted


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"size": "big"}, "The size is 'big'"),
        ({"size": "1x2x3"}, "The size is '1x2x3'"),
        ({"size": "224x"}, "The size is '224x'"),
        ({"size": "0"}, "The size is '0'"),
        ({"size": "-3"}, "The size is '-3'"),
        ({"mean": "0.5 0.5"}, "one number for each of three colour channels"),
        ({"mean": ", ,"}, "one number for each of three"),
        ({"std": ["1", "2", "3", "4"]}, "one number for each of three"),
        ({"std": "inf"}, "std is 'inf'; wanted a number"),
        ({"crop": "centre"}, "crop is 'centre'; wanted a number"),
        ({"interpolation": "nearest"}, "`interpolation` is 'nearest'; wanted 'bilinear' or 'bicubic'"),
    ],
)
def test_what_a_person_should_not_type(typed, message):
    with pytest.raises(InputError, match=message):
        Settings.parsed(**typed)


def test_in_words():
    found = given_preprocessing("resnet18", Settings.parsed(size="64x80", crop="0.875"))
    lines = dict(described(vars(found.preprocessing), found.origins))
    assert lines["Input of the network"] == "64 × 80 pixels (given)"
    assert lines["Mean of the channels"] == f"0.485, 0.456, 0.406 ({ASSUMED})"
    assert lines["Crop"] == "centre, 0.875 of the shorter side (given)"
    bare = dict(described(vars(Preprocessing()), {}))
    assert bare["Crop"] == f"none, the whole image is stretched ({UNKNOWN})"


def test_what_train_wrote_takes_no_settings(tmp_path):
    """Its record says how images are prepared: another way would be wrong, and ignoring it would be worse."""
    small = Preprocessing(height=32, width=32)
    build_classifier("resnet10t", ["a", "b"], preprocessing=small).save(tmp_path / "ours.safetensors")
    path = tmp_path / "ours.safetensors"
    assert given_classifier(path, None, []).preprocessing == small
    assert given_classifier(path, None, [], Settings(), Settings()).preprocessing == small
    for settings in ((Settings(size=(64, 64)), None), (None, of({"crop_pct": 0.9}))):
        with pytest.raises(InputError, match="says itself how its images are prepared, as `train` recorded it"):
            given_classifier(path, None, [], *settings)
