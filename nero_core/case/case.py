"""One image held against a reference: the verdict, its account and the heatmaps, as one record.

The page, the command line and reports all hold this record; none of them works anything of it out again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from nero_core.calibration import Calibration
from nero_core.case.covers import CHANGED, Cover, Fill, covered
from nero_core.case.panel import MemberReading, explained_by, read_members
from nero_core.data.input_checks import NOTHING_TO_JUDGE, Check, check_image
from nero_core.data.near_duplicates import HashArray, difference_hash
from nero_core.neurons.similar import BYS, NO_FRAMES, By, SimilarFrame, lacking
from nero_core.records import Activations, Decision, Float32Array, Float64Array, Neuron
from nero_core.reference.reference import Reference
from nero_core.relevance import relevance_of

if TYPE_CHECKING:
    from nero_core.explanation import Explanation

ALL = None
"""In place of a neuron: all of them together."""


@dataclass(eq=False)
class Known:
    """What was worked out of one image, by detector: a page that shows it again works nothing out again.

    Attributes
    ----------
    scores : {detector: float}
    decisions : {(detector, α): Decision}
    explanations : {detector: Explanation or None}
    places : {detector: (h, w)}
        Accounts over places, of the detectors that have one.
    """

    scores: dict[str, float] = field(default_factory=dict)
    decisions: dict[tuple[str, float], Decision] = field(default_factory=dict)
    explanations: dict[str, Explanation | None] = field(default_factory=dict)
    places: dict[str, Float64Array] = field(default_factory=dict)


@dataclass(eq=False)
class Case:
    """What one detector of one reference says of one image.

    Attributes
    ----------
    reference : Reference
    detector : str
    activations : Activations
        Of the one image.
    hashes : (1,) uint64
        How it looks.
    score : float
        Larger = more out-of-distribution.
    maps : {neuron or ALL: (H, W) float32}
        Heatmaps made so far; they are the network's, so that all detectors share them.
    methods : {neuron or ALL: title}
        By which method each is.
    method : str or None
        Title of the method that was chosen for them; None: the best that the network has.
    caution : str
        Why not to lean on that method's maps here; empty where nothing speaks against them.
    covers : tuple of Cover
        Rectangles that lie over the image; such a case carries no guarantee.
    fill : {"mean", "inpainted"} or None
        What they are filled with; None without covers.
    neighbours : {"relevance" or "features": list of SimilarFrame}
        Similar frames found so far; the network's, as the heatmaps are.
    checks : tuple of Check
        What is noticed about the image before any score; what speaks first stands first.
    known : Known
        What was worked out of it so far, by whichever detector.
    """

    reference: Reference
    detector: str
    activations: Activations
    hashes: HashArray
    score: float
    maps: dict[Neuron | None, Float32Array] = field(default_factory=dict)
    methods: dict[Neuron | None, str] = field(default_factory=dict)
    method: str | None = None
    caution: str = ""
    covers: tuple[Cover, ...] = ()
    fill: Fill | None = None
    neighbours: dict[By, list[SimilarFrame]] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    known: Known = field(default_factory=Known)

    @property
    def nothing_to_judge(self) -> bool:
        """Whether the image is black or flat: its score, answer and heatmaps are about nothing then."""
        return any(check.name == NOTHING_TO_JUDGE for check in self.checks)

    # The panel -----------------------------------------------------------------------------------------------

    @cached_property
    def members(self) -> tuple[MemberReading, ...]:
        """What each member of the panel says, the one that adds most first; empty for a single detector."""
        return read_members(self.reference, self.activations, self.detector)[0]

    @property
    def leader(self) -> MemberReading | None:
        """The member that adds most to the panel's value; None for a single detector."""
        return self.members[0] if self.members else None

    @property
    def explained(self) -> str:
        """The detector whose account is shown: this one or, of a panel, the first member that has one."""
        return explained_by(self.reference, self.detector, self.members)

    @property
    def explanation(self) -> Explanation | None:
        """The exact account of the score of `explained`; None where that is no sum over neurons."""
        from nero_core.detectors import ExplainedDetector

        name, known = self.explained, self.known.explanations
        if name not in known:
            exact = isinstance(self.reference.detector(name), ExplainedDetector)
            known[name] = self.reference.explain(self.activations, name)[0] if exact else None
        return known[name]

    @property
    def places(self) -> Float64Array | None:
        """The exact account of the score over places of the whole image, (h, w); None where the detector has none."""
        from nero_core.detectors import OnPlaces

        detector, known = self.reference.detector(self.detector), self.known.places
        if not isinstance(detector, OnPlaces):
            return None
        if self.detector not in known:
            known[self.detector] = detector.account_over_places(self.activations)[0]
        return known[self.detector]

    # The verdict ---------------------------------------------------------------------------------------------

    @property
    def predicted(self) -> int:
        """The class that the network reads, as its number."""
        return int(self.activations.logits[0].argmax())

    @property
    def predicted_class(self) -> str:
        """The network's own answer."""
        return self.reference.classes[self.predicted]

    @property
    def probability(self) -> float:
        """Of that answer, in [0, 1]."""
        return float(self.activations.probabilities[0, self.predicted])

    @property
    def calibration(self) -> Calibration:
        """What the score is held against: by class, the images read as what this one is read as."""
        return self.reference.calibrations[self.detector].of(self.predicted)

    @property
    def percentile(self) -> float:
        """Share of those images with a smaller score, in [0, 1]."""
        return float(self.calibration.percentiles([self.score])[0])

    def decide(self, alpha: float) -> Decision:
        """The decision at this share of false alarms.

        Raises
        ------
        InputError
            α is not in (0, 1), or there are too few calibration images for it.
        """
        asked, known = (self.detector, alpha), self.known.decisions
        if asked not in known:
            decision = self.reference.decide(self.activations, self.detector, alpha, [self.score], self.hashes)[0]
            if self.covers:
                decision = replace(decision, guaranteed=False, no_guarantee_because=CHANGED)
            known[asked] = decision
        return known[asked]

    def under(self, detector: str) -> Case:
        """The same image under another detector: no pass through the network, and the heatmaps are shared.

        Raises
        ------
        UnknownDetectorError
            The reference does not have it.
        """
        if detector not in self.known.scores:
            self.known.scores[detector] = float(self.reference.score(self.activations, detector)[0])
        return replace(self, detector=detector, score=self.known.scores[detector])

    def cover(self, image: Image.Image, covers: Sequence[Cover], fill: Fill = "inpainted") -> Case:
        """The image with covers over it, held against the same reference; one more pass through the network.

        Parameters
        ----------
        image : RGB image
            The one that the case is of, without covers.
        covers : sequence of Cover
            With none, the image is read again as it is.
        fill : {"mean", "inpainted"}
            See :func:`~nero_core.case.covers.covered`.

        Raises
        ------
        InputError
            There is no such filling, or nothing is left uncovered.
        """
        other = open_case(self.reference, covered(image, covers, fill), self.detector)
        return replace(other, covers=tuple(covers), fill=fill if covers else None, method=self.method)

    def score_covered(self, image: Image.Image, cover: Cover, fill: Fill = "inpainted") -> float:
        """The score alone of the image with one cover over it: what :meth:`cover` gives, without what a page shows.

        Parameters
        ----------
        image : RGB image
            The one that the case is of, without covers.

        Raises
        ------
        InputError
            There is no such filling, or nothing is left uncovered.
        """
        passed = self.reference.activations_of([covered(image, [cover], fill)])
        return float(self.reference.score(passed, self.detector)[0])

    # Why -----------------------------------------------------------------------------------------------------

    @cached_property
    def relevance(self) -> Float64Array:
        """r of the features for the network's answer, (d,), with the ε that the reference was fitted with."""
        neurons = relevance_of(self.activations, self.reference.classifier.head, self.reference.epsilon).neurons
        r: Float64Array = neurons[0]
        return r

    def take(self, method: str | None) -> bool:
        """Have heatmaps by this method from now on, and drop those by another; whether it is another."""
        if method == self.method:
            return False
        self.maps.clear()
        self.methods.clear()
        self.method, self.caution = method, ""
        return True

    @property
    def single_neurons(self) -> bool:
        """Whether the method gives maps of single neurons; the best of a network always does."""
        from nero_core.attribution import METHODS

        return self.method is None or METHODS[self.method].single_neurons

    def draw(self, image: Image.Image, neurons: Sequence[Neuron | None]) -> Iterator[Neuron | None]:
        """Make the heatmaps that are missing, one by one; gives each neuron once its map is there.

        Parameters
        ----------
        image : RGB image
            The one that the case is of.
        neurons : sequence of Neuron or ALL

        Raises
        ------
        InputError
            The network does not have the method.
        """
        maps = self.reference.open_heatmaps(image, self.method)
        for neuron in [each for each in neurons if each not in self.maps]:
            self.methods[neuron] = maps.method_at(neuron.stage if neuron else None)
            self.maps[neuron] = maps.overall() if neuron is ALL else maps.neuron(neuron.channel, neuron.stage)
            yield neuron
        self.caution = maps.caution

    def similar(self, by: By) -> list[SimilarFrame]:
        """Training and calibration frames that are nearest to it; looked for once.

        Raises
        ------
        InputError
            The reference keeps none.
        ArtefactError
            Their pictures cannot be read.
        """
        if by not in self.neighbours:
            self.neighbours[by] = self.reference.similar_frames(self.activations, by=by)
        return self.neighbours[by]

    # As data -------------------------------------------------------------------------------------------------

    def numbers(self, alpha: float, neurons: int) -> dict[str, Any]:
        """Everything but pictures, as plain JSON values; needs an exact account.

        Parameters
        ----------
        neurons : int
            How many of the leading neurons are listed.
        """
        from nero_core.explanation import NeroExplanation

        e = self.explanation
        assert e is not None
        numbers = {
            "reference": self.reference.title,
            "detector": self.detector,
            "alpha": alpha,
            "checks": [check.as_data() for check in self.checks],
            "nothing_to_judge": self.nothing_to_judge,
            **asdict(self.decide(alpha)),
            **(
                {"panel": [asdict(each) | {"state": each.state(alpha)} for each in self.members]}
                if self.members
                else {}
            ),
            "explained": self.explained,
            "predicted_class": self.predicted_class,
            "probability": self.probability,
            "nearest_class": e.nearest_class,
        }
        if isinstance(e, NeroExplanation):
            parts = ("distance", "bias_term", "low_relevance_share", "conservation_error")
            numbers |= {name: getattr(e, name) for name in parts}
        return {
            **numbers,
            "factor": e.factor,
            "terms": dict(e.terms),
            "heatmap_method": self.methods.get(ALL),
            **({"heatmap_caution": self.caution} if self.caution else {}),
            "top_neurons": [self._described(e, place) for place, _ in e.top(neurons)],
            "contributions": e.contributions.tolist(),
            "relevance": self.relevance.tolist(),
            **self._similar_described(),
        }

    def _similar_described(self) -> dict[str, Any]:
        missing = lacking(self.reference.sample)
        note = {"similar_lacks": missing} if missing else {}
        if missing == NO_FRAMES:
            return note
        return note | {
            "similar": {
                by: [
                    {
                        "kind": each.kind,
                        "class": each.class_name,
                        "distance": each.distance,
                        "percentile": each.percentile,
                    }
                    for each in self.similar(by)
                ]
                for by in BYS
            }
        }

    def _described(self, e: Explanation, place: int) -> dict[str, Any]:
        neuron = e.neurons[place]
        return {
            "neuron": neuron.channel,
            **({} if neuron.stage is None else {"stage": neuron.stage}),
            "contribution": float(e.contributions[place]),
            **({} if neuron.stage else {"relevance": float(self.relevance[place])}),
            **({"heatmap_sum": float(self.maps[neuron].sum())} if neuron in self.maps else {}),
            "score_if_usual": e.what_if([place]),
        }


def open_case(reference: Reference, image: Image.Image, detector: str | None = None) -> Case:
    """Pass one image through the network once, and score it.

    Parameters
    ----------
    image : RGB image
    detector : str, optional
        The deciding one of the reference where not given.

    Raises
    ------
    UnknownDetectorError
        The reference does not have the detector.
    """
    name = detector or reference.deciding
    activations = reference.activations_of([image])
    hashes = np.array([difference_hash(image)], dtype=np.uint64)
    score = float(reference.score(activations, name)[0])
    return Case(reference, name, activations, hashes, score, checks=check_image(image))
