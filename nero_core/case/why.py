"""Why an image scores as it does, in one sentence that can be wrong and is tested by covering.

Everything in it is computed on this image: the decomposition says what leads, the leading neurons' heatmaps say where,
and :func:`~nero_core.case.covers.cover_test` says whether that place matters more than places beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from nero_core.case.case import Case
from nero_core.case.covering import LEAST_FALL, RANDOM_PLACES, CoverTest, cover_test
from nero_core.case.covers import Cover, Mask
from nero_core.case.leading import Between, Leading, leading_neurons, overall_map, region_of, share_on
from nero_core.case.over_places import on_the_image
from nero_core.data.input_checks.places import BORDER, find_places
from nero_core.errors import InputError
from nero_core.records import Neuron
from nero_core.wording import OR, Message, listed, message

Outcome = Literal["confirmed", "not confirmed", "not tested"]

TISSUE = "tissue"
"""A place on which none of what is looked for was found; nothing says that it is tissue but that."""

MOSTLY = 0.5
"""Share of a region's relevance that lies on a black border, glare or text for the region to be called that."""

HALF_A_PERCENT = 0.005
"""Below which a share is not said to exceed the whole."""

ON: Mapping[str, str] = {
    "black border": message(", on the black border"),
    "position picture": message(", on the position picture"),
    "burnt-in text": message(", on burnt-in text"),
    "glare": message(", on glare"),
}
"""What is looked for, as a place."""

TERMS = (message("bias term"), message("the bias term"), message("energy"), message("the energy"))
"""What may lead besides neurons: as detectors call it, and in a sentence."""

THIRDS = (
    (message(" at the top left"), message(" at the top"), message(" at the top right")),
    (message(" at the left"), message(" in the middle"), message(" at the right")),
    (message(" at the bottom left"), message(" at the bottom"), message(" at the bottom right")),
)
"""In which third of the image a region's centre lies."""


