"""What to know of a reference before trusting it, read from its manifest and its stored scores.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. A card is made anew each time it is shown: there is
one source of every figure, and nothing beside the manifest that could tell another story.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import safetensors

from nero_core import wording
from nero_core.calibration.in_words import promise_lines
from nero_core.calibration.stored import calibrated_as
from nero_core.errors import ArtefactError
from nero_core.network.given_preprocessing import described, recorded_origins
from nero_core.reference.heatmap_truth import (
    LEFT_RULE,
    RULE,
    StoredHeatmaps,
    said_of_chance,
    said_of_left,
    stored_heatmaps,
)
from nero_core.reference.manifest import MANIFEST_NAME, read_manifest, verify_file
from nero_core.reference.panel_card import PANEL, installed, panel_lines, titled
from nero_core.reference.signatures import TrustedKey, read_signature, who_made_it
from nero_core.storage.files import METADATA_KEY, digest
from nero_core.wording import heatmap_method, label, said

CARD_NAME = "MODEL_CARD.md"
MARKUP = re.compile(r"([\\`*_\[\]<>#|~$&!]|(?<=\w)://|(?<=\w)@)")
"""What Markdown would read as markup in the middle of a line, and what it would make a link of."""
PREPARED, PROMISE, HOW_WELL = "How images are prepared", "What a flag promises", "How well it does"
CONFIDENCE = 0.95
SAMPLE_ROLE = "concepts/sample"  # neuron_sample.SHEET_ROLE, whose module pulls in more than a card needs


@dataclass(frozen=True)
class Measured:
    """A figure in [0, 1] and its 95 % interval, on so many images; without an interval where their number is unknown.

    Attributes
    ----------
    value : float
    low, high : float or None
    images : int or None
    """

    value: float
    low: float | None = None
    high: float | None = None
    images: int | None = None

    def percent(self) -> str:
        """As a share: "94.8 % (89.7 to 97.5 %; 135 images)"."""
        return self._written(100, 1, " %")

    def score(self) -> str:
        """As a figure in [0, 1]: "0.759 (0.591 to 0.899; 212 images)"."""
        return self._written(1, 3, "")

    def _written(self, times: int, places: int, unit: str) -> str:
        inside = [] if self.images is None else [f"{self.images} images"]
        if self.low is not None and self.high is not None:
            inside.insert(0, f"{times * self.low:.{places}f} to {times * self.high:.{places}f}{unit}")
        return f"{times * self.value:.{places}f}{unit}" + (f" ({'; '.join(inside)})" if inside else "")


@dataclass(frozen=True)
class Section:
    """One part of a card: lines of a name and what is said of it."""

    heading: str
    lines: tuple[tuple[str, str], ...]

    def unlike(self, other: Section) -> frozenset[str]:
        """Names of the lines of either that the other lacks, or of which it says something else."""
        said = [
            {name: [text for each, text in part.lines if each == name] for name, _ in part.lines}
            for part in (self, other)
        ]
        return frozenset(name for name in {**said[0], **said[1]} if said[0].get(name) != said[1].get(name))


@dataclass(frozen=True)
class ModelCard:
    """A reference described, ready to be shown. Its texts come from whoever made the reference: text, never markup."""

    title: str
    synthetic: bool
    sections: tuple[Section, ...]

    def markdown(self) -> str:
        """The card as a Markdown file."""
        parts = [f"# {_escaped(self.title)}", said(wording.STANDING_LINE)]
        for section in self.sections:
            parts.append(f"## {section.heading}")
            parts.append("\n".join(f"- **{_escaped(name)}:** {_escaped(text)}" for name, text in section.lines))
        return "\n\n".join(parts) + "\n"


def model_card(folder: Path, trusted: Sequence[TrustedKey] = ()) -> ModelCard:
    """The card of a reference; reads its manifest, its signature and its stored scores, and runs no network.

    Parameters
    ----------
    folder : Path
    trusted : sequence of TrustedKey
        Whose signature is told by name.

    Raises
    ------
    ArtefactError
        The manifest or the stored scores are missing, damaged or of an unknown shape, or the signature does not hold.
    """
    manifest = read_manifest(folder)
    maker = who_made_it(read_signature(folder, trusted))
    try:
        sections = (
            Section("What it is for", (*_purpose(manifest), ("Signature", maker))),
            Section("What it knows", _classes(manifest)),
            Section("How it was trained", _training(manifest)),
            Section(PREPARED, _prepared(manifest)),
            Section(PROMISE, promise_lines(manifest)),
            Section("What decides", panel_lines(manifest)),
            Section(HOW_WELL, _measured(manifest, folder)),
            Section(label(wording.FAITHFULNESS), _heatmaps(manifest)),
            Section("What is inside", _contents(manifest)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ArtefactError(
            f"{MANIFEST_NAME} does not hold what a model card needs ({error!r}); run `fit` again."
        ) from error
    return ModelCard(manifest["title"], manifest["synthetic"], sections)


Lines = tuple[tuple[str, str], ...]


def _purpose(manifest: Mapping[str, Any]) -> Lines:
    return (
        ("Intended use", str(manifest["intended_use"])),
        ("Known failures", str(manifest["known_failures"])),
        ("Source of the images", str(manifest["image_source"])),
        ("Licence of the images", str(manifest["licence"])),
        ("Real or rendered", "rendered scenes, no photographs" if manifest["synthetic"] else "not marked as rendered"),
    )


def _classes(manifest: Mapping[str, Any]) -> Lines:
    counts = manifest["training"].get("per_class", {})
    split = manifest.get("split", {}).get("per_class", {})

    def images(name: str) -> str:
        parts = {part: int(count) for part, count in split.get(name, {}).items() if part != "train"}
        return "; ".join([f"{int(counts.get(name, 0))} images fitted on", *(f"{n} for {p}" for p, n in parts.items())])

    fitted = tuple((str(name), images(name)) for name in manifest["classes"])
    unusual = tuple(
        (f"{label(wording.KNOWN_OOD_IMAGES)}: {name}", f"{int(count)} images")
        for name, count in manifest["ood"].items()
    )
    return (*fitted, *unusual)


def _training(manifest: Mapping[str, Any]) -> Lines:
    training = manifest["training"]
    start = training["recipe"].get("init")
    recipe = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in training["recipe"].items() if value != "")
    return (
        ("Architecture", str(manifest["architecture"])),
        ("Images fitted on", str(int(training["images"]))),
        ("Known what it was trained on", "yes" if training["known"] else "no"),
        ("Recipe", recipe or "not known"),
        ("Started from", "not known" if start is None else f"weights {start}" if start else "random weights"),
        ("Digest of the fitted images", str(training["digest"])),
    )


def _prepared(manifest: Mapping[str, Any]) -> Lines:
    origins = manifest.get("preprocessing_origins") or (recorded_origins() if manifest["training"]["known"] else {})
    return described(manifest["preprocessing"], origins)


def _measured(manifest: Mapping[str, Any], folder: Path) -> Lines:
    metrics = manifest["metrics"]
    lines: list[tuple[str, str]] = []
    if "accuracy" in metrics:
        n = int(metrics["test_images"])
        lines.append(("Accuracy on images set aside", share_of(metrics["accuracy"], n).percent()))
        per_class = metrics.get("test_per_class", {})
        lines += [
            (f"Accuracy on {name}", share_of(value, per_class.get(name)).percent())
            for name, value in metrics["accuracy_per_class"].items()
        ]
        for name, counts in metrics.get("false_alarms", {}).items():
            lines += _false_alarms(titled(name), counts, metrics["alpha"], n)
    elif "calibration_accuracy" in metrics:
        counts = metrics["calibration_per_class"]
        measured = share_of(metrics["calibration_accuracy"], sum(counts.values())).percent()
        lines.append((f"Accuracy on the calibration images, {calibrated_as(manifest)[0].origin}", measured))
        lines += [
            (f"Accuracy on {name}", share_of(value, counts[name]).percent())
            for name, value in metrics["calibration_accuracy_per_class"].items()
        ]
    else:
        lines.append(("Accuracy", "not measured: no images were set aside for testing"))
    lines += [("Warning", str(warning)) for warning in metrics.get("warnings", ())]
    separations = separation(folder, manifest)
    lines += [
        (f"AUROC of {titled(detector)} on {name}", measured.score())
        for (detector, name), measured in separations.items()
    ]
    intervals = "95 %; shares: Wilson (1927)"
    if separations:
        lines.append(("AUROC", "how well scores tell OOD images from usual ones: 0.5 is chance, 1 is perfect"))
        intervals += "; AUROC: percentile bootstrap, usual and OOD images apart"
    else:
        lines.append(
            ("Separation from OOD images", f"not measured: it was fitted without {said(wording.KNOWN_OOD_IMAGES)}")
        )
    return (*lines, ("Intervals", intervals))


def _false_alarms(title: str, counts: Any, alpha: float, n: int) -> Lines:
    """Share of flagged images set aside, with counts per class; a share alone where an earlier version measured it."""
    what = f"False alarms of {title}, {100 * alpha:.3g} % asked for"
    if isinstance(counts, int | float):
        return ((what, share_of(counts, n).percent()),)
    flagged = sum(each[0] for each in counts["predicted"].values())
    lines = [(what, share_of(flagged / n, n).percent())]
    for kind, words in (("predicted", "by the class that the network reads"), ("true", "by the class it is")):
        per_class = [f"{name} {k} of {of}" for name, (k, of) in counts.get(kind, {}).items()]
        lines.append((f"False alarms of {title} {words}", ", ".join(per_class)))
    return tuple(lines)


def _heatmaps(manifest: Mapping[str, Any]) -> Lines:
    kept = stored_heatmaps(manifest)
    if kept is None:
        return (("Heatmaps", "not measured when it was fitted"),)
    how = "places are blurred, or brought back, in the order of their relevance, and the answer’s probability watched. "
    lines = tuple(
        (f"{said(wording.HEATMAPS_BY)} {heatmap_method(row['method'])}", _said_of_method(kept, row))
        for row in kept.methods
    )
    left = f"{said_of_left(kept.left, kept.images)}. {LEFT_RULE}."
    return (*lines, ("Without the image", left), ("Gain", f"{how}{RULE}."))


def _said_of_method(kept: StoredHeatmaps, row: Mapping[str, Any]) -> str:
    found = kept.effect(row)
    text = (
        f"gain {_signed(100 * found.mean)} ± {100 * row['gain_standard_error']:.2g} points over a random order "
        f"(mean and standard error of {kept.images} calibration images"
    )
    if found.low is not None and found.high is not None:
        text += f"; 95 % interval {_signed(100 * found.low)} to {_signed(100 * found.high)}"
        text += "" if found.standardized is None else f"; d_z {_signed(found.standardized)}"
    return (
        f"{text}), better on {100 * row['better_than_random']:.0f} % of them; {row['stability']:.2f} alike under noise "
        f"(1 is best), {row['shuffled']:.2f} with shuffled weights (0 is best); {said_of_chance(found)}"
    )


def _signed(points: float) -> str:
    return f"{points:.3g}".replace("-", "−")


def _contents(manifest: Mapping[str, Any]) -> Lines:
    files = manifest["files"]
    crops = sorted(entry["sha256"] for role, entry in files.items() if role.startswith("concepts/"))
    shown = int(manifest["crops"])
    pictures = f"yes, small crops for {shown} neurons" if shown else "no"
    if SAMPLE_ROLE in files:
        kept = int(manifest["sample"]["images"])
        pictures += f", and {kept} small pictures of calibration and {said(wording.KNOWN_OOD_IMAGES)}"
        if trained := int(manifest["sample"].get("trained", 0)):
            pictures += f", {trained} of training frames"
    if crops:
        pictures += f", digest {digest(''.join(crops).encode())}"
    detectors = "; ".join(
        f"{titled(name)} {json.dumps(entry['parameters'], sort_keys=True)}"
        for name, entry in manifest["detectors"].items()
    )
    missing = [name for name in manifest["detectors"] if not installed(name)]
    note = f"{', '.join(missing)}; install the package that brings it. The other detectors can be used."
    whole = sum(entry["bytes"] for entry in files.values())
    return (
        ("Pictures of training images", pictures),
        ("Detectors", detectors),
        *((("Detectors that are not installed here", note),) if missing else ()),
        *((f"SHA-256 of the {role} file", files[role]["sha256"]) for role in ("classifier", "fitted") if role in files),
        ("SHA-256 of the manifest, which lists every file's", str(manifest["sha256"])),
        ("Size", f"{whole / 2**20:.1f} MiB in {len(files)} files"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in sorted(manifest["versions"].items()))),
    )


def separation(folder: Path, manifest: Mapping[str, Any]) -> dict[tuple[str, str], Measured]:
    """AUROC of each detector on each set of known unusual images, {(detector, set): figure}, from the stored scores.

    Raises
    ------
    ArtefactError
        The stored scores are missing or damaged.
    """
    if not manifest["ood"]:
        return {}
    from nero_core.metrics import bootstrap, interval, point_metrics  # scikit-learn: only where there is something
    from nero_core.storage.files import arrays_under, read_arrays

    arrays, _ = read_arrays(verify_file(folder, "fitted", manifest["files"]))
    found = {}
    for detector in manifest["detectors"]:
        usual = arrays[f"calibration/{detector}"]
        if detector == PANEL and not arrays_under(f"ood/{detector}/", arrays):
            continue  # calibrated anew, and not all of its members' scores are known
        for name in manifest["ood"]:
            unusual = arrays[f"ood/{detector}/{name}"]
            value = point_metrics(usual, unusual)["auroc"]
            measured = interval(value, bootstrap(usual, unusual, id_groups=arrays.get(f"groups/{detector}"))["auroc"])
            found[detector, name] = Measured(*measured, len(usual) + len(unusual))
    return found


def training_history(folder: Path) -> tuple[dict[str, float], ...]:
    """What each epoch came to, as the classifier's own record has it; empty where training is not known.

    Only the table of contents of the weights is read.

    Raises
    ------
    ArtefactError
        The classifier's file is missing or damaged.
    """
    path = verify_file(folder, "classifier", read_manifest(folder)["files"])
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            described = json.loads(json.loads((file.metadata() or {})[METADATA_KEY])["classifier"])
        record = described["training"] or {"history": []}
        return tuple({str(key): float(value) for key, value in epoch.items()} for epoch in record["history"])
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ArtefactError(f"{path.name}: the description of the classifier is damaged ({error!r}).") from error


def share_of(value: float, images: int | None) -> Measured:
    """A share of n images with its Wilson score interval; without one where n is not known.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927: the shares p₀ with
    ``|p − p₀| ≤ z √(p₀(1 − p₀)/n)``.

    Parameters
    ----------
    value : float
        p, in [0, 1].
    images : int or None
        n, at least 1.

    Raises
    ------
    ArtefactError
        The share is not in [0, 1], or of no image.
    """
    p, n = float(value), images
    if not 0 <= p <= 1 or (n is not None and n < 1):
        raise ArtefactError(f"{MANIFEST_NAME} holds the share {p} of {n} images; wanted one in [0, 1] of at least one.")
    if n is None:
        return Measured(p)
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return Measured(p, max(0.0, middle - half), min(1.0, middle + half), n)


def _escaped(text: str) -> str:
    """Untrusted text as Markdown that shows exactly that text, on one line."""
    return MARKUP.sub(r"\\\1", " ".join(text.split()))
