"""What to know of a reference before trusting it, read from its manifest and its stored scores.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. A card is made anew each time it is shown: there is
one source of every figure, and nothing beside the manifest that could tell another story.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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
from nero_core.reference.measured import Measured, share_of
from nero_core.reference.panel_card import PANEL, installed, panel_lines, titled
from nero_core.reference.signatures import TrustedKey, read_signature, who_made_it
from nero_core.storage.files import METADATA_KEY, digest
from nero_core.wording import heatmap_method, label, message, said

CARD_NAME = "MODEL_CARD.md"
MARKUP = re.compile(r"([\\`*_\[\]<>#|~$&!]|(?<=\w)://|(?<=\w)@)")
"""What Markdown would read as markup in the middle of a line, and what it would make a link of."""
PREPARED, PROMISE, HOW_WELL = (
    message("How images are prepared"),
    message("What a flag promises"),
    message("How well it does"),
)
PARTS = {"calibration": message("calibration"), "test": message("test")}
DIGESTS = {"classifier": message("SHA-256 of the classifier file"), "fitted": message("SHA-256 of the fitted file")}
SAMPLE_ROLE = "concepts/sample"  # neuron_sample.SHEET_ROLE, whose module pulls in more than a card needs


@dataclass(frozen=True)
class Section:
    """One part of a card: lines of a name and what is said of it."""

    heading: str
    lines: tuple[tuple[str, str], ...]

    def unlike(self, other: Section) -> frozenset[str]:
        """Names of the lines of either that the other lacks, or of which it says something else."""
        each_says = [
            {name: [text for each, text in part.lines if each == name] for name, _ in part.lines}
            for part in (self, other)
        ]
        return frozenset(
            name for name in {**each_says[0], **each_says[1]} if each_says[0].get(name) != each_says[1].get(name)
        )


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
            Section(said("What it is for"), (*_purpose(manifest), (said("Signature"), maker))),
            Section(said("What it knows"), _classes(manifest)),
            Section(said("How it was trained"), _training(manifest)),
            Section(said(PREPARED), _prepared(manifest)),
            Section(said(PROMISE), promise_lines(manifest)),
            Section(said("What decides"), panel_lines(manifest)),
            Section(said(HOW_WELL), _measured(manifest, folder)),
            Section(label(wording.FAITHFULNESS), _heatmaps(manifest)),
            Section(said("What is inside"), _contents(manifest)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ArtefactError(
            f"{MANIFEST_NAME} does not hold what a model card needs ({error!r}); run `fit` again."
        ) from error
    return ModelCard(manifest["title"], manifest["synthetic"], sections)


Lines = tuple[tuple[str, str], ...]


def _purpose(manifest: Mapping[str, Any]) -> Lines:
    return (
        (said("Intended use"), said(str(manifest["intended_use"]))),
        (said("Known failures"), said(str(manifest["known_failures"]))),
        (said("Source of the images"), said(str(manifest["image_source"]))),
        (said("Licence of the images"), said(str(manifest["licence"]))),
        (
            said("Real or rendered"),
            said("rendered scenes, no photographs") if manifest["synthetic"] else said("not marked as rendered"),
        ),
    )


def _classes(manifest: Mapping[str, Any]) -> Lines:
    counts = manifest["training"].get("per_class", {})
    split = manifest.get("split", {}).get("per_class", {})

    def images(name: str) -> str:
        parts = {part: int(count) for part, count in split.get(name, {}).items() if part != "train"}
        return "; ".join(
            [
                said("{n} images fitted on", n=int(counts.get(name, 0))),
                *(said("{n} for {part}", n=n, part=said(PARTS.get(p, p))) for p, n in parts.items()),
            ]
        )

    fitted = tuple((str(name), images(name)) for name in manifest["classes"])
    unusual = tuple(
        (f"{label(wording.KNOWN_OOD_IMAGES)}: {name}", said("{n} images", n=int(count)))
        for name, count in manifest["ood"].items()
    )
    return (*fitted, *unusual)


def _training(manifest: Mapping[str, Any]) -> Lines:
    training = manifest["training"]
    start = training["recipe"].get("init")
    recipe = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in training["recipe"].items() if value != "")
    return (
        (said("Architecture"), str(manifest["architecture"])),
        (said("Images fitted on"), str(int(training["images"]))),
        (said("Known what it was trained on"), said("yes") if training["known"] else said("no")),
        (said("Recipe"), recipe or said("not known")),
        (
            said("Started from"),
            said("not known")
            if start is None
            else said("weights {start}", start=start)
            if start
            else said("random weights"),
        ),
        (said("Digest of the fitted images"), str(training["digest"])),
    )


def _prepared(manifest: Mapping[str, Any]) -> Lines:
    origins = manifest.get("preprocessing_origins") or (recorded_origins() if manifest["training"]["known"] else {})
    return described(manifest["preprocessing"], origins)


def _measured(manifest: Mapping[str, Any], folder: Path) -> Lines:
    metrics = manifest["metrics"]
    lines: list[tuple[str, str]] = []
    if "accuracy" in metrics:
        n = int(metrics["test_images"])
        lines.append((said("Accuracy on images set aside"), share_of(metrics["accuracy"], n).percent()))
        per_class = metrics.get("test_per_class", {})
        lines += [
            (said("Accuracy on {name}", name=name), share_of(value, per_class.get(name)).percent())
            for name, value in metrics["accuracy_per_class"].items()
        ]
        for name, counts in metrics.get("false_alarms", {}).items():
            lines += _false_alarms(titled(name), counts, metrics["alpha"], n)
    elif "calibration_accuracy" in metrics:
        counts = metrics["calibration_per_class"]
        measured = share_of(metrics["calibration_accuracy"], sum(counts.values())).percent()
        lines.append(
            (
                said("Accuracy on the calibration images, {origin}", origin=said(calibrated_as(manifest)[0].origin)),
                measured,
            )
        )
        lines += [
            (said("Accuracy on {name}", name=name), share_of(value, counts[name]).percent())
            for name, value in metrics["calibration_accuracy_per_class"].items()
        ]
    else:
        lines.append((said("Accuracy"), said("not measured: no images were set aside for testing")))
    lines += [(said("Warning"), str(warning)) for warning in metrics.get("warnings", ())]
    separations = separation(folder, manifest)
    lines += [
        (said("AUROC of {detector} on {name}", detector=titled(detector), name=name), measured.score())
        for (detector, name), measured in separations.items()
    ]
    intervals = said("95 %; shares: Wilson (1927)")
    if separations:
        lines.append(("AUROC", said("how well scores tell OOD images from usual ones: 0.5 is chance, 1 is perfect")))
        intervals += said("; AUROC: percentile bootstrap, usual and OOD images apart")
    else:
        lines.append(
            (
                said("Separation from OOD images"),
                said("not measured: it was fitted without {images}", images=said(wording.KNOWN_OOD_IMAGES)),
            )
        )
    return (*lines, (said("Intervals"), intervals))


def _false_alarms(title: str, counts: Any, alpha: float, n: int) -> Lines:
    """Share of flagged images set aside, with counts per class; a share alone where an earlier version measured it."""
    what = said("False alarms of {detector}, {share} % asked for", detector=title, share=f"{100 * alpha:.3g}")
    if isinstance(counts, int | float):
        return ((what, share_of(counts, n).percent()),)
    flagged = sum(each[0] for each in counts["predicted"].values())
    lines = [(what, share_of(flagged / n, n).percent())]
    by_kind = {
        "predicted": said("False alarms of {detector} by the class that the network reads", detector=title),
        "true": said("False alarms of {detector} by the class it is", detector=title),
    }
    for kind, name_of_line in by_kind.items():
        per_class = [
            said("{name} {n} of {of}", name=name, n=k, of=of) for name, (k, of) in counts.get(kind, {}).items()
        ]
        lines.append((name_of_line, ", ".join(per_class)))
    return tuple(lines)


def _heatmaps(manifest: Mapping[str, Any]) -> Lines:
    kept = stored_heatmaps(manifest)
    if kept is None:
        return ((said("Heatmaps"), said("not measured when it was fitted")),)
    how = said(
        "places are blurred, or brought back, in the order of their relevance, and the answer’s probability watched."
    )
    lines = tuple(
        (f"{said(wording.HEATMAPS_BY)} {heatmap_method(row['method'])}", _said_of_method(kept, row))
        for row in kept.methods
    )
    left = f"{said_of_left(kept.left, kept.images)}. {said(LEFT_RULE)}."
    return (*lines, (said("Without the image"), left), (said("Gain"), f"{how} {said(RULE)}."))


def _said_of_method(kept: StoredHeatmaps, row: Mapping[str, Any]) -> str:
    found = kept.effect(row)
    inside = [
        said(
            "gain {gain} ± {error} points over a random order (mean and standard error of {n} calibration images",
            gain=_signed(100 * found.mean),
            error=f"{100 * row['gain_standard_error']:.2g}",
            n=kept.images,
        )
    ]
    if found.low is not None and found.high is not None:
        inside.append(
            said("95 % interval {low} to {high}", low=_signed(100 * found.low), high=_signed(100 * found.high))
        )
        inside += [] if found.standardized is None else [f"d_z {_signed(found.standardized)}"]
    better = said(
        "), better on {better} % of them; {stability} alike under noise (1 is best), {shuffled} with shuffled weights "
        "(0 is best); {chance}",
        better=f"{100 * row['better_than_random']:.0f}",
        stability=f"{row['stability']:.2f}",
        shuffled=f"{row['shuffled']:.2f}",
        chance=said_of_chance(found),
    )
    return "; ".join(inside) + better


def _signed(points: float) -> str:
    return f"{points:.3g}".replace("-", "−")


def _contents(manifest: Mapping[str, Any]) -> Lines:
    files = manifest["files"]
    crops = sorted(entry["sha256"] for role, entry in files.items() if role.startswith("concepts/"))
    shown = int(manifest["crops"])
    pictures = said("yes, small crops for {n} neurons", n=shown) if shown else said("no")
    if SAMPLE_ROLE in files:
        kept = int(manifest["sample"]["images"])
        pictures += said(
            ", and {n} small pictures of calibration and {images}", n=kept, images=said(wording.KNOWN_OOD_IMAGES)
        )
        if trained := int(manifest["sample"].get("trained", 0)):
            pictures += said(", {n} of training frames", n=trained)
    if crops:
        pictures += said(", digest {digest}", digest=digest("".join(crops).encode()))
    detectors = "; ".join(
        f"{titled(name)} {json.dumps(entry['parameters'], sort_keys=True)}"
        for name, entry in manifest["detectors"].items()
    )
    missing = [name for name in manifest["detectors"] if not installed(name)]
    note = said(
        "{detectors}; install the package that brings it. The other detectors can be used.",
        detectors=", ".join(missing),
    )
    whole = sum(entry["bytes"] for entry in files.values())
    return (
        (said("Pictures of training images"), pictures),
        (said("Detectors"), detectors),
        *(((said("Detectors that are not installed here"), note),) if missing else ()),
        *((said(text), files[role]["sha256"]) for role, text in DIGESTS.items() if role in files),
        (said("SHA-256 of the manifest, which lists every file's"), str(manifest["sha256"])),
        (said("Size"), said("{size} MiB in {files} files", size=f"{whole / 2**20:.1f}", files=len(files))),
        (said("Versions"), ", ".join(f"{name} {version}" for name, version in sorted(manifest["versions"].items()))),
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


def _escaped(text: str) -> str:
    """Untrusted text as Markdown that shows exactly that text, on one line."""
    return MARKUP.sub(r"\\\1", " ".join(text.split()))
