"""What decides in a reference, for its model card: which panel was chosen, by what, and how good it looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from nero_core.wording import message, said

if TYPE_CHECKING:
    from nero_core.detectors import Detector, Panel

PANEL = "panel"
ADD_PANEL = "fit DATA --classifier CKPT --out REF --add panel"
NO_PANEL = message(
    "no panel: one detector decides alone, and sees one kind of difference. `{command}` adds one", command=ADD_PANEL
)
CHOSEN_EARLIER = message("what its panel was chosen by was not kept; run `fit` again")

Lines = tuple[tuple[str, str], ...]


def chosen(panel: Panel, per_class: Mapping[str, int], added: Sequence[str] = ()) -> dict[str, Any]:
    """What a manifest says of its panel, as plain JSON values.

    Parameters
    ----------
    panel : Panel
        Fitted.
    per_class : {class: training images}
        Of a third of each its members were weighed.
    added : names
        Members that somebody added to the reference later.
    """
    from nero_core.detectors.panel import left_out_of

    return panel.described() | {"added": list(added), "images": sum(map(left_out_of, per_class.values()))}


def panel_lines(manifest: Mapping[str, Any]) -> Lines:
    """What decides, as names and texts of a model card; reads the manifest alone."""
    if PANEL not in manifest["detectors"]:
        return ((said("Panel"), said(NO_PANEL)),)
    if (panel := manifest.get("panel")) is None:
        return ((said("Panel"), said(CHOSEN_EARLIER)),)
    members = [(titled(name), _member(name, panel)) for name in by_weight(panel)]
    lines = [
        (
            said("Verdict"),
            said(
                "one test over a panel of {n} detectors, exact for images like the calibration images", n=len(members)
            ),
        ),
        *members,
    ]
    if panel["together"]:
        lines.append((said("All together"), _looked(panel["together"])))
    lines.append((said("Chosen by"), _chosen_by(panel)))
    if panel["added"]:
        lines.append(
            (
                said("Added later"),
                said(
                    "{detectors}; on unusual images for which somebody chose them, figures are too good",
                    detectors=", ".join(titled(name) for name in panel["added"]),
                ),
            )
        )
    return tuple(lines)


def by_weight(panel: Mapping[str, Any]) -> list[str]:
    """The members that a manifest's `panel` names, the heaviest first."""
    return sorted(panel["members"], key=lambda name: -panel["weights"][name])


def weights_in_words(panel: Mapping[str, Any]) -> str:
    """Such as "Stage Mahalanobis 0.52, Energy 0.48, NERO 0"."""
    return ", ".join(f"{titled(name)} {panel['weights'][name]:.2g}" for name in by_weight(panel))


def _member(name: str, panel: Mapping[str, Any]) -> str:
    from nero_core.detectors.panel import LOOKS_FOR

    weight = panel["weights"][name]
    parts = [
        said("weight {weight}", weight=f"{weight:.2g}") if weight else said("weight 0: takes no part in the verdict")
    ]
    parts += [said("looks for {looks_for}", looks_for=said(LOOKS_FOR[name]))] if name in LOOKS_FOR else []
    parts += [_looked(panel["auroc"][name])] if name in panel["auroc"] else []
    return "; ".join(parts)


def _looked(auroc: Mapping[str, float]) -> str:
    each = ", ".join(f"{name} {value:.3f}" for name, value in auroc.items())
    return f"AUROC {fmean(auroc.values()):.3f} ({each})"


def _chosen_by(panel: Mapping[str, Any]) -> str:
    nobody = said("no calibration image and no known OOD image took part")
    if not panel["together"]:
        return said("nothing: all members count the same; {nobody}", nobody=nobody)
    return said(
        "{n} training images left out of a fit made for this, against distorted copies of them; {nobody}. It need not "
        "do as well on other unusual images",
        n=panel["images"],
        nobody=nobody,
    )


def titled(detector: str) -> str:
    """A detector as it is written in the field; its name where none of that name is installed here."""
    found = installed(detector)
    return found.info.title if found is not None else detector


def installed(detector: str) -> type[Detector] | None:
    """The detector of a name; None where none of that name is installed here."""
    from nero_core.detectors import DETECTORS  # a second; nothing else of a card needs it

    return DETECTORS.get(detector)
