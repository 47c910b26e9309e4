"""How images are prepared for a network that was trained elsewhere: what its owner says, and what is guessed.

Weights do not say for which size, statistics and crop they were trained, and a network fed in another way answers all
the same, only worse. So whatever is not given is taken from the architecture, and is said to be a guess.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self, TypedDict

from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from nero_core.storage.files import disk_errors
from nero_core.storage.json_files import parsed
from nero_core.storage.typed import AtLeastOne, check
from nero_core.wording import message, said

GIVEN, FROM_FILE = message("given"), message("given by its pretrained_cfg")
OWN = message("guessed from the architecture, as timm has it")
ASSUMED = message("assumed, as is usual with ImageNet")
RECORDED, UNKNOWN = message("as it was trained"), message("not recorded")
"""Where a setting comes from, in words."""

Interpolation = Literal["bilinear", "bicubic"]
WHOLE: Literal["none"] = "none"
"""Written for a crop: the whole image is stretched to the input's size, and nothing is cut off."""

CONFIG_BYTES = 2**20
"""A configuration is a few thousand; the names of thousands of classes in it some hundred thousand more."""
KEYS = {
    "input_size": "size",
    "mean": "mean",
    "std": "std",
    "interpolation": "interpolation",
    "crop_pct": "crop",
    "crop_mode": "crop",
}
"""timm's words for the settings."""


class PretrainedFields(TypedDict, total=False):
    """What timm says of preprocessing, and what of it is done here."""

    input_size: tuple[AtLeastOne, AtLeastOne, AtLeastOne]
    mean: Sequence[float]
    std: Sequence[float]
    interpolation: Interpolation
    crop_pct: float
    crop_mode: Literal["center", "squash"]


@dataclass(frozen=True)
class Settings:
    """Settings of a preprocessing as somebody gives them; None is left open.

    Attributes
    ----------
    size : (int, int) or None
        Height and width of the network's input, pixels.
    mean, std : three floats each, or None
        Of values in [0, 1], per colour channel.
    interpolation : {"bilinear", "bicubic"} or None
    crop : float, "none" or None
        Share of the shorter side that the centre crop keeps, or "none" to stretch the whole image.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: Interpolation | None = None
    crop: float | Literal["none"] | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Those that are not left open, by name."""
        return {name: value for name in SETTINGS if (value := getattr(self, name)) is not None}

    @classmethod
    def parsed(
        cls,
        size: str | None = None,
        mean: Sequence[str] | str | None = None,
        std: Sequence[str] | str | None = None,
        interpolation: str | None = None,
        crop: str | None = None,
    ) -> Self:
        """From what a person typed; what is empty is left open.

        Parameters
        ----------
        size : str, optional
            "224", or height and width as "224x320".
        mean, std : one or three numbers, optional
            One counts for all three channels. A text holds them with commas or spaces between.
        crop : str, optional
            A number, or "none".

        Raises
        ------
        InputError
            Something is no number, or there are too few or too many of them.
        """
        return cls(
            size=_size(size) if size else None,
            mean=_three("mean", _separate(mean)) if mean else None,
            std=_three("std", _separate(std)) if std else None,
            interpolation=check(interpolation, Interpolation, "interpolation") if interpolation else None,
            crop=(WHOLE if crop == WHOLE else _number("crop", crop)) if crop else None,
        )

    @classmethod
    def of_pretrained_cfg(cls, content: str | bytes, name: str, otherwise: Settings | None = None) -> Self:
        """What timm writes beside weights: a `config.json` with a `pretrained_cfg`, or that dictionary alone.

        Parameters
        ----------
        content : text or bytes
            JSON.
        name : str
            Of the file, for messages.
        otherwise : Settings, optional
            What is given here is not looked at in the file.

        Raises
        ------
        InputError
            It is no JSON object, says nothing of preprocessing, or asks for what is not done here.
        """
        if len(content) > CONFIG_BYTES:
            raise InputError(f"{name} is larger than {CONFIG_BYTES // 2**20} MiB; no pretrained_cfg is.")
        found = parsed(content, name)
        found = found.get("pretrained_cfg", found) if isinstance(found, dict) else found
        if not isinstance(found, dict) or not any(found.get(key) is not None for key in KEYS):
            raise InputError(f"{name} says nothing of preprocessing; wanted a pretrained_cfg with {', '.join(KEYS)}.")
        known = set((otherwise or Settings()).given)
        given = {key: found[key] for key, what in KEYS.items() if found.get(key) is not None and what not in known}
        try:
            checked: PretrainedFields = check(given, PretrainedFields, "", f" of {name}")
        except InputError as error:
            raise InputError(f"{error} Or give it yourself: then {name} is not asked.") from error
        channels, *size = checked.get("input_size", (3,))
        if channels != 3:
            raise InputError(
                f"{name}: input_size has {channels} channels; only networks on colour images (3) are read."
            )
        return cls(
            size=(size[0], size[1]) if size else None,
            mean=_three(f"{name}: mean", checked["mean"]) if "mean" in checked else None,
            std=_three(f"{name}: std", checked["std"]) if "std" in checked else None,
            interpolation=checked.get("interpolation"),
            crop=_crop(name, checked.get("crop_pct"), checked.get("crop_mode")),
        )


SETTINGS = tuple(each.name for each in fields(Settings))