@dataclass(frozen=True, eq=False)
class Why:
    """What leads to a score, where it sits, and whether covering that place confirmed it.

    Attributes
    ----------
    sentence : str
        What leads, where it sits, and what covering that place came to.
    carries : str
        How much of the account's score the shown neurons carry, in a sentence; empty without an account.
    leads : str
        Title of the detector that leads: of a panel, the member that adds most.
    member : str
        Title of the detector whose account it is: that one or, where that has none, the first member that has one.
    neurons : tuple of Neuron
        Those shown, the one of largest contribution first; empty for a score without an account.
    region : Cover or None
        The rectangle where those that raise the score looked most densely; None where they looked nowhere, or
        everywhere alike.
    held : float
        Share of where they looked that lies in it.
    place : str or None
        What lies there: "tissue" where none of what is looked for was found.
    test : CoverTest or None
        None where there is no room for eight such places beside the region.
    carried : float or None
        Share of the account's score that the shown neurons carry; above 1 where others lower it, None without account.
    """

    sentence: str
    carries: str
    leads: str
    member: str
    neurons: tuple[Neuron, ...]
    region: Cover | None
    held: float
    place: str | None
    test: CoverTest | None
    carried: float | None

    @property
    def outcome(self) -> Outcome:
        """What the test came to."""
        if self.test is None:
            return "not tested"
        return "confirmed" if self.test.confirmed else "not confirmed"

    def numbers(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        test = None
        if self.test is not None:
            test = asdict(self.test) | {"rank": self.test.rank, "confirmed": self.test.confirmed}
        neurons = [{"neuron": n.channel} | ({} if n.stage is None else {"stage": n.stage}) for n in self.neurons]
        return {
            "sentence": self.sentence,
            "carries": self.carries,
            "outcome": self.outcome,
            "leads": self.leads,
            "member": self.member,
            "neurons": neurons,
            "region": None if self.region is None else asdict(self.region),
            "held": self.held,
            "place": self.place,
            "cover_test": test,
            "carried": self.carried,
        }


def tell_why(
    case: Case,
    image: Image.Image,
    regions: Mapping[str, Mask] | None = None,
    seed: int = 0,
    leading: Leading | None = None,
    between: Between | None = None,
) -> Why:
    """Say what leads to a case's score and where, and test it; about ten passes through the network.

    Parameters
    ----------
    image : RGB image
        The one that the case is of.
    regions : {name: (H, W) bool}, optional
        What lies where in the image, such as "black border" and "glare"; found here where not given.
    seed : int
        Of the random places.
    leading : Leading, optional
        The leading neurons of the case, where they are known already.
    between : callable, optional
        Called between passes through the network; it may leave by an exception.

    Raises
    ------
    InputError
        A mask has not the size of the image.
    """
    found = dict(find_places(image) if regions is None else regions)
    for name, mask in found.items():
        if mask.shape != image.size[::-1]:
            raise InputError(
                f"The mask of {name!r} has shape {mask.shape}; wanted that of the image, {image.size[::-1]}."
            )
    shown = leading or leading_neurons(case, image, between=between)
    preprocessing = case.reference.classifier.preprocessing
    if case.places is not None:
        heatmap = np.maximum(on_the_image(case.places, image.size, preprocessing), 0).astype(np.float64)
    else:
        heatmap = overall_map(case, image) if shown is None else shown.raising
    region, held = region_of(heatmap, image.size, preprocessing) or (None, 0.0)
    place = test = None
    if region is not None:
        on = {name: share_on(mask, heatmap, region, preprocessing) for name, mask in found.items()}
        most = max(on, key=lambda name: on[name], default=TISSUE)
        place = most if on.get(most, 0.0) >= MOSTLY else TISSUE
        content = ~found[BORDER] if BORDER in found else np.ones(image.size[::-1], bool)
        test = cover_test(case, image, region, seed, content=content, between=between)
    parts = {
        "what": _what_leads(case),
        "where": _where(region, held, place, tuple(found)),
        "outcome": _outcome(region, test),
    }
    sentence = Message.of("{what}{where}{outcome}", parts)
    member = _title(case, case.explained)
    if shown is None:
        return Why(sentence, "", _title(case, _leads(case)), member, (), region, held, place, test, None)
    carried = float(shown.contributions.sum()) / shown.score
    carries = _carries(member, shown, carried)
    return Why(sentence, carries, _title(case, _leads(case)), member, shown.neurons, region, held, place, test, carried)


# In words ----------------------------------------------------------------------------------------------------------


def _leads(case: Case) -> str:
    return case.leader.name if case.leader is not None else case.detector


def _title(case: Case, name: str) -> str:
    from nero_core.detectors import Panel  # the first paint waits for no torch

    decides = case.reference.detector(case.detector)
    member = decides.members_.get(name) if isinstance(decides, Panel) else None
    return (member or case.reference.detector(name)).info.title


def _what_leads(case: Case) -> Message:
    """The detector that leads, and what of its account does where that is no neuron."""
    from nero_core.detectors.panel import LOOKS_FOR

    name, e = _leads(case), case.explanation
    title, own = _title(case, name), case.explained == name
    head = message("{title} leads", title=title) if case.leader is not None else message("{title} decides", title=title)
    if name in LOOKS_FOR:
        head = message("{told} ({looks_for})", told=head, looks_for=LOOKS_FOR[name])
    if case.places is not None:
        return message("{told}, and its score is a sum over places, densest", told=head)
    if e is None:
        return message("{told}, which is no sum over neurons; the network looked most", told=head)
    if not own:
        head = message("{told}, which is no sum over neurons", told=head)
    parts = {"neurons": float(e.contributions.sum()), **e.terms}
    if (part := max(parts, key=lambda each: parts[each])) != "neurons":
        term = message(part)
        if own:
            head = message("{told}, most by its {part}, which sits nowhere in the image", told=head, part=term)
        else:
            head = message("{told}, most by the {part}, which sits nowhere in the image", told=head, part=term)
    if own:
        return message("{told}; its neurons looked most", told=head)
    return message("{told}; the neurons of {title} looked most", told=head, title=_title(case, case.explained))


def _where(region: Cover | None, held: float, place: str | None, looked_for: Sequence[str]) -> Message:
    if region is None or place is None:
        return message(" nowhere in particular")
    x, y = region.left + region.width / 2, region.top + region.height / 2
    where = message(
        "{third} ({held} % of it in {share} % of the image)",
        third=THIRDS[int(3 * y)][int(3 * x)],
        held=f"{100 * held:.0f}",
        share=f"{100 * region.width * region.height:.0f}",
    )
    if place != TISSUE:
        on = ON[place] if place in ON else message(", on {place}", place=place)
    elif looked_for:
        on = message(", on tissue (no {places} there)", places=listed([message(name) for name in looked_for], OR))
    else:
        return where
    return Message.of("{where}{on}", {"where": where, "on": on})


def _outcome(region: Cover | None, test: CoverTest | None) -> Message:
    if region is None:
        return message(": not tested, as there is no place to cover.")
    if test is None:
        return message(": not tested, as there is no room for {n} such places beside it.", n=RANDOM_PLACES)
    scores = {"before": f"{test.before:.3g}", "after": f"{test.after:.3g}"}
    if test.confirmed:
        return message(
            "; covering that place lowers the score from {before} to {after}, and covering as much at any of {n} "
            "random places lowers it less: confirmed.",
            **scores,
            n=len(test.others),
        )
    if test.lowers and test.rank == 1:
        return message(
            "; covering that place lowers the score from {before} to {after}, further than covering as much at random "
            "places, but by less than {least} % of what it is above usual: not confirmed.",
            **scores,
            least=f"{100 * LEAST_FALL:.0f}",
        )
    if test.lowers:
        return message(
            "; covering that place lowers the score from {before} to {after}, but covering as much at {n} of {of} "
            "random places lowers it as far or further: not confirmed.",
            **scores,
            n=test.rank - 1,
            of=len(test.others),
        )
    return message(
        "; covering that place does not lower the score (from {before} to {after}): not confirmed.", **scores
    )


def _carries(member: str, shown: Leading, carried: float) -> Message:
    """How much of the account the shown neurons are, what carries most first."""
    lead = f"neuron {shown.neurons[0]}"
    parts = {lead: float(shown.contributions[0]), **shown.terms}
    first = max(parts, key=lambda each: abs(parts[each]))
    most = 100 * parts[first] / shown.score
    named = message("neuron {neuron}", neuron=shown.neurons[0]) if first == lead else message(f"the {first}")
    carries = {"member": member, "named": named, "most": f"{abs(most):.0f}"}
    together = {"n": len(shown.neurons), "carried": f"{100 * carried:.0f}"}
    return Message.of(
        "{one}{all}",
        {
            "one": message("Of the score of {member} {named} carries most, {most} %", **carries)
            if most >= 0
            else message("Of the score of {member} {named} lowers it most, by {most} %", **carries),
            "all": message("; the {n} neurons shown carry {carried} %, and the others lower it.", **together)
            if carried > 1 + HALF_A_PERCENT
            else message("; the {n} neurons shown carry {carried} %.", **together),
        },
    )