@dataclass(frozen=True)
class GivenPreprocessing:
    """How images are prepared for a network, and where each setting comes from.

    Attributes
    ----------
    preprocessing : Preprocessing
    origins : {setting: text}
        One of this module's origins for each of `SETTINGS`.
    """

    preprocessing: Preprocessing
    origins: Mapping[str, str]


def guessed(origins: Mapping[str, str]) -> list[str]:
    """Names of the settings that nobody gave."""
    return [name for name, origin in origins.items() if origin in (OWN, ASSUMED)]


def recorded_origins() -> dict[str, str]:
    """Of a network that `train` has written: its images are prepared as they were for the training."""
    return dict.fromkeys(SETTINGS, RECORDED)


def given_preprocessing(
    architecture: str, explicit: Settings | None = None, pretrained_cfg: Settings | None = None
) -> GivenPreprocessing:
    """Explicit settings win over those of a `pretrained_cfg`, and both over the architecture's.

    Raises
    ------
    InputError
        The architecture is not known, or a value is out of range.
    """
    from nero_core.network.architectures import (  # torch: only where it is asked for
        preprocessing_of,
        states_preprocessing,
    )

    own = preprocessing_of(architecture)
    sources = ((explicit or Settings()).given, GIVEN), ((pretrained_cfg or Settings()).given, FROM_FILE)
    values: dict[str, Any] = {
        "size": (own.height, own.width),
        "mean": own.mean,
        "std": own.std,
        "interpolation": own.interpolation,
        "crop": own.crop_share,
    }
    origins = dict.fromkeys(SETTINGS, OWN if states_preprocessing(architecture) else ASSUMED)
    for given, origin in reversed(sources):
        values |= given
        origins |= dict.fromkeys(given, origin)
    height, width = values["size"]
    preprocessing = Preprocessing(
        height=height,
        width=width,
        mean=values["mean"],
        std=values["std"],
        interpolation=values["interpolation"],
        crop_share=None if values["crop"] == WHOLE else values["crop"],
    )
    return GivenPreprocessing(preprocessing, origins)


def read_pretrained_cfg(path: Path, otherwise: Settings | None = None) -> Settings:
    """:meth:`Settings.of_pretrained_cfg` of a file.

    Raises
    ------
    InputError
        The file is missing, cannot be read, or is no pretrained_cfg.
    """
    if not path.is_file():
        raise InputError(f"No file of a pretrained_cfg at {path}; check the path.")
    with disk_errors(f"{path} cannot be read", "check its permissions", InputError), path.open("rb") as file:
        content = file.read(CONFIG_BYTES + 1)
    return Settings.of_pretrained_cfg(content, path.name, otherwise)


def described(preprocessing: Mapping[str, Any], origins: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Each setting in words, with where it comes from: (name, text).

    Parameters
    ----------
    preprocessing : mapping
        The fields of a Preprocessing, as a manifest keeps them.
    origins : mapping
        {setting: origin}; one that is missing was not recorded.
    """
    crop = preprocessing["crop_share"]
    texts = {
        "size": (
            said("Input of the network"),
            said("{height} × {width} pixels", height=int(preprocessing["height"]), width=int(preprocessing["width"])),
        ),
        "mean": (said("Mean of the channels"), ", ".join(f"{float(value):g}" for value in preprocessing["mean"])),
        "std": (said("Standard deviation of the channels"), ", ".join(f"{float(v):g}" for v in preprocessing["std"])),
        "interpolation": (said("Interpolation"), str(preprocessing["interpolation"])),
        "crop": (
            said("Crop"),
            said("none, the whole image is stretched")
            if crop is None
            else said("centre, {crop} of the shorter side", crop=f"{float(crop):g}"),
        ),
    }
    return tuple((name, f"{text} ({said(str(origins.get(key, UNKNOWN)))})") for key, (name, text) in texts.items())


# One value ---------------------------------------------------------------------------------------------------------


def _size(text: str) -> tuple[int, int]:
    parts = text.lower().replace("×", "x").split("x")
    try:
        sides = [int(part) for part in parts]
    except ValueError:
        sides = []
    if not 1 <= len(sides) <= 2 or min(sides) < 1:
        raise InputError(f"The size is {text!r}; wanted pixels, such as 224, or height and width, 224x320.")
    return sides[0], sides[-1]


def _three(name: str, values: Sequence[str | float]) -> tuple[float, float, float]:
    if len(values) not in (1, 3):
        raise InputError(f"{name} is {values!r}; wanted one number for each of three colour channels, or one for all.")
    numbers = [_number(name, value) for value in values]
    return (numbers[0], numbers[0], numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1], numbers[2])


def _separate(typed: Sequence[str] | str) -> Sequence[str]:
    return typed.replace(",", " ").split() if isinstance(typed, str) else typed


def _number(name: str, value: str | float) -> float:
    with suppress(ValueError, OverflowError):
        if math.isfinite(number := float(value)):
            return number
    raise InputError(f"{name} is {value!r}; wanted a number.")


def _crop(name: str, share: float | None, mode: str | None) -> float | Literal["none"] | None:
    """timm's crop_pct and crop_mode: the centre, or "squash", which stretches first."""
    if mode != "squash":
        return None if share is None else float(share)
    if share != 1:
        raise InputError(
            f"{name}: crop_mode 'squash' with crop_pct {share!r} stretches and then crops, which is not done here; "
            "only crop_pct 1 is."
        )
    return WHOLE
